"""Says where an audit was not made with the usual settings."""

from __future__ import annotations

from collections.abc import Iterator

from bdshift.audit.scan_settings import ScanSettings
from bdshift.detect.detectors.embedding_shift import EmbeddingShift
from bdshift.detect.rule import default_rule
from bdshift.remark import Remark, code
from bdshift.words import words

CHANGED_ALPHA = code(
    "changed-alpha",
    words("The shift was solved with α = {alpha:g}. Usual, and what clean models were measured "
          "with, is {usual:g}.",
          ja="シフトは α = {alpha:g} で計算しました。通常の値、およびクリーンなモデルの測定に"
             "使った値は {usual:g} です。"),
)  # fmt: skip
CHANGED_RULE = code(
    "changed-rule",
    words("The rule is {rule}. Usual is {usual}.",
          ja="規則は {rule} です。通常は {usual} です。"),
)  # fmt: skip


def changed_settings(settings: ScanSettings) -> Iterator[Remark]:
    """A remark for each number that changes what the same evidence says."""
    shift, usual = settings.detectors[0], EmbeddingShift()
    assert isinstance(shift, EmbeddingShift)
    if shift.alpha != usual.alpha:
        yield Remark(CHANGED_ALPHA, {"alpha": shift.alpha, "usual": usual.alpha})
    if settings.rule != default_rule():
        yield Remark(CHANGED_RULE, {"rule": settings.rule.spec, "usual": default_rule().spec})
