"""Files of weights: as they came, a bare state dict, safetensors."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from bdshift.checkpoints.classifier import Classifier
from bdshift.checkpoints.export import patch
from bdshift.checkpoints.folding import unfold
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
    """Container, wrapper, prefix and the dtype of each tensor as in the source; tensors that the
    network does not use as they were. What lay beside the state dict (an optimizer, an epoch)
    belonged to the old weights and is left out, but for what names the network and its classes.

    A whole module, a TorchScript archive or an exported program is copied, with the new numbers in
    the old ones' places: the rest of it belongs to whoever wrote it, and nothing of it is run.
    """
    layout = classifier.layout
    tensors = dict(_as_in_file(classifier))
    if layout.has_code:
        patch.write_patched(classifier.path, path, classifier.sha256, layout, tensors)
        return
    kept = {key: tensor for key, tensor in layout.tensors.items() if key not in tensors}
    tensors |= {key: tensor.load() for key, tensor in kept.items()}
    tensors = {key: tensors[key] for key in layout.tensors}
    if layout.container == "safetensors":
        save_file(tensors, path, {"format": "pt", **metadata})
        return
    value: Any = tensors
    for depth, key in enumerate(reversed(layout.wrapper)):
        value = {key: value, **(layout.described if not depth else {})}
    if layout.container == "pickle":
        with path.open("wb") as stream:
            pickle.dump(value, stream)
        return
    torch.save(value, path, _use_new_zipfile_serialization=layout.container != "torch legacy")


def _as_in_file(classifier: Classifier) -> Iterator[tuple[str, torch.Tensor]]:
    """The network's tensors by their whole keys, in the file's dtypes, folded ones as factors."""
    layout = classifier.layout
    for key, value in _own(classifier).items():
        typed = value.to(getattr(torch, layout.dtypes[key]))
        if key in layout.folded:
            yield from unfold(*layout.folded[key], typed).items()
        else:
            yield layout.prefix + key, typed


def read(classifier: Classifier, path: Path) -> Callable[[torch.Tensor], torch.Tensor]:
    """The weights of such a file, read as anybody's, in a copy of the network."""
    network = copy.deepcopy(classifier.network)
    layout = classifier.layout
    which = ".".join(layout.wrapper) if layout.has_code else ""
    written = find_state_dict(read_checkpoint(path), which or None)
    expected = {key for key in network.state_dict() if key in layout.dtypes}
    found = {}
    for inner, tensor in written.tensors.items():
        key = written.layout.prefix + inner
        key = key if key in expected else key.removeprefix(layout.prefix)
        if key in expected:
            found[key] = tensor.load()
    if expected != found.keys():
        odd = sorted(expected ^ found.keys())[:3]
        raise InputError(f"what was written has other keys ({', '.join(odd)}, …); it is not kept")
    floats = {k: v.float() if v.is_floating_point() else v for k, v in found.items()}
    network.load_state_dict(floats, strict=False)
    return network.eval()
