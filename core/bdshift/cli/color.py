"""Color, where a person sees it: on a terminal, unless NO_COLOR or TERM=dumb asks for none."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from bdshift.audit.facts import Level

_COLORS: dict[Level, str] = {
    "backdoored": "red", "inconclusive": "yellow", "nothing-unusual": "green",
}  # fmt: skip


def heed_no_color(context: click.Context) -> None:
    """Leave the color out of all that is printed, if the user asks for that (no-color.org)."""
    if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        context.color = False


def with_colored_headline(text: str, level: Level) -> str:
    """``text``, whose first line is the headline of a finding."""
    headline, line_break, rest = text.partition("\n")
    return click.style(headline, fg=_COLORS[level], bold=True) + line_break + rest
