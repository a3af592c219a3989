"""Finds the state dict in a checkpoint, and remembers how it was stored, for the export."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from bdshift.checkpoints.described.network import DescribedNetwork
from bdshift.checkpoints.folding import fold
from bdshift.checkpoints.foreign_models import no_weights
from bdshift.checkpoints.keys import cleaned
from bdshift.checkpoints.listing import first_few
from bdshift.checkpoints.objects import TENSOR_KINDS, SavedLayer, SavedModule, layers_under
from bdshift.checkpoints.reader import CheckpointFile
from bdshift.checkpoints.tensors import LazyTensor
from bdshift.checkpoints.weight_sets import (
    Path,
    WeightSet,
    is_note,
    state_dicts,
    tensor_lists,
    weight_sets,
)
from bdshift.errors import InputError, SeveralModels, UsageError
from bdshift.pickle_values import Opaque

if TYPE_CHECKING:
    import torch

    from bdshift.checkpoints.families import Candidate

_WRAPPERS = (
    "state_dict", "model_state_dict", "model", "net", "netC", "clsmodel", "network", "classifier",
    "model_state", "weights", "params",
)  # fmt: skip
_DESCRIBES = (
    "model_name", "arch", "architecture", "num_classes", "img_size", "image_size", "classes",
    "class_names", "class_to_idx",
)  # fmt: skip
"""Entries next to the weights that programs look for, and that also hold for other weights."""

_MAX_KEY_LENGTH = 512  # the longest in real networks are under 100 characters
_MAX_MODELS = 10_000  # a file may keep each layer's tensors in a dict of its own
_MAX_LISTED = 12  # models, in an error

IN_MEMORY = "memory"
"""Container of a module that came from no file."""

PROGRAMS = ("TorchScript", "torch.export")
"""Containers that hold a program besides the weights; it is neither read nor run."""


@dataclass(frozen=True)
class Layout:
    """How the weights were stored in the file, to write them back the same way.

    Attributes:
        container: as in `CheckpointFile`.
        wrapper: keys from the outermost dict down to the state dict; () for a bare one.
        prefix: what was in front of every key, such as ``module.``.
        inside: full keys in the file of tensors that had a wrapper's name inside theirs.
        dtypes: of each tensor, by its key without the prefix.
        beside: keys next to the state dict in its wrappers.
        kind: class of a whole pickled module; "" for a state dict.
        folded: weights stored as a product (`bdshift.checkpoints.folding`), by key: how, and the
            keys of the factors.
        repeated: keys in the file of tensors that are the same numbers under another name, each
            with the key of the one that the network uses.
        others: where the file's other models are, such as ``netG``.
        weights: which of the file's models it is; "" for the only one.
        copies: other weights of the same network, such as those that it is the average of, unless
            this model was asked for by its name.
        tensors: as stored in the file, by their full keys.
        described: what is stored next to the weights and says which network they belong to.
    """

    container: str
    wrapper: Path
    prefix: str
    dtypes: Mapping[str, str]
    beside: tuple[str, ...]
    kind: str = ""
    folded: Mapping[str, tuple[str, tuple[str, ...]]] = field(default_factory=dict)
    inside: Mapping[str, str] = field(default_factory=dict)
    repeated: Mapping[str, str] = field(default_factory=dict)
    others: tuple[str, ...] = ()
    weights: str = ""
    copies: tuple[str, ...] = ()
    tensors: Mapping[str, LazyTensor] = field(default_factory=dict)
    described: Mapping[str, Any] = field(default_factory=dict)

    def in_file(self, key: str) -> str:
        """The tensor's full key in the file."""
        return self.inside.get(key, self.prefix + key)

    @property
    def has_code(self) -> bool:
        """Whether the file holds or names its author's code, which an export in the original format
        keeps: a program, or the classes of a whole module.
        """
        return bool(self.kind) or self.container in PROGRAMS


