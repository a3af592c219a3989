"""Task vectors of an audit's purifications, and of two checkpoints."""

from __future__ import annotations

from bdshift.audit.records import Audit, Purification
from bdshift.checkpoints.classifier import LoadedNetwork
from bdshift.errors import InputError
from bdshift.purify.multiples import ALPHA
from bdshift.purify.vectors import (
    AboutVector,
    SavedVector,
    difference,
    layers_of,
    weights_of,
)


def vector_of(audit: Audit, made: Purification, original: LoadedNetwork) -> SavedVector:
    """The τ for which θ − α·τ are a purification's weights, with the α that it kept; with 1 where
    its method has none. ``original`` is the audited network.

    Raises as `bdshift.purify.Purified.applied_to` does, and `InputError` if nothing was changed.
    """
    result = made.result
    kept = next(row.step.figures for row in result.rows if row.step.number == result.kept)
    alpha = kept.get(ALPHA, 1.0)
    network, names = original.network, layers_of(original.network)
    purified = result.state()
    before = weights_of(network, names)
    vector = difference(before, purified, 1 / alpha) if alpha else {}
    vector = {name: value for name, value in vector.items() if value.any()}
    if not vector:
        raise InputError("the purification has changed no weights: there is no task vector")
    about = AboutVector(
        audit.model.sha256, audit.model.architecture, result.method, made.unlearned or "",
        result.target, result.seed, audit.images.sha256,
    )  # fmt: skip
    return SavedVector(about, vector)


def vector_between(first: LoadedNetwork, second: LoadedNetwork) -> SavedVector:
    """θ of the second less θ of the first: what the second has learned since.

    Raises `InputError` if they are of two architectures, or the same.
    """
    start, end = (weights_of(one.network, layers_of(one.network)) for one in (first, second))
    if {k: v.shape for k, v in start.items()} != {k: v.shape for k, v in end.items()}:
        raise InputError(
            "{path}: its weights do not have the shapes of those of {other}",
            path=second.path, other=str(first.path),
        )  # fmt: skip
    vector = {name: value for name, value in difference(end, start).items() if value.any()}
    if not vector:
        raise InputError("{path}: has the same weights", path=second.path)
    return SavedVector(AboutVector(first.sha256, first.architecture), vector)
