"""Letters on paper, and that a PDF file says which they are."""

from __future__ import annotations

import re

from PySide6.QtGui import QFont

_LOCAL_FORMS = QFont.Tag.fromString("locl")
"""Off: for digits in Latin text the font has others, which a PDF file cannot say are digits."""

_MEANINGS = re.compile(rb"begincmap.*?endcmap", re.DOTALL)
_SEVERAL = re.compile(rb"\[[^\]]*\]")
_ONE = re.compile(rb"(<(\w{4})> <\2> )<0009>")


def lettering(family: str, size: float, *, bold: bool = False) -> QFont:
    """A font whose letters are as far apart on a screen as on paper; ``size`` is in pixels."""
    font = QFont(family)
    font.setPixelSize(max(1, round(size)))
    font.setBold(bold)
    font.setHintingPreference(QFont.HintingPreference.PreferNoHinting)
    font.setFeature(_LOCAL_FORMS, 0)
    return font


def with_spaces(pdf: bytes) -> bytes:
    """A file of Qt's in which what looks like a space is one when it is copied or searched: Qt
    takes the first letter with that look, which is the tab. As long as before.
    """

    def fixed(found: re.Match[bytes]) -> bytes:
        told = _SEVERAL.sub(lambda one: one[0].replace(b"<0009>", b"<0020>"), found[0])
        return _ONE.sub(rb"\1<0020>", told)

    return _MEANINGS.sub(fixed, pdf)