@dataclass(frozen=True)
class StateDict:
    """The model's tensors by name, without prefix, and the layout they had.

    Attributes:
        tensors: in the file's order.
        layout: how they were stored.
        layers: what a pickled module says about its layers, paths without the prefix.
        network: the one that the file describes; None if it describes none.
    """

    tensors: Mapping[str, LazyTensor]
    layout: Layout
    layers: tuple[SavedLayer, ...] = ()
    network: Candidate | None = None

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of each tensor."""
        return {key: tensor.shape for key, tensor in self.tensors.items()}

    def load(self) -> dict[str, torch.Tensor]:
        """All tensors in memory, in their own dtypes.

        Raises `InputError` if the file is cut off.
        """
        return {key: tensor.load() for key, tensor in self.tensors.items()}

    def under(self, prefix: str) -> StateDict:
        """Only the tensors whose keys begin with ``prefix``, which is removed."""
        if not prefix:
            return self
        tensors = {k[len(prefix) :]: t for k, t in self.tensors.items() if k.startswith(prefix)}
        dtypes = {key: tensor.dtype for key, tensor in tensors.items()}
        folded = {
            key[len(prefix) :]: way
            for key, way in self.layout.folded.items()
            if key.startswith(prefix)
        }
        inside = {
            key[len(prefix) :]: full
            for key, full in self.layout.inside.items()
            if key.startswith(prefix)
        }
        layout = replace(
            self.layout, prefix=self.layout.prefix + prefix, dtypes=dtypes, folded=folded,
            inside=inside,
        )  # fmt: skip
        return StateDict(tensors, layout, layers_under(self.layers, prefix))

    def with_repeated(self, copies: Mapping[str, str]) -> StateDict:
        """The same, knowing which tensors that it lacks are copies of its own."""
        held = {self.layout.in_file(key): key for key in self.tensors}
        full = {copy: held[key] for copy, key in copies.items() if key in held}
        return replace(self, layout=replace(self.layout, repeated=full))

    def without(self, keys: Iterable[str]) -> StateDict:
        """All but the tensors ``keys``."""
        left_out = set(keys)
        if not left_out:
            return self
        tensors = {key: tensor for key, tensor in self.tensors.items() if key not in left_out}
        dtypes = {key: tensor.dtype for key, tensor in tensors.items()}
        return StateDict(tensors, replace(self.layout, dtypes=dtypes), self.layers)


def find_state_dict(file: CheckpointFile, which: str | None = None) -> StateDict:
    """The model's state dict, wherever it is in the file.

    If there are several, the one at ``which`` (keys joined by dots), else the one under the most
    usual key, or the average of it.

    Raises `InputError` if there is none, or if its tensors claim more bytes than the file could
    hold, `UsageError` if there is none at ``which``, `SeveralModels` if none is the usual one.
    """
    models = _models(file)
    lists = [one for one in tensor_lists(file.value) if not any(map(_is_long, one[0]))]
    names = {one.name: one for one in weight_sets(models, lists)}
    chosen = names[_choose(file, names, which)]
    path, tensors = chosen.path, chosen.tensors
    copies = [] if which is not None else [
        name for name, one in names.items()
        if one is not chosen and one.is_of_the_network_of(chosen)
    ]  # fmt: skip
    source: Any = file.value
    for key in path:
        source = source[key]
    if isinstance(source, Mapping):
        _refuse_unread(file, source)
    _refuse_long(file, tensors)
    kept = {key: tensor for key, tensor in tensors.items() if not is_note(key, tensor)}
    folded, ways = fold(kept)
    claimed = sum(math.prod(tensor.shape) for tensor in folded.values())
    if claimed > 4 * file.size:  # at least one byte per element, and a few tied weights
        raise InputError(
            "{path}: its tensors claim more numbers than the file holds", path=file.path
        )
    network = source.candidate if isinstance(source, DescribedNetwork) else None
    prefix, folded, inside = cleaned(folded) if network is None else ("", folded, {})
    is_module = isinstance(source, SavedModule)
    layout = Layout(
        container=file.container,
        wrapper=path,
        prefix=prefix,
        dtypes={key: tensor.dtype for key, tensor in folded.items()},
        beside=tuple(_beside(file.value, path)),
        kind=source.kind if is_module else "",
        folded={
            key: ways[full] for key in folded if (full := inside.get(key, prefix + key)) in ways
        },
        inside=inside,
        others=tuple(name for name in names if name not in (chosen.name, *copies)),
        weights=chosen.name if len(names) > 1 else "",
        copies=tuple(copies),
        tensors=tensors,
        described=_described(file.value, path),
    )
    layers = layers_under(source.layers, prefix) if is_module else ()
    return StateDict(folded, layout, layers, network)


def _models(file: CheckpointFile) -> list[tuple[Path, dict[str, LazyTensor]]]:
    """The file's state dicts, at least one; their paths are short enough to be written out."""
    found = []
    for path, tensors in state_dicts(file.value):
        _refuse_long(file, path)
        found.append((path, tensors))
        if len(found) > _MAX_MODELS:
            raise InputError("{path}: holds more than {most:,} models", path=file.path,
                             most=_MAX_MODELS)  # fmt: skip
    if not found:
        raise no_weights(file)
    return found


