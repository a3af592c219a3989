"""Task vectors of an audit's purifications, and of two checkpoints."""

from __future__ import annotations

import copy
from dataclasses import replace

import torch

from bdshift.audit.records import Audit, Purification
from bdshift.checkpoints.classifier import LoadedNetwork
from bdshift.errors import InputError
from bdshift.purification.multiples import ALPHA
from bdshift.purification.vectors import (
    AboutVector,
    SavedVector,
    difference,
    layers_of,
    weights_of,
)


def vector_of(audit: Audit, made: Purification, original: LoadedNetwork) -> SavedVector:
    """The τ for which θ − α·τ are a purification's weights, with the α that it kept; with 1 where
    its method has none. ``original`` is the audited network.

    Raises `UsageError` without weights, `InputError` if they do not belong to the network, are not
    finite, or none was changed.
    """
    result = made.result
    kept = (row.step.figures for row in result.rows if row.step.number == result.kept)
    alpha = next(kept, {}).get(ALPHA, 1.0)
    network = copy.deepcopy(original.network)  # a state dict may name its tensors as the file does
    try:
        network.load_state_dict(result.state())
    except (RuntimeError, KeyError, TypeError) as error:
        raise InputError("the weights do not belong to the audited network") from error
    before, after = _on_cpu(original), _on_cpu(replace(original, network=network))
    vector = _changed(difference(before, after, 1 / alpha) if alpha else {})
    if not vector:
        raise InputError("the purification has changed no weights: there is no task vector")
    about = AboutVector(
        audit.model.sha256, audit.model.architecture, result.method, made.unlearned or "",
        result.target, result.seed, audit.images.sha256, alpha,
    )  # fmt: skip
    return SavedVector(about, vector)


def _on_cpu(loaded: LoadedNetwork) -> dict[str, torch.Tensor]:
    """All parameters: a network that was used may be on another device than weights in a file."""
    found = weights_of(loaded.network, layers_of(loaded.network))
    return {name: value.cpu() for name, value in found.items()}


def _changed(vector: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """What is not zero. Raises `InputError` for numbers that are not finite."""
    for name, value in vector.items():
        if not value.isfinite().all():
            raise InputError("its {name} holds no finite float32 numbers", name=name)
    return {name: value for name, value in vector.items() if value.any()}


def check_alike(one: LoadedNetwork, other: LoadedNetwork) -> None:
    """Raise `InputError` unless both have parameters of the same names and shapes."""
    pair = [
        {name: value.shape for name, value in each.network.named_parameters()}
        for each in (one, other)
    ]
    if pair[0] != pair[1]:
        raise InputError(
            "{path}: its weights do not have the shapes of those of {other}",
            path=one.path, other=str(other.path),
        )  # fmt: skip


def vector_between(first: LoadedNetwork, second: LoadedNetwork) -> SavedVector:
    """θ of the second less θ of the first: what the second has learned since.

    Raises `InputError` if they are of two architectures, or the same.
    """
    check_alike(second, first)
    vector = _changed(difference(_on_cpu(second), _on_cpu(first)))
    if not vector:
        raise InputError("{path}: has the same weights", path=second.path)
    return SavedVector(AboutVector(first.sha256, first.architecture), vector)
