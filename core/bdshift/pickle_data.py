"""Read a pickle as data: a stack machine over inert values, which imports and calls nothing.

Python's unpickler, and torch's ``weights_only`` one on top of a shorter list, build objects by
calling what the file names. This one never does. Every name becomes a `Name`, every call an
`Opaque` record of it; the few that rebuild a tensor or a dict are carried out here, on plain
values. So there is no object whose method a hostile file could reach, and memory stays within a
small multiple of the pickle's own size.
"""

from __future__ import annotations

import io
import pickletools
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO, NoReturn

MAX_OPERATIONS = 2_000_000
"""Of a whole file: some seconds of work. A network of a thousand tensors with Adam's two moments
beside each takes about 60 000.
"""

LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
"""The first value of torch's older format, and the only integer beyond 64 bits that is kept."""

_NESTED_OPERATIONS = 1000
_MAX_NAME = 512  # characters
_MAX_NAMES = 20_000  # TorchScript has a class for each of its modules
_MOST = 2**63  # larger integers are slow to hash, to multiply and to print, and nothing needs them


class PickleError(Exception):
    """The pickle is broken, truncated, or uses what no checkpoint needs. Says what, shortly.

    Attributes:
        names: what it had named until then.
    """

    names: tuple[Name, ...] = ()


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

    ``view`` is (offset, numel) in elements when it is a part of another one (old torch files).
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


@dataclass(frozen=True)
class Unpickled:
    """The value; every name the pickle mentions, in order of first mention; every storage; how many
    operations it took; and the bytes of storages that lie in the pickle itself, by their key.
    """

    value: Any
    names: tuple[Name, ...]
    storages: tuple[StorageRef, ...]
    operations: int
    nested: Mapping[str, bytes]


_MARK = object()
_CONSTANTS: dict[str, Any] = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_LITERALS = frozenset(
    "INT BININT BININT1 BININT2 LONG LONG1 LONG4 FLOAT BINFLOAT STRING BINSTRING SHORT_BINSTRING "
    "BINBYTES SHORT_BINBYTES BINBYTES8 BYTEARRAY8 UNICODE SHORT_BINUNICODE BINUNICODE "
    "BINUNICODE8".split()
)
_KEYS = (str, bytes, int, float, bool, type(None), Name)


def _bad(reason: str) -> NoReturn:
    raise PickleError(reason)


def _integers(value: Any, what: str) -> tuple[int, ...]:
    if not isinstance(value, (tuple, list)) or len(value) > 64:
        _bad(f"a tensor's {what} is not a list of at most 64 sizes")
    if not all(type(v) is int and v >= 0 for v in value):
        _bad(f"a tensor's {what} holds what is no size")
    return tuple(value)


def _tensor(args: tuple[Any, ...]) -> Any:
    """torch._utils._rebuild_tensor(_v2, _v3): storage, offset, size, stride, …, dtype (v3)."""
    if len(args) < 4 or not isinstance(args[0], StorageRef) or type(args[1]) is not int:
        _bad("a tensor is rebuilt from something that is no storage")
    shape, stride = _integers(args[2], "shape"), _integers(args[3], "stride")
    if len(shape) != len(stride) or args[1] < 0:
        _bad("a tensor's shape and stride do not fit")
    if any(isinstance(arg, dict) and arg for arg in args[6:]):
        _bad("a tensor is a negated or conjugated view of its numbers")  # torch.load would turn it
    dtype = args[6] if len(args) > 6 and isinstance(args[6], Name) else None
    return TensorRef(args[0], args[1], shape, stride, dtype)


def _pairs(args: tuple[Any, ...]) -> Any:
    """collections.OrderedDict, Counter, defaultdict: of nothing, of a dict, or of pairs."""
    given = args[-1] if args else ()
    if isinstance(given, dict):
        return given
    found: dict[Any, Any] = {}
    if isinstance(given, (list, tuple)):
        for pair in given:
            if not isinstance(pair, (list, tuple)) or len(pair) != 2:
                _bad("a dict is built from something that is no pair")
            _set_item(found, pair[0], pair[1])
    return found


def _encode(args: tuple[Any, ...]) -> Any:
    """_codecs.encode(text, "latin1"): how Python 3 writes bytes in protocol 2."""
    if len(args) == 2 and isinstance(args[0], str) and args[1] in ("latin1", "latin-1"):
        return args[0].encode("latin-1", "replace")
    return Opaque("_codecs.encode", args)


def _typed(args: tuple[Any, ...]) -> Any:
    """torch._tensor._rebuild_from_type_v2(function, type, arguments, state): a tensor that has
    attributes of its own, which are of no use here.
    """
    if len(args) == 4 and isinstance(args[0], Name) and isinstance(args[2], tuple):
        rebuild = _REBUILD.get(str(args[0]))
        if rebuild is not None and rebuild is not _typed:
            return rebuild(args[2])
    return Opaque("torch._tensor._rebuild_from_type_v2", args)


