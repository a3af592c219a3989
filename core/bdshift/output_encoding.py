"""Terminals and pipes whose encoding lacks characters that bdshift prints, as on Windows, where a
pipe may be cp1252, and wherever ``LANG=C`` means ASCII.
"""

from __future__ import annotations

import codecs
import io
import sys
import unicodedata

_ERRORS = "bdshift.plainer"  # its name among Python's error handlers
_PLAIN = {
    "−": "-", "–": "-", "—": "-", "×": "x", "·": "*", "±": "+-", "≤": "<=", "≥": ">=", "≠": "!=",
    "→": "->", "∞": "inf", "…": "...", "“": '"', "”": '"', "’": "'", "‖": "||", "²": "^2",
    "³": "^3", "½": "1/2", "√": "sqrt", "∇": "grad", "ᵀ": "^T", "\xa0": " ",
}  # fmt: skip


def print_what_there_is() -> None:
    """From now on, standard output and error replace what their encoding lacks: by a plainer sign
    that means the same, else by its Python escape, so that two names never look alike.
    """
    codecs.register_error(_ERRORS, _plainer)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # there is none in a program without a console
            stream.reconfigure(errors=_ERRORS)


def _plainer(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    char = error.object[error.start]
    if (found := _PLAIN.get(char)) is None:
        name = unicodedata.name(char, "")
        greek = name.startswith("GREEK ") and " LETTER " in name and " WITH " not in name
        found = name.split()[-1].lower() if greek else None
    return found or char.encode("unicode_escape").decode("ascii"), error.start + 1
