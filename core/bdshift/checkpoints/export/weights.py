"""Files of weights: as they came, a bare state dict, safetensors."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from bdshift.checkpoints.classifier import Classifier
from bdshift.checkpoints.layout import find_state_dict
from bdshift.checkpoints.reader import read_checkpoint
from bdshift.errors import InputError


def _own(classifier: Classifier) -> dict[str, torch.Tensor]:
    """The network's state dict, without what the file did not have (num_batches_tracked)."""
    return {
        key: value.detach().cpu().contiguous().clone()
        for key, value in classifier.network.state_dict().items()
        if key in classifier.layout.dtypes
    }


def write_state_dict(classifier: Classifier, path: Path, _metadata: dict[str, str]) -> None:
    """Bare, by ``torch.save``."""
    torch.save(_own(classifier), path)


def write_safetensors(classifier: Classifier, path: Path, metadata: dict[str, str]) -> None:
    """Bare, in safetensors."""
    save_file(_own(classifier), path, {"format": "pt", **metadata})


def write_as_it_came(classifier: Classifier, path: Path, metadata: dict[str, str]) -> None:
    """Container, wrapper, prefix and the dtype of each tensor as in the source. What lay beside the
    state dict (an optimiser, an epoch) belonged to the old weights and is left out.
    """
    layout = classifier.layout
    tensors = {
        layout.prefix + key: value.to(getattr(torch, layout.dtypes[key]))
        for key, value in _own(classifier).items()
    }
    if layout.container == "safetensors":
        save_file(tensors, path, {"format": "pt", **metadata})
        return
    value: Any = tensors
    for key in reversed(layout.wrapper):
        value = {key: value}
    torch.save(value, path, _use_new_zipfile_serialization=layout.container != "torch legacy")


def read(classifier: Classifier, path: Path) -> Callable[[torch.Tensor], torch.Tensor]:
    """The weights of such a file, read as anybody's, in a copy of the network."""
    network = copy.deepcopy(classifier.network)
    found = find_state_dict(read_checkpoint(path)).load()
    expected = {key for key in network.state_dict() if key in classifier.layout.dtypes}
    if expected != found.keys():
        odd = sorted(expected ^ found.keys())[:3]
        raise InputError(f"what was written has other keys ({', '.join(odd)}, …); it is not kept")
    floats = {k: v.float() if v.is_floating_point() else v for k, v in found.items()}
    network.load_state_dict(floats, strict=False)
    return network.eval()