def _first(args: tuple[Any, ...]) -> Any:
    return args[0] if args else None


_REBUILD: dict[str, Callable[[tuple[Any, ...]], Any]] = {
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


def _set_item(target: Any, key: Any, value: Any) -> None:
    """Keys that could be slow or deep to hash (nested tuples) are kept by identity."""
    if not isinstance(target, dict):
        return  # an item set on a recorded call: nothing of ours reads it
    safe: Hashable = key if isinstance(key, _KEYS) else Opaque("key", (key,))
    target[safe] = value


class _Machine:
    """The stack, the memo, and one method for each group of opcodes."""

    def __init__(self, may_nest: bool) -> None:
        self.may_nest = may_nest
        self.nested_data: dict[str, bytes] = {}
        self.texts: dict[Name, str] = {}
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}
        self.names: dict[Name, None] = {}
        self.storages: dict[StorageRef, None] = {}
        self.position = 0
        self.copied = 0

    def pop_mark(self) -> list[Any]:
        for position in range(len(self.stack) - 1, -1, -1):
            if self.stack[position] is _MARK:
                items = self.stack[position + 1 :]
                del self.stack[position:]
                return items
        _bad("a mark is missing")

    def name(self, module: Any, name: Any) -> Name:
        if not isinstance(module, str) or not isinstance(name, str):
            _bad("a name is not text")
        if len(module) + len(name) > _MAX_NAME:
            _bad("a name is longer than any class's")
        found = Name(module, name)
        self.names[found] = None
        if len(self.names) > _MAX_NAMES:
            _bad("it names more classes than any network has")
        self.texts.setdefault(found, str(found))
        return found

    def call(self, what: Any, args: Any) -> Any:
        """Record a call, or rebuild what is in `_REBUILD`."""
        if not isinstance(args, tuple):
            _bad("a call's arguments are no tuple")
        if not isinstance(what, Name):
            return Opaque("a call of a value", (what, args))
        if str(what) == "torch.storage._load_from_bytes":
            return self.nested(args)
        text = self.texts[what]  # one text for all calls of it
        rebuild = _REBUILD.get(text)
        if rebuild is None:
            return Opaque(text, args)
        # What is copied was read before, once. A short loop over one long memo entry is a bomb.
        self.copied += sum(len(arg) for arg in args if isinstance(arg, (str, list, tuple)))
        if self.copied > self.position:
            _bad("it copies the same values again and again")
        return rebuild(args)

    def persistent(self, pid: Any) -> Any:
        if isinstance(pid, tuple) and len(pid) == 4 and pid[0] in ("module", b"module"):
            return pid[1]  # a module's class in torch's older format, with its source text
        if (
            not isinstance(pid, tuple)
            or len(pid) < 5
            or pid[0] not in ("storage", b"storage")
            or not isinstance(pid[1], Name)
            or type(pid[2]) not in (str, int)
            or type(pid[4]) is not int
            or pid[4] < 0
        ):
            _bad("a persistent id is not a storage")
        view = pid[5] if len(pid) > 5 else None
        if view is not None:
            if not isinstance(view, tuple) or len(view) != 3:
                _bad("a storage's view is broken")
            _, offset, numel = view
            if type(offset) is not int or type(numel) is not int or offset < 0 or numel < 0:
                _bad("a storage's view is broken")
            view = (offset, numel)
        found = StorageRef(str(pid[2]), pid[1], pid[4], view)
        self.storages[found] = None
        return found

    def nested(self, args: tuple[Any, ...]) -> StorageRef:
        """torch.storage._load_from_bytes(data): a storage in a plain ``pickle.dump``, as a whole
        older file of torch's in the bytes of this one.
        """
        if len(args) != 1 or not isinstance(args[0], bytes) or not self.may_nest:
            _bad("a file in it is not a storage's bytes")
        stream = io.BytesIO(args[0])
        parts = []
        for _ in range(5):
            parts.append(_read(stream, _NESTED_OPERATIONS, may_nest=False))
            self.names.update(dict.fromkeys(parts[-1].names))
        ref = parts[3].value
        if parts[0].value != LEGACY_MAGIC or not isinstance(ref, StorageRef):
            _bad("a file in it is no storage")
        found = StorageRef(f"nested/{len(self.nested_data)}", ref.kind, ref.numel)
        self.nested_data[found.key] = args[0][stream.tell() + 8 :]  # behind its number of elements
        self.storages[found] = None
        return found

    def build(self) -> None:
        state = self.stack.pop()
        target = self.stack[-1]
        if isinstance(target, Opaque):
            target.state = state  # on a dict it is state_dict's _metadata: not needed

    def step(self, op: str, arg: Any) -> None:
        stack = self.stack
        if op in _LITERALS:
            if type(arg) is int and not -_MOST <= arg < _MOST and arg != LEGACY_MAGIC:
                arg = Opaque("a large integer")
            stack.append(arg)
        elif op in _CONSTANTS:
            stack.append(_CONSTANTS[op])
        elif op in ("BINPUT", "LONG_BINPUT", "PUT"):
            if arg >= MAX_OPERATIONS:
                _bad("a memo's number is too large")
            self.memo[arg] = stack[-1]
        elif op == "MEMOIZE":
            self.memo[len(self.memo)] = stack[-1]
        elif op in ("BINGET", "LONG_BINGET", "GET"):
            stack.append(self.memo[arg])
        elif op == "MARK":
            stack.append(_MARK)
        elif op in ("EMPTY_TUPLE", "EMPTY_LIST", "EMPTY_DICT", "EMPTY_SET"):
            stack.append({"T": (), "L": [], "D": {}}.get(op[6], []))
        elif op in ("TUPLE1", "TUPLE2", "TUPLE3"):
            count = int(op[5])
            if len(stack) < count:
                _bad("the stack is empty")
            stack[-count:] = [tuple(stack[-count:])]
        elif op == "TUPLE":
            stack.append(tuple(self.pop_mark()))
        elif op in ("LIST", "FROZENSET"):
            stack.append(self.pop_mark())
        elif op == "DICT":
            items = self.pop_mark()
            stack.append({})
            self.set_items(items)
        elif op == "SETITEM":
            value, key = stack.pop(), stack.pop()
            _set_item(stack[-1], key, value)
        elif op == "SETITEMS":
            self.set_items(self.pop_mark())
        elif op in ("APPEND", "APPENDS", "ADDITEMS"):
            items = [stack.pop()] if op == "APPEND" else self.pop_mark()
            if isinstance(stack[-1], list):
                stack[-1].extend(items)
        elif op in ("GLOBAL", "STACK_GLOBAL"):
            if op == "GLOBAL":
                module, _, name = arg.partition(" ")
            else:
                name, module = stack.pop(), stack.pop()
            stack.append(self.name(module, name))
        elif op in ("REDUCE", "NEWOBJ"):
            args, what = stack.pop(), stack.pop()
            stack.append(self.call(what, args))
        elif op == "NEWOBJ_EX":
            _, args, what = stack.pop(), stack.pop(), stack.pop()
            stack.append(self.call(what, args))
        elif op in ("INST", "OBJ"):
            items = self.pop_mark()
            what = self.name(*arg.split(" ", 1)) if op == "INST" else items.pop(0)
            stack.append(self.call(what, tuple(items)))
        elif op == "BUILD":
            self.build()
        elif op == "BINPERSID":
            stack.append(self.persistent(stack.pop()))
        elif op == "POP":
            stack.pop()
        elif op == "POP_MARK":
            self.pop_mark()
        elif op == "DUP":
            stack.append(stack[-1])
        elif op not in ("PROTO", "FRAME", "STOP"):
            _bad(f"opcode {op} is not used by checkpoints")

    def set_items(self, items: list[Any]) -> None:
        if len(items) % 2:
            _bad("a dict has a key without a value")
        for key, value in zip(items[::2], items[1::2], strict=True):
            _set_item(self.stack[-1], key, value)


