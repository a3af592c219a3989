"""Every set of weights in a file, and which of them belong to the same network: training scripts
keep a running average of the weights (EMA, SWA) beside the weights themselves.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, TypeVar

from bdshift.checkpoints.keys import without_wrappers
from bdshift.checkpoints.quantized import unpacked
from bdshift.checkpoints.tensors import LazyTensor

_NOT_MODELS = frozenset(
    "optimizer optimizer_state_dict optimizerC optimizerG optimizerM scheduler schedulerC "
    "lr_scheduler scaler amp _metadata".split()
)
_NOTES = ("n_averaged", "total_ops", "total_params", "num_updates", "initted", "step", "decay")

_MAX_DEPTH = 4
_MAX_SETS = 16  # among which averages are looked for
_STATISTICS = ("running_mean", "running_var")  # in a state dict, but no parameters
_AVERAGED = frozenset(("ema", "swa", "averaged", "average", "avg", "shadow", "polyak"))
_SHADOWS = frozenset(("ema", "swa", "averaged", "shadow"))  # inside of the names of tensors
_TOKEN = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
Path = tuple[str, ...]
Tensors = Mapping[str, LazyTensor]
T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class WeightSet:
    """The tensors of a network.

    Attributes:
        path: keys from the outermost dict down to the one that holds it.
        tensors: by their names; those of an average have the names that the weights have.
        averaged: whether it is the average of other weights, by its name.
        is_shadow: whether the average is in the same dict as the weights.
    """

    path: Path
    tensors: Tensors
    averaged: bool = False
    is_shadow: bool = False

    @property
    def name(self) -> str:
        """How the user names it."""
        return (".".join(self.path) or "the file itself") + " (averaged)" * self.is_shadow

    @cached_property
    def shapes(self) -> Mapping[str, tuple[int, ...]]:
        """Of all tensors but single numbers, by their names without anything around the network."""
        return {key: tensor.shape for key, tensor in _bare(self.tensors).items() if tensor.shape}

    def is_of_the_network_of(self, other: WeightSet) -> bool:
        """Whether both are weights of the same network, as far as names and shapes say."""
        return self.shapes == other.shapes


def is_note(key: str, tensor: LazyTensor) -> bool:
    """Whether it is a number that averaging (SWA, EMA) or FLOP counting (thop) leaves among the
    tensors.
    """
    return key.rpartition(".")[2] in _NOTES and math.prod(tensor.shape) == 1


def weight_sets(
    found: Sequence[tuple[Path, Tensors]], lists: Sequence[tuple[Path, Sequence[LazyTensor]]]
) -> list[WeightSet]:
    """The sets of weights in a file's state dicts, in their order, and then those in ``lists`` of
    tensors that are the parameters of one of them in its order, without names (torch_ema).
    """
    if len(found) > _MAX_SETS:
        return [WeightSet(path, tensors) for path, tensors in found]
    parts = [part for path, tensors in found for part in _parts(path, tensors)]
    named = (_under_names_of_any(path, tensors, parts) for path, tensors in lists[:_MAX_SETS])
    return [_completed(one, parts) for one in parts] + [one for one in named if one is not None]


def _tensors_of(value: Any) -> dict[str, LazyTensor] | None:
    """``value`` as a state dict: string keys, tensors, at least one with two dimensions or more."""
    if not isinstance(value, dict):
        return None
    held = unpacked(value)
    found = {
        key: item
        for key, item in held.items()
        if isinstance(key, str) and isinstance(item, LazyTensor)
    }
    is_model = 2 * len(found) > len(held) and any(len(t.shape) >= 2 for t in found.values())
    return found if is_model else None


def _listed(value: Any) -> list[LazyTensor] | None:
    """``value`` as a list of nothing but tensors."""
    if not isinstance(value, (list, tuple)) or not value:
        return None
    return list(value) if all(isinstance(item, LazyTensor) for item in value) else None


def _searched(
    value: Any, take: Callable[[Any], T | None], path: Path = (), seen: set[int] | None = None
) -> Iterator[tuple[Path, T]]:
    """What ``take`` takes for something, with its path, outside of optimizers; what is referred
    to several times is searched once.
    """
    seen = set() if seen is None else seen
    if id(value) in seen:
        return
    seen.add(id(value))
    taken = take(value)
    if taken is not None:
        yield path, taken
    elif isinstance(value, dict) and len(path) < _MAX_DEPTH:
        for key, item in value.items():
            if isinstance(key, str) and key not in _NOT_MODELS:
                yield from _searched(item, take, (*path, key), seen)


def state_dicts(value: Any) -> Iterator[tuple[Path, dict[str, LazyTensor]]]:
    """Every state dict in a file's value, with its path."""
    return _searched(value, _tensors_of)


