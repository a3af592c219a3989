"""The curve of task arithmetic: what each multiple of a vector costs, and what it removes."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from bdshift.purification import quantities as q
from bdshift.purification.method import Step
from bdshift.purification.unlearning import RECALL, TRIGGER_WORKS
from bdshift.words import words

ALPHA = q.quantity("alpha", "α", None, ".3g")
CONTROL_ALPHA = q.quantity("control_alpha", words("control: α", ja="対照：α"), None, ".3g")
CONTROL_ACCURACY = q.quantity(
    "control_accuracy", words("control: accuracy", ja="対照：正解率"), None, ".1%"
)
CONTROL_ASR = q.quantity("control_asr", words("control: ASR", ja="対照：ASR"), None, ".1%")
CONTROL_RECALL = q.quantity(
    "control_recall", words("control: recall", ja="対照：再現率"), None, ".1%"
)
LEAST_ACCURACY = q.quantity(
    "least_accuracy", words("accuracy to keep", ja="維持する正解率"), None, ".1%"
)
VECTOR_LENGTH = q.quantity("vector_length", "‖τ‖ / ‖θ‖", None, ".3g")

MOST_ALPHA = 10_000
"""The largest α that makes sense, and the largest that can be given."""
_WIDTHS = 5  # of the accuracies to keep that are shown
_MAX_MULTIPLES = 1000  # multiples in a curve: no method looks at as many

AS_CONTROL = {
    q.HELD_OUT_ACCURACY: CONTROL_ACCURACY, TRIGGER_WORKS: CONTROL_ASR, RECALL: CONTROL_RECALL,
}  # fmt: skip
"""What a figure is called of the control."""


@dataclass(frozen=True)
class Multiple:
    """What θ − α·τ does with held-out images.

    Attributes:
        number: of the step.
        alpha: α.
        accuracy: on clean images.
        asr: share of images with the unlearned trigger that are sent to the target.
        recall: of the target; NaN without images of it.
        least: accuracy that must be left; NaN of the control.
    """

    number: int
    alpha: float
    accuracy: float
    asr: float
    recall: float
    least: float


def multiples(steps: Iterable[Step], *, control: bool = False) -> list[Multiple]:
    """The multiples that were looked at, of τ or of the control, by α; none of other methods. What
    an audit from elsewhere holds beyond that, no shares or too many, is left out.
    """
    alpha = CONTROL_ALPHA if control else ALPHA
    names = [AS_CONTROL[one] if control else one for one in AS_CONTROL]
    found = [
        Multiple(
            step.number, step.figures[alpha],
            *(step.figures.get(one, math.nan) for one in (*names, LEAST_ACCURACY)),
        )
        for step in steps
        if alpha in step.figures
    ]  # fmt: skip
    return sorted(filter(_is_usable, found[:_MAX_MULTIPLES]), key=lambda one: one.alpha)


def shown_accuracies(curve: Sequence[Multiple], control: Sequence[Multiple]) -> tuple[float, float]:
    """The least and the largest accuracy that a plot of both needs. Far below what is to be kept,
    the network is of no use.
    """
    every = [one.accuracy for one in (*curve, *control)]
    low, high = min(every), max(every)
    least = curve[0].least
    return max(low, high - _WIDTHS * (high - least)) if math.isfinite(least) else low, high


def _is_usable(one: Multiple) -> bool:
    shares = one.accuracy, one.asr
    beside = one.recall, one.least
    return (
        abs(one.alpha) <= MOST_ALPHA
        and all(0 <= share <= 1 for share in shares)
        and all(math.isnan(share) or 0 <= share <= 1 for share in beside)
    )
