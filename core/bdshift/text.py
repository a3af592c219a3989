"""Text that comes from a file, made safe to show: no control codes, no forged lines."""

from __future__ import annotations

import unicodedata


def one_line(text: str) -> str:
    """``text`` as one line that does nothing to a terminal.

    Whatever does not print (line ends, escape codes, marks that turn the direction of writing,
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


def columns(text: str) -> int:
    """How wide ``text`` is on a terminal: Chinese, Japanese and Korean characters take two."""
    return sum(
        0 if unicodedata.combining(char) else 1 + (unicodedata.east_asian_width(char) in "WF")
        for char in text
    )
