"""Everything a finding depends on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bdshift.detect.detector import Detector, Evidence
from bdshift.detect.rule import Judgment
from bdshift.remark import Remark

_WORKS = 0.8  # attack success from which a trigger counts as working


@dataclass(frozen=True)
class Judged:
    """A detector's evidence, and the rule's judgment of it."""

    detector: Detector
    evidence: Evidence
    judgment: Judgment


@dataclass(frozen=True)
class TriedTrigger:
    """A trigger that was measured: its text, the class it was tried for, and its success."""

    trigger: str
    target: int
    asr: float


@dataclass(frozen=True)
class Facts:
    """Everything a finding depends on.

    Attributes:
        class_names: of all C classes.
        counts: images used of each class.
        accuracy: clean accuracy.
        explained: accuracy under another order of the class folders, if one explains the
            predictions far better; None if not.
        judged: the evidence, the most trusted detector first.
        triggers: those that were measured.
        notes: on how the model was read.
        unknown: detectors whose evidence this version cannot judge, by name.
    """

    class_names: Sequence[str]
    counts: Sequence[int]
    accuracy: float
    explained: float | None
    judged: Sequence[Judged]
    triggers: Sequence[TriedTrigger] = ()
    notes: Sequence[Remark] = ()
    unknown: Sequence[str] = ()

    @property
    def classes(self) -> int:
        """Number of classes C."""
        return len(self.class_names)

    @property
    def images(self) -> int:
        """Images used."""
        return sum(self.counts)

    @property
    def flagged(self) -> tuple[int, ...]:
        """Classes that any detector flags, the most trusted detector's first."""
        return tuple(dict.fromkeys(i for one in self.judged for i in one.judgment.flagged))

    @property
    def working(self) -> list[TriedTrigger]:
        """Triggers that work."""
        return [one for one in self.triggers if one.asr >= _WORKS]
