"""What the horizontal axis of shift against TAC shows, and how the two agree, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from bdshift.text import figure
from bdshift_gui.i18n import tr
from bdshift_gui.numbers import percent

if TYPE_CHECKING:
    from bdshift.neurons.tac import Tac

AXES = ("tac", "signed", "activation", "weight")
UNDER_TRIGGER = ("tac", "signed")
"""Axes that need a trigger."""


def axis_choices(*, recovered: bool) -> dict[str, tuple[str, str]]:
    """A short name of each axis, and what it is; ``recovered`` says that the trigger was."""
    return {
        "tac": (tr("TAC (recovered)") if recovered else "TAC",
                tr("Mean |φ(x+δ) − φ(x)| under the trigger (Eq. 3).")),
        "signed": (tr("signed"), tr("Mean φ(x+δ) − φ(x) under the trigger.")),
        "activation": (tr("activation"), tr("Mean φ over the clean images.")),
        "weight": (tr("weight"),
                   tr("w − μ: the class's row of the head minus μ, the mean of all rows.")),
    }  # fmt: skip


def axis_label(axis: str, tac: Tac | None, *, recovered: bool) -> str:
    """The label of an axis, with the name of the trigger that it depends on."""
    label = {
        "tac": (
            tr("TAC (recovered), mean |φ(x+δ) − φ(x)|")
            if recovered
            else tr("TAC, mean |φ(x+δ) − φ(x)|")
        ),
        "signed": tr("signed change, mean φ(x+δ) − φ(x)"),
        "activation": tr("mean clean activation φ"),
        "weight": tr("head weight w − μ"),
    }[axis]
    if tac is None or axis not in UNDER_TRIGGER:
        return label
    return label + tr(" (trigger: {trigger})", trigger=tac.trigger.partition(":")[0])


def how_they_agree(
    shown: NDArray[np.float64],
    shift: NDArray[np.float64],
    free: NDArray[np.float64],
    axis: str,
    reference: NDArray[np.float64] | None,
    method: str,
) -> str:
    """How the vertical axis agrees with the horizontal one, both (D,).

    Args:
        shown: the shift, or the ranking of ``method`` if that is not empty.
        shift: toward the class.
        free: the direction that needs no images.
        axis: the horizontal axis.
        reference: its values if it needs a trigger, else None.
    """
    from bdshift.neurons.rankings import cosine, overlap_at, overlap_curve

    if reference is not None:
        ours, theirs = (overlap_at(overlap_curve(one, reference), 0.1) for one in (shown, free))
        parts = (
            tr("with {axis}: cos {value}, |cos| {absolute}, top-10% overlap {overlap}",
               axis=tr("TAC") if axis == "tac" else tr("signed"),
               value=figure(cosine(shown, reference), ".2f"),
               absolute=figure(cosine(np.abs(shown), np.abs(reference)), ".2f"),
               overlap=percent(ours, 0)),
            tr("data-free w − μ: {value}, {overlap}",
               value=figure(cosine(free, reference), ".2f"), overlap=percent(theirs, 0)),
        )  # fmt: skip
        return " · ".join(parts)
    if method:
        value = figure(cosine(shown, shift), ".3f")
        return tr("cos(shift, {method}) {value}", method=method, value=value)
    return tr("cos(shift, w − μ) {value}", value=figure(cosine(shift, free), ".3f"))
