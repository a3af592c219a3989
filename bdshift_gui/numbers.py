"""Formats of the window: shares, counts, times, and a preprocessing's channel order."""

from __future__ import annotations

import math

from bdshift_gui.i18n import tr


def percent(value: float | None, decimals: int = 1) -> str:
    """A share as a percentage."""
    if value is None or math.isnan(value):
        return "–"
    return f"{value:.{decimals}%}"


def order_words(order: str) -> str:
    """A `Preprocessing`'s channel order, in words."""
    name, _, reshaped = order.partition("-")
    name = tr("gray") if name == "gray" else name.upper()
    return tr("{order}, not transposed", order=name) if reshaped else name


def duration(seconds: float) -> str:
    """The time remaining, abbreviated."""
    if seconds < 90:
        return tr("{count} s", count=math.ceil(seconds))
    return tr("{count} min", count=math.ceil(seconds / 60))
