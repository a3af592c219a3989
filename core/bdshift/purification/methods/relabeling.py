"""Relabel fine-tuning: triggered images get their true labels back."""

from __future__ import annotations

from dataclasses import dataclass

from bdshift.purification.clean_data import LabeledImages
from bdshift.purification.method import METHODS
from bdshift.purification.unlearning import EpochsOnTriggered, some
from bdshift.purification.workbench import Workbench
from bdshift.words import words


@METHODS.register
@dataclass(frozen=True)
class Relabeling(EpochsOnTriggered):
    """SGD on triggered images with their true labels, and as many clean ones."""

    name = "relabeling"
    label = words("Relabel fine-tuning", ja="再ラベル微調整")
    summary = words(
        "Teaches the network to be right under a known or recovered trigger.",
        ja="既知または復元したトリガーの下でも正しく分類するよう学習します。",
    )
    place = 16

    def lesson(self, bench: Workbench, triggered: LabeledImages) -> LabeledImages:
        """Both."""
        return triggered + some(bench.clean.tune, len(triggered), bench.seed)
