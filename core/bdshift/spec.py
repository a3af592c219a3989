"""Things with settings, written as text: ``name:option=value,option=value``.

A value that contains a comma, semicolon, equals sign, quote, backslash or whitespace is written in
double quotes, such as ``patch:file="a, b.png"``; in them, quotes and backslashes are escaped by a
backslash. Several such texts are joined by semicolons.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import fields
from typing import Any

from bdshift.errors import UsageError

_CODED = re.compile(r"[A-Za-z0-9_-]{100,}")  # what is written for programs, such as a picture
_NEEDS_QUOTES = re.compile(r'[,;=":\\\s]')


def write_spec(name: str, thing: Any) -> str:
    """The text of a dataclass, with all its settings."""
    return write_options(name, {one.name: getattr(thing, one.name) for one in fields(thing)})


def write_options(name: str, options: Mapping[str, object]) -> str:
    """The text of a name and its options."""
    listed = ",".join(f"{key}={_quoted(str(value))}" for key, value in options.items())
    return f"{name}:{listed}" if listed else name


def shortened(text: str) -> str:
    """The text for people: in place of a picture that is written in it, a checksum that tells it
    from another.
    """
    return _CODED.sub(lambda found: f"…{zlib.crc32(found[0].encode()):08x}", text)


def split_spec(text: str) -> tuple[str, dict[str, str]]:
    """The name in a text, and its options, not yet parsed.

    Raises `UsageError` for a quote that is not closed, or an option without an equals sign.
    """
    name, _, rest = text.partition(":")
    found = {}
    for part in filter(None, _split(rest, ",")):
        key, equals, value = part.partition("=")
        if not equals:
            raise UsageError("{text}: {part} is not an option=value", text=text, part=repr(part))
        found[key.strip()] = _unquoted(value.strip())
    return name.strip(), found


def split_specs(text: str) -> list[str]:
    """The texts that are joined by semicolons in ``text``. Raises as `split_spec`."""
    return [part.strip() for part in _split(text, ";") if part.strip()]


def _split(text: str, separator: str) -> Iterator[str]:
    """Parts between separators that are not in quotes."""
    start, quoted, position = 0, False, 0
    while position < len(text):
        char = text[position]
        if quoted and char == "\\":
            position += 1
        elif char == '"':
            quoted = not quoted
        elif char == separator and not quoted:
            yield text[start:position]
            start = position + 1
        position += 1
    if quoted:
        raise UsageError("{text}: a quote is not closed", text=text)
    yield text[start:]


def _quoted(value: str) -> str:
    if not _NEEDS_QUOTES.search(value):
        return value
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _unquoted(value: str) -> str:
    if len(value) < 2 or not (value[0] == value[-1] == '"'):
        return value
    return re.sub(r"\\(.)", r"\1", value[1:-1], flags=re.DOTALL)
