"""What the models of an audit are called, and what their figures were measured on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bdshift.words import Sentence
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
    from bdshift.reports.comparison_report import reported_on

    return say(reported_on(made))


@dataclass(frozen=True)
class CopyVerdict:
    """What the scan of a purified model means, in a few words, and the style of a label for it."""

    sentence: Sentence
    style: str


def what_is_found(made: Purification) -> CopyVerdict:
    """What its scan found; a trigger that still works comes first, whatever the scan says."""
    from bdshift.audit.facts import WORKING_ASR

    again, asr = made.rescan, made.after.asr
    level = again.finding.level
    if level == "backdoored":
        return CopyVerdict(Sentence("Still probably backdoored"), "triggered")
    if asr is not None and asr >= WORKING_ASR:
        return CopyVerdict(Sentence("The trigger still works"), "triggered")
    if level == "inconclusive":
        return CopyVerdict(Sentence("Inconclusive"), "muted")
    if again.is_searched:
        return CopyVerdict(Sentence("Nothing unusual found"), "muted")
    return CopyVerdict(Sentence("By the norms: nothing unusual"), "muted")
