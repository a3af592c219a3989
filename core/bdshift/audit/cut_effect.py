"""What cutting neurons would mean for a trigger that works."""

from __future__ import annotations

from bdshift.audit.facts import FAILING_ASR, WORKING_ASR
from bdshift.audit.records import Audit
from bdshift.detect.rule import Judgment
from bdshift.neurons.tac import Tac
from bdshift.neurons.what_if import CutOutcome
from bdshift.words import Sentence

_STAYS = 0.8  # share of the attack success before the cut, above which the trigger still works


def effect_of_cut(
    audit: Audit, tac: Tac, outcome: CutOutcome, judgment: Judgment
) -> Sentence | None:
    """What ``outcome``, a cut of the audit's model, means for the trigger of ``tac``.

    ``judgment`` is the rule's of the shifts after the cut. None if there is nothing to say: the
    trigger did not work before, was not applied to the cut model, or still works on some images.
    """
    if outcome.asr is None or tac.asr < WORKING_ASR:
        return None
    if outcome.asr > _STAYS * tac.asr:
        hidden = tac.target in audit.finding.suspected and tac.target not in judgment.suspected
        return (
            Sentence("The trigger still works: this cut only hides it from the scan.") if hidden
            else Sentence("The trigger still works.")
        )  # fmt: skip
    return Sentence("The trigger stops working.") if outcome.asr < FAILING_ASR else None
