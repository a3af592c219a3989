"""What the models of an audit are called, and what their figures were measured on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bdshift_gui.i18n import say, tr

if TYPE_CHECKING:
    from bdshift.audit import Purification


def name_of(made: Purification | None) -> str:
    """The name of the method that made a model, or "original"."""
    if made is None:
        return tr("original")
    name = made.result.name
    return name if made.result.complete else tr("{name} (stopped)", name=name)


def measured_on(made: Purification) -> str:
    """Which images its figures were measured on."""
    from bdshift.report.comparison_report import reported_on

    return say(reported_on(made))
