"""What weights-only formats have in common: the tensors to write, and reading them back."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from pathlib import Path

import torch

from bdshift.checkpoints.classifier import Classifier
from bdshift.checkpoints.export.form import Function
from bdshift.checkpoints.layout import find_state_dict
from bdshift.checkpoints.reader import read_checkpoint
from bdshift.errors import InputError


def own_weights(classifier: Classifier, *, as_source: bool = False) -> dict[str, torch.Tensor]:
    """The network's state dict, without what the file did not have (num_batches_tracked); a head
    that was made of the names of the classes is left out if ``as_source``.
    """
    kept = set(classifier.layout.dtypes)
    if classifier.prompts is not None and not as_source:
        kept.add(f"{classifier.head_name}.weight")
    return {
        key: value.detach().cpu().contiguous().clone()
        for key, value in classifier.network.state_dict().items()
        if key in kept
    }


def read_weights(classifier: Classifier, path: Path, *, as_source: bool = False) -> Function:
    """A copy of the network with the weights of such a file, which is read like any other;
    ``as_source`` is as in `own_weights`.
    """
    layout = classifier.layout
    which = ".".join(layout.wrapper) if layout.has_code else ""
    written = find_state_dict(read_checkpoint(path), which or None)
    expected = own_weights(classifier, as_source=as_source).keys()
    found = {}
    for inner, tensor in written.tensors.items():
        key = written.layout.prefix + inner
        key = key if key in expected else key.removeprefix(layout.prefix)
        if key in expected:
            found[key] = tensor.load()
    if expected != found.keys():
        odd = sorted(expected ^ found.keys())[:3]
        raise InputError(
            "the written file has other keys ({names}, …); it was not kept", names=tuple(odd)
        )
    return with_weights(classifier, found)


def with_weights(classifier: Classifier, weights: Mapping[str, torch.Tensor]) -> Function:
    """A copy of the network with other weights, by their keys; those not given stay as they are."""
    network = copy.deepcopy(classifier.network)
    floats = {k: v.float() if v.is_floating_point() else v for k, v in weights.items()}
    network.load_state_dict(floats, strict=False)
    return network.eval()
