"""Turns dataclasses into plain JSON and back, checking every value against its field's type.

A damaged or malicious file fails here, in one place, and not somewhere in a table. A field that the
JSON lacks takes its default; one that no dataclass has is kept (`Reader.unknown`).
"""

from __future__ import annotations

import math
import types
import typing
from collections.abc import Callable, Collection, Mapping
from dataclasses import MISSING, fields, is_dataclass
from functools import cache
from pathlib import Path
from typing import Any

from bdshift.arrays import array_fields
from bdshift.checkpoints.users_own import OwnNetwork
from bdshift.files import KeptPath
from bdshift.registry import Configured
from bdshift.remark import Remark
from bdshift.store.datasets import Datasets
from bdshift.text import json_number
from bdshift.words import LANGUAGES, Sentence, is_known

_SCALARS = (str, int, float, bool)
_MAX_NESTED = 4  # sentences in sentences: a template may use one twice, and so may that one
_MAX_TEXT = 100_000  # characters of a value in a sentence


def plain(value: Any, without: Collection[str] = ()) -> Any:
    """``value``, made of what `Reader.read_as` reads, as JSON: NaN and infinity become null, paths
    and things with settings become text. Array fields and the fields ``without`` are left out, the
    latter only of the given dataclass and not of those in it.
    """
    if isinstance(value, (Configured, OwnNetwork)):
        return value.spec
    if isinstance(value, Sentence):
        filled = {key: plain(item) for key, item in value.values.items()}
        return {"template": value.template, "values": filled, "text": str(value)}
    if isinstance(value, Remark):
        return {"code": value.code, "values": plain(value.values), "text": str(value.sentence)}
    if is_dataclass(value):
        skipped = {*without, *array_fields(type(value))}
        kept = (one.name for one in fields(value) if one.name not in skipped)
        return {name: plain(getattr(value, name)) for name in kept}
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, tuple):
        return [plain(item) for item in value]
    if isinstance(value, (Path, KeptPath)):
        return str(value)
    if not isinstance(value, (*_SCALARS, types.NoneType)):
        return str(value)
    return json_number(value) if isinstance(value, float) else value


class Reader:
    """Builds dataclasses from JSON and datasets.

    ``sizes`` is what the letters in array fields stand for; ``parsers`` read things with settings,
    by their class. What is not known ends up in ``unknown``, by its place in the file.
    """

    def __init__(self, datasets: Datasets, parsers: Mapping[type, Callable[[str], Any]]) -> None:
        self.datasets, self._parsers = datasets, parsers
        self.sizes: dict[str, int] = {}
        self.unknown: dict[str, Any] = {}

    def build(self, kind: Any, value: Any, at: str = "", **given: Any) -> Any:
        """A dataclass from a JSON object and the datasets under ``at``; fields ``given`` are not
        looked for.
        """
        if not isinstance(value, dict):
            raise TypeError(f"{str(value)[:40]!r} is no {kind.__name__}")
        hints, arrays = _hints(kind), array_fields(kind)
        found = dict(given)
        for one in fields(kind):
            name, place = one.name, f"{at}{one.name}"
            if name in given:
                continue
            if name in arrays:
                if one.default is MISSING or place in self.datasets:
                    found[name] = self.datasets.array(place, arrays[name], self.sizes)
            elif name in value:
                found[name] = self.read_as(hints[name], value[name], f"{place}/")
            elif one.default is MISSING and one.default_factory is MISSING:
                raise TypeError(f"{kind.__name__} lacks {name}")
        for name in value.keys() - {one.name for one in fields(kind)}:
            self.unknown[at + escaped(name)] = value[name]
        made = kind(**found)
        if isinstance(made, Remark):
            _check_fit(made.sentence)
        return made

    def read_as(self, kind: Any, value: Any, at: str = "") -> Any:
        """``value``, as parsed by `json`, as the type ``kind``.

        ``kind`` is str, int, bool, float (null is NaN), Path, None, a Literal, a union, a tuple, a
        dict with string keys, a dataclass of these, or a class with settings. Raises `TypeError` if
        the value is of another type.
        """
        origin, args = typing.get_origin(kind), typing.get_args(kind)
        if origin in (types.UnionType, typing.Union):
            return self._read_union(args, value, at)
        if kind in self._parsers:
            return self._parsers[kind](self.read_as(str, value))
        if kind is Sentence:
            return _sentence(value)
        if origin is typing.Literal:
            if value in args:
                return value
        elif kind is float:
            if value is None:
                return math.nan
            if type(value) in (int, float):
                return float(value)
        elif kind is Path:
            return KeptPath(self.read_as(str, value))
        elif kind is types.NoneType:
            if value is None:
                return None
        elif kind is Any:
            return _checked_scalar(value)
        elif origin is tuple and isinstance(value, list):
            return self._read_tuple(args, value, at)
        elif origin in (dict, Mapping) and isinstance(value, dict):
            return {key: self.read_as(args[1], item, f"{at}{key}/") for key, item in value.items()}
        elif is_dataclass(kind):
            return self.build(kind, value, at)
        elif type(value) is kind:
            return value
        raise TypeError(f"{str(value)[:40]!r} is no {getattr(kind, '__name__', kind)}")

    def _read_tuple(self, args: tuple[Any, ...], value: list[Any], at: str) -> tuple[Any, ...]:
        if len(args) == 2 and args[1] is Ellipsis:
            if args[0] in _SCALARS and all(type(one) is args[0] for one in value):
                return tuple(value)  # the usual case of long ones
            return tuple(self.read_as(args[0], one, f"{at}{i}/") for i, one in enumerate(value))
        if len(args) != len(value):
            raise TypeError(f"{len(value)} values where {len(args)} belong")
        pairs = zip(args, value, strict=True)
        return tuple(self.read_as(kind, one, f"{at}{i}/") for i, (kind, one) in enumerate(pairs))

    def _read_union(self, args: tuple[Any, ...], value: Any, at: str) -> Any:
        if value is None and types.NoneType in args:
            return None
        for one in args:
            if one is not types.NoneType:
                try:
                    return self.read_as(one, value, at)
                except TypeError:
                    continue
        raise TypeError(f"{str(value)[:40]!r} is none of {args}")


