"""What a pickle becomes when it is read as data: inert values, and the few calls that are carried
out on them, those that rebuild a tensor or a dict.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any, NoReturn

from bdshift.words import Sentence

_MAX_DIMENSIONS = 64


class PickleError(Exception):
    """The pickle is broken, truncated, or uses something that no checkpoint needs.

    Attributes:
        sentence: what is wrong, in short.
        names: what it had named up to that point.
    """

    names: tuple[Name, ...] = ()

    def __init__(self, template: str, /, **values: Any) -> None:
        self.sentence = Sentence(template, values)
        super().__init__(str(self.sentence))


@dataclass(frozen=True)
class Name:
    """A class or function that the file names: ``Name("torch", "FloatStorage")``."""

    module: str
    name: str

    def __str__(self) -> str:
        return f"{self.module}.{self.name}"


@dataclass(eq=False)
class Opaque:
    """A call that was recorded instead of made; ``what`` is the name of what it would call."""

    what: str
    args: Any = ()
    state: Any = None


@dataclass(frozen=True)
class StorageRef:
    """Persistent id of a block of numbers elsewhere in the file.

    ``view`` is (offset, numel) in elements if it is a part of another one (old torch files).
    """

    key: str
    kind: Name
    numel: int
    view: tuple[int, int] | None = None


@dataclass(frozen=True)
class TensorRef:
    """A strided view into a storage; numbers are in elements. ``dtype`` overrides the storage's."""

    storage: StorageRef
    offset: int
    shape: tuple[int, ...]
    stride: tuple[int, ...]
    dtype: Name | None = None


_KEYS = (str, bytes, int, float, bool, type(None), Name)


def refuse(template: str, /, **values: Any) -> NoReturn:
    """Raise `PickleError`."""
    raise PickleError(template, **values)


def _integers(value: Any, what: str) -> tuple[int, ...]:
    if not isinstance(value, (tuple, list)) or len(value) > _MAX_DIMENSIONS:
        refuse(
            "a tensor's {what} is not a list of at most {most} sizes",
            what=what, most=_MAX_DIMENSIONS,
        )  # fmt: skip
    if not all(type(v) is int and v >= 0 for v in value):
        refuse("a tensor's {what} holds something that is not a size", what=what)
    return tuple(value)


def _tensor(args: tuple[Any, ...]) -> Any:
    """torch._utils._rebuild_tensor(_v2, _v3): storage, offset, size, stride, …, dtype (v3)."""
    if len(args) < 4 or not isinstance(args[0], StorageRef) or type(args[1]) is not int:
        refuse("a tensor is rebuilt from something that is not a storage")
    shape, stride = _integers(args[2], "shape"), _integers(args[3], "stride")
    if len(shape) != len(stride) or args[1] < 0:
        refuse("a tensor's shape and stride do not match")
    if any(isinstance(arg, dict) and arg for arg in args[6:]):  # which torch.load would resolve
        refuse("a tensor is a negated or conjugated view of its numbers")
    dtype = args[6] if len(args) > 6 and isinstance(args[6], Name) else None
    return TensorRef(args[0], args[1], shape, stride, dtype)


def _pairs(args: tuple[Any, ...]) -> Any:
    """collections.OrderedDict, Counter, defaultdict: from nothing, a dict, or pairs."""
    given = args[-1] if args else ()
    if isinstance(given, dict):
        return given
    found: dict[Any, Any] = {}
    if isinstance(given, (list, tuple)):
        for pair in given:
            if not isinstance(pair, (list, tuple)) or len(pair) != 2:
                refuse("a dict is built from something that is not a pair")
            set_item(found, pair[0], pair[1])
    return found


def _encode(args: tuple[Any, ...]) -> Any:
    """_codecs.encode(text, "latin1"): how Python 3 writes bytes in protocol 2."""
    if len(args) == 2 and isinstance(args[0], str) and args[1] in ("latin1", "latin-1"):
        return args[0].encode("latin-1", "replace")
    return Opaque("_codecs.encode", args)


def _typed(args: tuple[Any, ...]) -> Any:
    """torch._tensor._rebuild_from_type_v2(function, type, arguments, state): a tensor with its own
    attributes, which are not needed here.
    """
    if len(args) == 4 and isinstance(args[0], Name) and isinstance(args[2], tuple):
        rebuild = REBUILD.get(str(args[0]))
        if rebuild in (_tensor, _first):  # which copy nothing long
            return rebuild(args[2])
    return Opaque("torch._tensor._rebuild_from_type_v2", args)


def _first(args: tuple[Any, ...]) -> Any:
    return args[0] if args else None


REBUILD: dict[str, Callable[[tuple[Any, ...]], Any]] = {
    "torch._utils._rebuild_tensor": _tensor,
    "torch._utils._rebuild_tensor_v2": _tensor,
    "torch._utils._rebuild_tensor_v3": _tensor,
    "torch._tensor._rebuild_from_type_v2": _typed,
    "torch._utils._rebuild_parameter": _first,
    "torch._utils._rebuild_parameter_with_state": _first,
    "torch.nn.parameter.Parameter": _first,
    "torch.Size": _first,
    "collections.OrderedDict": _pairs,
    "collections.Counter": _pairs,
    "collections.defaultdict": _pairs,
    "_codecs.encode": _encode,
}
"""The calls that are carried out, by what they name."""


def set_item(target: Any, key: Any, value: Any) -> None:
    """Keys that could be slow or deep to hash (nested tuples) are kept by identity."""
    if not isinstance(target, dict):
        return  # an item set on a recorded call: nothing here reads it
    safe: Hashable = key if isinstance(key, _KEYS) else Opaque("key", (key,))
    target[safe] = value
