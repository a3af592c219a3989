"""Numbers as the window writes them: three or four significant digits and a real minus."""

from __future__ import annotations

import math

from bdshift.text import figure
from bdshift_gui.i18n import tr


def percent(value: float | None, decimals: int = 1) -> str:
    """A share as per cent."""
    if value is None or math.isnan(value):
        return "–"
    return f"{value:.{decimals}%}".replace("%", " %")


def chance(value: float) -> str:
    """A p-value: fixed where it can be read, else in powers of ten."""
    return figure(value, ".2g" if value >= 1e-4 else ".0e")


def grouped(value: int) -> str:
    """A count, its thousands apart by a thin space."""
    return f"{value:,}".replace(",", "\u2009")


def order_words(order: str) -> str:
    """A `Preprocessing`'s channel order."""
    name, _, reshaped = order.partition("-")
    name = tr("gray") if name == "gray" else name.upper()
    return tr("{order}, not transposed", order=name) if reshaped else name


def duration(seconds: float) -> str:
    """A time to go, short."""
    if seconds < 90:
        return f"{math.ceil(seconds)} s"
    return f"{math.ceil(seconds / 60)} min"