@cache
def _hints(kind: type) -> Mapping[str, Any]:
    """The types of a dataclass's fields, by their names; looking them up takes a while."""
    return typing.get_type_hints(kind)


def escaped(name: str) -> str:
    """A key as a part of a place, as in JSON pointers."""
    return name.replace("~", "~0").replace("/", "~1")


def unescaped(part: str) -> str:
    """The key that a part of a place stands for."""
    return part.replace("~1", "/").replace("~0", "~")


def _sentence(value: Any, depth: int = 0) -> Sentence:
    """A sentence; one that this version does not know keeps the words that it was written with."""
    if depth > _MAX_NESTED:
        raise ValueError("sentences in sentences without end")
    if isinstance(value, str):  # as in schemas 1 and 2
        return Sentence(value)
    if not (isinstance(value, dict) and isinstance(value.get("values"), dict)):
        raise TypeError(f"{str(value)[:40]!r} is not a sentence")
    if not all(isinstance(value[key], str) for key in ("template", "text")):
        raise TypeError("a sentence without words")
    if not is_known(value["template"]):
        return Sentence(value["text"])
    found = Sentence(
        value["template"],
        {key: _checked_scalar(one, depth + 1) for key, one in value["values"].items()},
    )
    _check_fit(found)
    return found


def _check_fit(sentence: Sentence) -> None:
    """Fail if its values do not fit it, in any language."""
    if not sentence.values and "{" in sentence.template and is_known(sentence.template):
        raise ValueError("a sentence without its values")
    for language in LANGUAGES:
        sentence.render(language)


def _checked_scalar(value: Any, depth: int = 0) -> Any:
    """A value of a remark: text, a number, a sentence, or a list of texts."""
    if isinstance(value, dict):
        return _sentence(value, depth)
    texts = value if isinstance(value, list) else [value]
    if all(isinstance(one, str) for one in texts) and sum(map(len, texts)) > _MAX_TEXT:
        raise ValueError("a text without end in a sentence")
    if isinstance(value, list) and all(isinstance(one, str) for one in value):
        return tuple(value)
    if value is None:
        return math.nan
    if type(value) in _SCALARS:
        return value
    raise TypeError(f"{str(value)[:40]!r} is no plain value")
