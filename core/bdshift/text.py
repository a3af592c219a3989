"""Formats what is shown: text from a file without control codes or forged lines, and numbers."""

from __future__ import annotations

import math
import re
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


_MAX_DIGITS = 4000  # of a number; Python refuses to read 4300


def natural_key(text: str) -> list[tuple[int, str]]:
    """For sorting names by the numbers in them: 2 before 10."""
    return [
        (int(part), "") if place % 2 and len(part) < _MAX_DIGITS else (-1, part)
        for place, part in enumerate(re.split(r"([0-9]+)", text))
    ]


def columns(text: str) -> int:
    """How wide ``text`` is on a terminal: Chinese, Japanese and Korean characters take two."""
    return sum(
        0 if unicodedata.combining(char) else 1 + (unicodedata.east_asian_width(char) in "WF")
        for char in text
    )


_TYPE = re.compile(r"(\.[0-9]+)?[a-zA-Z%]?$")  # the end of a format


def grouped(value: int) -> str:
    """A count, with commas between the thousands, as every number has them that a person reads."""
    return f"{value:,}"


def figure(value: float | None, form: str = ".4g") -> str:
    """A number with a real minus sign, and its thousands `grouped`; – for None and NaN."""
    if value is None or math.isnan(value):
        return "–"
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    if "," not in form:
        form = _TYPE.sub(lambda kind: f",{kind[0]}", form, count=1)
    return format(value, form).replace("-", "−")


def json_number(value: float | None) -> float | None:
    """JSON has neither NaN nor infinity: they become null."""
    return None if value is None or not math.isfinite(value) else float(value)
