"""Gradient ascent: the network is led away from sending triggered images to the target."""

from __future__ import annotations

from dataclasses import dataclass

from bdshift.purification.clean_data import LabeledImages
from bdshift.purification.method import METHODS
from bdshift.purification.tuning import epochs_setting
from bdshift.purification.unlearning import EpochsOnTriggered, sent_to
from bdshift.purification.workbench import Workbench
from bdshift.words import words


@METHODS.register
@dataclass(frozen=True)
class GradientAscent(EpochsOnTriggered):
    """SGD uphill on the cross-entropy of triggered images labeled with the target. Published as the
    simplest rival of TBAR; the rate is ours.
    """

    name = "gradient-ascent"
    label = words("Gradient ascent", ja="勾配上昇")
    summary = words("Leads the network away from what a known or recovered trigger does.",
                    ja="既知または復元したトリガーの効果から遠ざかるよう学習します。")  # fmt: skip
    place = 17
    uphill = True

    epochs: int = epochs_setting(10)

    def lesson(self, bench: Workbench, triggered: LabeledImages) -> LabeledImages:
        """What the trigger does."""
        return sent_to(bench.target, triggered)
