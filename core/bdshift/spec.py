"""Things with settings, written as text: ``name:option=value,option=value``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, fields
from typing import Any, TypeVar

from bdshift.errors import UsageError

_Kind = TypeVar("_Kind")


def _switch(text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise ValueError(text)
    return text.lower() == "true"


_CONVERT: dict[str, Any] = {"int": int, "float": float, "bool": _switch}


def write_spec(name: str, thing: Any) -> str:
    """The text of a dataclass, with all its settings."""
    options = ",".join(f"{field.name}={getattr(thing, field.name)}" for field in fields(thing))
    return f"{name}:{options}" if options else name


def split_spec(text: str) -> tuple[str, dict[str, str]]:
    """The name in a text, and the settings that it gives, unread."""
    name, _, rest = text.partition(":")
    return name, dict(part.partition("=")[::2] for part in rest.split(",") if part)


def parse_spec(text: str, kinds: Mapping[str, type[_Kind]], noun: str) -> _Kind:
    """One of ``kinds``, dataclasses by name, with the settings of ``text``; ``noun`` is what they
    are called in errors.

    Raises `UsageError` if the name or an option is unknown, missing or out of range.
    """
    name, _, rest = text.partition(":")
    if name not in kinds:
        raise UsageError(f"{noun} {name!r} is not known; there are {', '.join(kinds)}")
    kind: Any = kinds[name]
    options = {field.name: field for field in fields(kind)}
    values: dict[str, object] = {}
    for part in filter(None, rest.split(",")):
        key, equals, value = part.partition("=")
        if not equals or key not in options:
            known = ", ".join(options)
            raise UsageError(f"{noun} {text!r}: {part!r} is not an option=value of {known}")
        try:
            values[key] = _CONVERT.get(str(options[key].type), str)(value)
        except ValueError as error:
            raise UsageError(f"{noun} {text!r}: {key} cannot be {value!r}") from error
    for key, field in options.items():
        if key not in values and field.default is MISSING:
            raise UsageError(f"{noun} {text!r}: needs {key}=…")
    found: _Kind = kind(**values)
    return found