def read_pickle(stream: BinaryIO, operations: int = MAX_OPERATIONS) -> Unpickled:
    """Read one pickle of any protocol from ``stream``, leaving it just behind the pickle. It may
    take at most ``operations``.

    dicts, lists, tuples, numbers and text come back as such; tensors as `TensorRef`; all else as
    `Name` and `Opaque`. A value may contain itself: walk it with a bounded depth.

    Raises `PickleError`.
    """
    return _read(stream, operations, may_nest=True)


def _read(stream: BinaryIO, operations: int, *, may_nest: bool) -> Unpickled:
    machine = _Machine(may_nest)
    try:
        count = _run(machine, stream, operations)
    except PickleError as error:
        error.names = (*machine.names, *error.names)
        raise
    return Unpickled(
        machine.stack[0],
        tuple(machine.names),
        tuple(machine.storages),
        count,
        machine.nested_data,
    )


def _run(machine: _Machine, stream: BinaryIO, operations: int) -> int:
    start = stream.tell()
    count = 0
    try:
        for opcode, arg, position in pickletools.genops(stream):
            count += 1
            if count > operations:
                _bad("it has too many operations")
            machine.position = (position or 0) - start
            machine.step(opcode.name, arg)
    except (IndexError, KeyError):
        _bad("it takes what is not on its stack")
    except (ValueError, TypeError, AttributeError, OverflowError, EOFError, Warning) as error:
        _bad(f"it is cut off or no pickle ({error})")
    if len(machine.stack) != 1 or machine.stack[0] is _MARK:
        _bad("it leaves nothing, or more than one value")
    return count
