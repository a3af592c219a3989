"""Find the state dict in what a checkpoint holds, and remember how it lay there for the export."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bdshift.checkpoints.reader import CheckpointFile
from bdshift.checkpoints.tensors import LazyTensor
from bdshift.errors import InputError

if TYPE_CHECKING:
    import torch

_WRAPPERS = (
    "state_dict", "model_state_dict", "model", "net", "netC", "clsmodel", "network", "classifier",
    "model_state", "weights", "params",
)  # fmt: skip
_PREFIXES = ("module.", "_orig_mod.", "model.", "net.", "network.")
_NOT_MODELS = frozenset({"optimizer", "optimizer_state_dict", "optimizerC", "scheduler", "ema"})
_MAX_DEPTH = 4
_MAX_PREFIXES = 8
_MAX_KEY = 512  # characters; the longest of real networks have under 100


@dataclass(frozen=True)
class Layout:
    """How the weights lay in the file, to write them back the same way.

    Attributes:
        container: as in `CheckpointFile`.
        wrapper: keys from the outermost dict down to the state dict; () for a bare one.
        prefix: what stood before every key, as ``module.``.
        dtypes: of each tensor, by its key without the prefix.
        beside: keys that lay beside the state dict in its wrappers.
    """

    container: str
    wrapper: tuple[str, ...]
    prefix: str
    dtypes: Mapping[str, str]
    beside: tuple[str, ...]


@dataclass(frozen=True)
class StateDict:
    """The model's tensors by name, without prefix, and the layout they had."""

    tensors: Mapping[str, LazyTensor]
    layout: Layout

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of each tensor."""
        return {key: tensor.shape for key, tensor in self.tensors.items()}

    def load(self) -> dict[str, torch.Tensor]:
        """All tensors in memory, of their own dtypes. Raises `InputError` if the file is cut."""
        return {key: tensor.load() for key, tensor in self.tensors.items()}


def _tensors_of(value: Any) -> dict[str, LazyTensor] | None:
    """``value`` as a state dict: text keys, tensors, at least one of them a matrix or more."""
    if not isinstance(value, dict):
        return None
    found = {
        key: item
        for key, item in value.items()
        if isinstance(key, str) and isinstance(item, LazyTensor)
    }
    is_model = 2 * len(found) > len(value) and any(len(t.shape) >= 2 for t in found.values())
    return found if is_model else None


def _search(
    value: Any, seen: set[int], path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], dict[str, LazyTensor]]]:
    """Every state dict with its path; a dict that is referred to often is looked into once."""
    if id(value) in seen:
        return
    seen.add(id(value))
    tensors = _tensors_of(value)
    if tensors is not None:
        yield path, tensors
    elif isinstance(value, dict) and len(path) < _MAX_DEPTH:
        for key, item in value.items():
            if isinstance(key, str) and key not in _NOT_MODELS:
                yield from _search(item, seen, (*path, key))


def _strip(tensors: dict[str, LazyTensor]) -> tuple[str, dict[str, LazyTensor]]:
    prefix = ""
    for _ in range(_MAX_PREFIXES):
        for known in _PREFIXES:
            if tensors and all(key.startswith(known) for key in tensors):
                tensors = {key[len(known) :]: item for key, item in tensors.items()}
                prefix += known
                break
        else:
            break
    return prefix, tensors


def find_state_dict(file: CheckpointFile) -> StateDict:
    """The model's state dict, wherever the file keeps it.

    Of several, the one under the most usual key, then the largest. Raises `InputError` if there is
    none, or if its tensors claim more bytes than the file could hold.
    """
    found = list(_search(file.value, set()))
    if not found:
        raise InputError(f"{file.path}: holds no weights (no dict of named tensors)")

    def rank(item: tuple[tuple[str, ...], dict[str, LazyTensor]]) -> tuple[int, int]:
        path, tensors = item
        key = path[-1] if path else "state_dict"
        usual = _WRAPPERS.index(key) if key in _WRAPPERS else len(_WRAPPERS)
        return usual, -sum(math.prod(tensor.shape) for tensor in tensors.values())

    path, tensors = min(found, key=rank)
    claimed = sum(math.prod(tensor.shape) for tensor in tensors.values())
    if claimed > 4 * file.size:  # one byte an element at least, and a few tied weights
        raise InputError(f"{file.path}: its tensors claim more numbers than the file holds")
    for key in tensors:
        if len(key) > _MAX_KEY:
            raise InputError(f"{file.path}: a tensor's name has {len(key)} characters")
    prefix, tensors = _strip(tensors)
    dtypes = {key: tensor.dtype for key, tensor in tensors.items()}
    layout = Layout(file.container, path, prefix, dtypes, tuple(_beside(file.value, path)))
    return StateDict(tensors, layout)


def _beside(value: Any, path: tuple[str, ...]) -> Iterator[str]:
    for key in path:
        yield from (other for other in value if isinstance(other, str) and other != key)
        value = value[key]
