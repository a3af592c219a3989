"""Dataclasses become plain JSON, and plain JSON dataclasses again, every value held to its field's
type.

A file that was damaged, or made to do damage, fails here in one place and not somewhere in a table.
"""

from __future__ import annotations

import math
import types
import typing
from collections.abc import Collection
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

from bdshift.text import json_number


def plain(value: Any, without: Collection[str] = ()) -> Any:
    """``value``, made of what `read_as` reads, as JSON has it: what is no number is null, a path is
    text. The fields ``without`` are left out, of a dataclass that is given and not of those in it.
    """
    if is_dataclass(value):
        kept = (field.name for field in fields(value) if field.name not in without)
        return {name: plain(getattr(value, name)) for name in kept}
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, tuple):
        return [plain(item) for item in value]
    if isinstance(value, Path):
        return str(value)
    return json_number(value) if isinstance(value, float) else value


def read_as(kind: Any, value: Any) -> Any:
    """``value``, which `json` gave, as the type ``kind``.

    ``kind`` is str, int, bool, float (null is NaN), Path, None, a Literal, a union, a tuple, a dict
    with text keys, or a dataclass of these. Raises `TypeError` if the value is of another type.
    """
    origin, args = typing.get_origin(kind), typing.get_args(kind)
    if origin in (types.UnionType, typing.Union):
        return _read_union(args, value)
    if origin is typing.Literal:
        if value in args:
            return value
    elif kind is float:
        if value is None:
            return math.nan
        if type(value) in (int, float):
            return float(value)
    elif kind is Path:
        return Path(read_as(str, value))
    elif kind is types.NoneType:
        if value is None:
            return None
    elif origin is tuple and isinstance(value, list):
        return _read_tuple(args, value)
    elif origin is dict and isinstance(value, dict):
        return {key: read_as(args[1], item) for key, item in value.items()}
    elif is_dataclass(kind):
        return build(kind, value)
    elif type(value) is kind:
        return value
    raise TypeError(f"{str(value)[:40]!r} is no {getattr(kind, '__name__', kind)}")


def build(kind: Any, value: Any, **given: Any) -> Any:
    """A dataclass from a JSON object with exactly its fields, less those ``given``."""
    if not isinstance(value, dict):
        raise TypeError(f"{str(value)[:40]!r} is no {kind.__name__}")
    hints = typing.get_type_hints(kind)
    wanted = {field.name for field in fields(kind)} - given.keys()
    if wanted != value.keys():
        raise TypeError(f"{kind.__name__} has other fields: {sorted(wanted ^ value.keys())}")
    return kind(**given, **{name: read_as(hints[name], value[name]) for name in wanted})


def _read_tuple(args: tuple[Any, ...], value: list[Any]) -> tuple[Any, ...]:
    if len(args) == 2 and args[1] is Ellipsis:
        return tuple(read_as(args[0], item) for item in value)
    if len(args) != len(value):
        raise TypeError(f"{len(value)} values where {len(args)} belong")
    return tuple(read_as(one, item) for one, item in zip(args, value, strict=True))


def _read_union(args: tuple[Any, ...], value: Any) -> Any:
    if value is None and types.NoneType in args:
        return None
    for one in args:
        if one is not types.NoneType:
            try:
                return read_as(one, value)
            except TypeError:
                continue
    raise TypeError(f"{str(value)[:40]!r} is none of {args}")
