"""Formats what is shown: text from a file without control codes or forged lines, and numbers."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Iterable


def one_line(text: str) -> str:
    """``text`` as one line that does nothing to a terminal.

    Whatever does not print (line breaks, escape codes, marks that change the writing direction,
    broken encodings) is shown as its Python escape; letters and spaces of all scripts stay.
    """
    if text.isprintable():
        return text
    return "".join(
        char
        if char.isprintable() or unicodedata.category(char) == "Zs"
        else char.encode("unicode_escape").decode("ascii")
        for char in text
    )


def joined(lines: Iterable[str]) -> str:
    """Lines as text. What they say may come from a hostile file: none of it can begin a line."""
    return "\n".join(map(one_line, lines))


def columns(text: str) -> int:
    """How wide ``text`` is on a terminal: Chinese, Japanese and Korean characters take two."""
    return sum(
        0 if unicodedata.combining(char) else 1 + (unicodedata.east_asian_width(char) in "WF")
        for char in text
    )


def figure(value: float | None, form: str = ".4g") -> str:
    """A number with a real minus sign; – for None and NaN."""
    if value is None or math.isnan(value):
        return "–"
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    return format(value, form).replace("-", "−")


def json_number(value: float | None) -> float | None:
    """JSON has neither NaN nor infinity: they become null."""
    return None if value is None or not math.isfinite(value) else float(value)
