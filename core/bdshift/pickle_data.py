"""Read a pickle as data: a stack machine over inert values, which imports and calls nothing.

Python's unpickler, and torch's ``weights_only`` one with a shorter list, build objects by calling
what the file names. This one never does. Every name becomes a `Name`, and every call an `Opaque`
record of it; the few calls that rebuild a tensor or a dict are carried out here, on plain values.
So there is no object whose method a hostile file could reach, and memory stays within a small
multiple of the pickle's own size.
"""

from __future__ import annotations

import io
import pickletools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO

from bdshift.pickle_values import (
    REBUILD,
    Name,
    Opaque,
    PickleError,
    StorageRef,
    refuse,
    set_item,
)

MAX_OPERATIONS = 2_000_000
"""Limit for a whole file, pickles in its pickles included: a few seconds of work. A network of a
thousand tensors, each with Adam's two moments, takes about 60 000.
"""

LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
"""The first value of torch's older format, and the only integer beyond 64 bits that is kept."""

_NESTED_OPERATIONS = 1000
_MAX_NAME_LENGTH = 512
_MAX_REASON_LENGTH = 200  # Python's own message may repeat what it could not read, all of it
_MAX_NAMES = 20_000  # TorchScript has a class for each of its modules
_MAX_INTEGER = 2**63  # larger ones are slow to hash, multiply and print, and nothing needs them