def tensor_lists(value: Any) -> Iterator[tuple[Path, list[LazyTensor]]]:
    """Every list of nothing but tensors in a file's value, with its path."""
    return _searched(value, _listed)


def _under_names_of_any(
    path: Path, listed: Sequence[LazyTensor], found: Sequence[WeightSet]
) -> WeightSet | None:
    """The tensors of a list by the names of the parameters that they are of."""
    for other in found:
        names = [
            key
            for key, tensor in other.tensors.items()
            if tensor.shape and not key.endswith(_STATISTICS)
        ]
        if [other.tensors[key].shape for key in names] == [tensor.shape for tensor in listed]:
            tensors = {**other.tensors, **dict(zip(names, listed, strict=True))}
            return WeightSet(path, tensors, _is_average(path))
    return None


def _is_average(path: Path) -> bool:
    return any(not _AVERAGED.isdisjoint(_tokens(key)) for key in path)


def _parts(path: Path, tensors: Tensors) -> Iterator[WeightSet]:
    """A state dict, or, if it has an average of each weight among them, the weights and the average
    apart.
    """
    averaged = _is_average(path)
    shadows = {key: t for key, t in tensors.items() if not _SHADOWS.isdisjoint(_tokens(key))}
    rest = {key: tensor for key, tensor in tensors.items() if key not in shadows}
    average = _under_names_of(shadows, rest) if shadows and rest else None
    if average is None:
        yield WeightSet(path, tensors, averaged)
        return
    yield WeightSet(path, rest, averaged)
    yield WeightSet(path, average, averaged=True, is_shadow=True)


def _tokens(key: str) -> list[str]:
    return [token.lower() for token in _TOKEN.findall(key)]


def _names(tensors: Tensors) -> dict[str, str]:
    """Names of all but counters, by the same without what is around the network."""
    found = {}
    for key, tensor in tensors.items():
        if not is_note(key, tensor):
            found[without_wrappers(key)] = key
    for _ in range(_MAX_DEPTH):
        if len({name.partition(".")[0] for name in found}) > 1 or not all("." in n for n in found):
            break
        found = {name.partition(".")[2]: key for name, key in found.items()}
    return found


def _bare(tensors: Tensors) -> dict[str, LazyTensor]:
    """By their names without what is around the network."""
    return {name: tensors[key] for name, key in _names(tensors).items()}


def _under_names_of(shadows: Tensors, rest: Tensors) -> dict[str, LazyTensor] | None:
    """The averages, by the names of the weights that they are of: ``ema.fc.weight``,
    ``ema_fc_weight``, ``fc.weight_ema`` and the like. None if there is not one of each weight.
    """
    average = {}
    for key, tensor in _bare(shadows).items():
        average["".join(t for t in _tokens(key) if t not in _SHADOWS)] = tensor
    if sum(tensor.dtype.startswith(("float", "bfloat")) for tensor in average.values()) == 0:
        return None
    names = {"".join(_tokens(bare)): key for bare, key in _names(rest).items()}
    found = dict(rest)
    of_weights = set()
    for name, tensor in average.items():
        of = names.get(name)
        if of is not None and rest[of].shape == tensor.shape:
            found[of] = tensor
            of_weights.add(of)
        elif tensor.shape:
            return None
    return found if _weights(rest) <= of_weights else None


def _weights(tensors: Tensors) -> set[str]:
    """Names of the matrices and kernels."""
    return {key for key, tensor in tensors.items() if len(tensor.shape) >= 2}


def _completed(one: WeightSet, found: list[WeightSet]) -> WeightSet:
    """An average with the tensors that it lacks and the weights have, such as the statistics of
    batch norms: an average may be of parameters alone.
    """
    if not one.averaged or one.is_shadow:
        return one
    for other in found:
        if other is one or other.averaged:
            continue
        lacks = other.shapes.keys() - one.shapes.keys()
        same = all(other.shapes.get(key) == shape for key, shape in one.shapes.items())
        if same and lacks and _weights(_bare(other.tensors)) <= one.shapes.keys():
            own = _bare(one.tensors)
            full = {
                key: own.get(name, other.tensors[key])
                for name, key in _names(other.tensors).items()
            }
            return replace(one, tensors=full)
    return one