def _is_long(name: str) -> bool:
    return len(name) > _MAX_KEY_LENGTH


def _refuse_long(file: CheckpointFile, names: Iterable[str]) -> None:
    for name in names:
        if _is_long(name):
            raise InputError(
                "{path}: a name in it has {count} characters", path=file.path, count=len(name)
            )


def _refuse_unread(file: CheckpointFile, held: Mapping[Any, Any]) -> None:
    """Raise `InputError` if a state dict holds tensors that are not read: without them it would be
    a different network.
    """
    for key, item in held.items():
        other = isinstance(item, Opaque) and item.what.startswith(TENSOR_KINDS)
        if not isinstance(key, str):
            if other or isinstance(item, LazyTensor):
                raise InputError(
                    "{path}: holds a tensor without a name, which is not read", path=file.path
                )
        elif other:
            raise InputError(
                "{path}: its {name} is a tensor of a kind that is not read",
                path=file.path, name=key[:80],
            )  # fmt: skip


def _choose(file: CheckpointFile, names: Mapping[str, WeightSet], which: str | None) -> str:
    if which is not None:
        if which not in names:
            raise UsageError(
                "{path}: holds no model {which!r}, but {names}",
                path=file.path, which=which, names=first_few(tuple(names), _MAX_LISTED),
            )  # fmt: skip
        return which
    averages = [one for one in names.values() if one.averaged]
    usual = sorted(
        (_WRAPPERS.index(one.path[-1]), len(one.path), name)
        for name, one in names.items()
        if one.path and one.path[-1] in _WRAPPERS
    )
    if usual:
        return _average_of(names[usual[0][2]], averages)
    sizes = {
        name: sum(math.prod(tensor.shape) for tensor in one.tensors.values())
        for name, one in names.items()
        if not one.averaged or not _is_of_any(one, names.values())
    }
    first, *rest = sorted(sizes, key=sizes.__getitem__, reverse=True)
    if not rest or sizes[first] >= 2 * sizes[rest[0]]:
        return _average_of(names[first], averages)
    raise SeveralModels(
        "{path}: holds several models, {names}; say which with --weights",
        path=file.path, names=first_few(tuple(names), _MAX_LISTED),
    ).with_names(tuple(names))  # fmt: skip


def _is_of_any(average: WeightSet, found: Iterable[WeightSet]) -> bool:
    return any(not one.averaged and one.is_of_the_network_of(average) for one in found)


def _average_of(one: WeightSet, averages: Sequence[WeightSet]) -> str:
    """The name of the first average of these weights, which is what training scripts validate and
    deploy; else their own.
    """
    return next((other.name for other in averages if other.is_of_the_network_of(one)), one.name)


def _described(value: Any, path: Path) -> dict[str, Any]:
    """Plain values in the innermost wrapper under the keys of `_DESCRIBES`."""
    for key in path[:-1]:
        value = value[key]
    if not path or not isinstance(value, dict):
        return {}
    found = {key: value[key] for key in _DESCRIBES if key in value}
    return {key: item for key, item in found.items() if _is_plain(item)}


def _is_plain(value: Any) -> bool:
    plain = (str, int, float)
    if isinstance(value, dict):
        return all(isinstance(k, plain) and isinstance(v, plain) for k, v in value.items())
    if isinstance(value, (list, tuple)):
        return all(isinstance(v, plain) for v in value)
    return isinstance(value, plain)


def _beside(value: Any, path: Path) -> Iterator[str]:
    for key in path:
        yield from (other for other in value if isinstance(other, str) and other != key)
        value = value[key]