@dataclass(frozen=True)
class Unpickled:
    """The value; every name the pickle mentions, in order of first mention; every storage; how many
    operations it took; and the bytes of storages inside the pickle itself, by their key.
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


class _Machine:
    """The stack, the memo, and one method for each group of opcodes."""

    def __init__(self, may_nest: bool, operations: int) -> None:
        self.may_nest = may_nest
        self.left = operations
        self.nested_data: dict[str, bytes] = {}
        self.texts: dict[Name, str] = {}
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}
        self.names: dict[Name, None] = {}
        self.storages: dict[StorageRef, None] = {}
        self.position = 0
        self.copied = 0
        self.opened = 0

    def pop_mark(self) -> list[Any]:
        for position in range(len(self.stack) - 1, -1, -1):
            if self.stack[position] is _MARK:
                items = self.stack[position + 1 :]
                del self.stack[position:]
                return items
        refuse("a mark is missing")

    def name(self, module: Any, name: Any) -> Name:
        if not isinstance(module, str) or not isinstance(name, str):
            refuse("a name is not text")
        if len(module) + len(name) > _MAX_NAME_LENGTH:
            refuse("a name is longer than any class's")
        found = Name(module, name)
        self.count_name(found)
        self.texts.setdefault(found, str(found))
        return found

    def count_name(self, name: Name) -> None:
        self.names[name] = None
        if len(self.names) > _MAX_NAMES:
            refuse("it names more than {most:,} classes", most=_MAX_NAMES)

    def call(self, what: Any, args: Any) -> Any:
        """Record a call, or rebuild what is in `REBUILD`."""
        if not isinstance(args, tuple):
            refuse("a call's arguments are not a tuple")
        if not isinstance(what, Name):
            return Opaque("a call of a value", (what, args))
        if str(what) == "torch.storage._load_from_bytes":
            return self.nested(args)
        text = self.texts[what]  # one text for all calls of it
        rebuild = REBUILD.get(text)
        if rebuild is None:
            return Opaque(text, args)
        # What is copied was read once before. A short loop over one long memo entry is a bomb.
        self.copied += sum(len(arg) for arg in args if isinstance(arg, (str, list, tuple)))
        if self.copied > self.position:
            refuse("it copies the same values again and again")
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
            refuse("a persistent id is not a storage")
        view = pid[5] if len(pid) > 5 else None
        if view is not None:
            if not isinstance(view, tuple) or len(view) != 3:
                refuse("a storage's view is broken")
            _, offset, numel = view
            if type(offset) is not int or type(numel) is not int or offset < 0 or numel < 0:
                refuse("a storage's view is broken")
            view = (offset, numel)
        found = StorageRef(str(pid[2]), pid[1], pid[4], view)
        self.storages[found] = None
        return found

    def nested(self, args: tuple[Any, ...]) -> StorageRef:
        """torch.storage._load_from_bytes(data): a storage in a plain ``pickle.dump``, stored as a
        whole file in torch's older format inside this one.
        """
        if len(args) != 1 or not isinstance(args[0], bytes) or not self.may_nest:
            refuse("a file in it is not a storage's bytes")
        self.opened += len(args[0])
        if self.opened > self.position:
            refuse("it opens the same file inside it again and again")
        stream = io.BytesIO(args[0])
        parts = []
        for _ in range(5):
            parts.append(_read(stream, min(_NESTED_OPERATIONS, self.left), may_nest=False))
            self.left -= parts[-1].operations
            for name in parts[-1].names:
                self.count_name(name)
        ref = parts[3].value
        if parts[0].value != LEGACY_MAGIC or not isinstance(ref, StorageRef):
            refuse("a file in it is not a storage")
        found = StorageRef(f"nested/{len(self.nested_data)}", ref.kind, ref.numel)
        self.nested_data[found.key] = args[0][stream.tell() + 8 :]  # after its number of elements
        self.storages[found] = None
        return found

    def build(self) -> None:
        state = self.stack.pop()
        target = self.stack[-1]
        if isinstance(target, Opaque):
            target.state = state  # on a dict, it is the _metadata of a state_dict: not needed

    def step(self, op: str, arg: Any) -> None:
        stack = self.stack
        if op in _LITERALS:
            if type(arg) is int and not -_MAX_INTEGER <= arg < _MAX_INTEGER and arg != LEGACY_MAGIC:
                arg = Opaque("a large integer")
            stack.append(arg)
        elif op in _CONSTANTS:
            stack.append(_CONSTANTS[op])
        elif op in ("BINPUT", "LONG_BINPUT", "PUT"):
            if arg >= MAX_OPERATIONS:
                refuse("a memo number is too large")
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
                refuse("the stack is empty")
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
            set_item(stack[-1], key, value)
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
            refuse("opcode {op} is not used by checkpoints", op=op)

    def set_items(self, items: list[Any]) -> None:
        if len(items) % 2:
            refuse("a dict has a key without a value")
        for key, value in zip(items[::2], items[1::2], strict=True):
            set_item(self.stack[-1], key, value)


def read_pickle(stream: BinaryIO, operations: int = MAX_OPERATIONS) -> Unpickled:
    """Read one pickle of any protocol from ``stream``, leaving it right after the pickle. It may
    take at most ``operations``.

    dicts, lists, tuples, numbers and text come back as such; tensors as `TensorRef`; everything
    else as `Name` and `Opaque`. A value may contain itself: walk it with a bounded depth.

    Raises `PickleError`.
    """
    return _read(stream, operations, may_nest=True)


def _read(stream: BinaryIO, operations: int, *, may_nest: bool) -> Unpickled:
    machine = _Machine(may_nest, operations)
    try:
        _run(machine, stream)
    except PickleError as error:
        error.names = (*machine.names, *error.names)
        raise
    return Unpickled(
        machine.stack[0],
        tuple(machine.names),
        tuple(machine.storages),
        operations - machine.left,
        machine.nested_data,
    )


def _run(machine: _Machine, stream: BinaryIO) -> None:
    start = stream.tell()
    try:
        for opcode, arg, position in pickletools.genops(stream):
            machine.left -= 1
            if machine.left < 0:
                refuse("it has too many operations")
            machine.position = (position or 0) - start
            machine.step(opcode.name, arg)
    except (IndexError, KeyError):
        refuse("it takes something that is not on its stack")
    except (ValueError, TypeError, AttributeError, OverflowError, EOFError, Warning) as error:
        reason = str(error)[:_MAX_REASON_LENGTH]
        refuse("it is cut off or not a pickle ({reason})", reason=reason)
    if len(machine.stack) != 1 or machine.stack[0] is _MARK:
        refuse("it leaves nothing, or more than one value")
