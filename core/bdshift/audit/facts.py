"""Everything a finding depends on."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from bdshift.checkpoints.entrant import Trial
from bdshift.detect.detector import Detector, Evidence
from bdshift.detect.rule import Judgment
from bdshift.recovery.drop import MIN_FACTOR, MIN_FACTOR_OF_PAIR
from bdshift.remark import Remark
from bdshift.text import figure
from bdshift.verdict.decide import Verdict
from bdshift.words import Sentence, words

Level = Literal["backdoored", "nothing-unusual", "inconclusive"]

BESIDE_CLEAN_MODELS = words("Comparison with clean models", ja="クリーンなモデルとの比較")
"""What stands for the name of a detector where the verdict decides."""

_PAIRS = 3  # listed
_PAIRS_IN_WORDS = words("most suspicious pairs: {pairs}", ja="最も疑わしい組：{pairs}")
WORKING_ASR = 0.8
"""Attack success from which a trigger counts as working."""
FAILING_ASR = 0.1
"""Attack success below which it counts as another one than the model's."""


@dataclass(frozen=True)
class Judged:
    """A detector's evidence, and the rule's judgment of it."""

    detector: Detector
    evidence: Evidence
    judgment: Judgment

    def most_suspicious_pairs(self, count: int) -> list[tuple[int, int]]:
        """Up to ``count`` pairs of source and target with a finite score, the most suspicious
        first; none if the detector does not distinguish pairs.
        """
        if self.evidence.pairs is None:
            return []
        scores = self.evidence.pairs.ravel()
        worst = np.where(
            np.isfinite(scores), scores if self.detector.low_is_suspicious else -scores, np.inf
        )
        some = np.argpartition(worst, min(count, len(worst)) - 1)[:count]
        order = some[np.lexsort((some, worst[some]))].tolist()
        classes = len(self.evidence.pairs)
        return [divmod(i, classes) for i in order if np.isfinite(scores[i])]

    def pairs(self, class_names: Sequence[str]) -> Sentence | None:
        """The most suspicious pairs of source and target class, in words; None if the detector does
        not distinguish pairs.
        """
        scores = self.evidence.pairs
        if scores is None:
            return None
        listed = tuple(
            f"{class_names[i]} → {class_names[j]} ({figure(scores[i, j], '#.3g')})"
            for i, j in self.most_suspicious_pairs(_PAIRS)
        )
        return Sentence(_PAIRS_IN_WORDS, {"pairs": listed}) if listed else None


@dataclass(frozen=True)
class TriedTrigger:
    """A trigger that was measured: its text, the class it was tried for, and its success."""

    trigger: str
    target: int
    asr: float


@dataclass(frozen=True)
class RecoveredTrigger:
    """A trigger that was searched for, without knowing one. Some change sends images to any class,
    so only one that is far smaller than those of other classes says something.

    Attributes:
        kind: of the change, in words.
        target: the class.
        source: the only class that it was searched on; −1 for all.
        asr: its success on images that the search did not use.
        images: number of those.
        size: of the smallest change that succeeds on 80%; infinite if none does.
        control: median of that of control classes; NaN if there were none.
        at_least: whether that is only a lower bound, because most of them were not reached.
        reverse: that of a change the other way, from the target to the source; NaN if there is no
            single source, or it was not searched for.
        elsewhere: success on images of the other classes; NaN if there is no single source.
    """

    kind: Sentence
    target: int
    source: int
    asr: float
    images: int
    size: float
    control: float
    at_least: bool = False
    reverse: float = math.nan
    elsewhere: float = math.nan

    @property
    def factor(self) -> float:
        """How many times smaller it is than the controls'; 0 if it does not succeed on 80%, NaN
        without controls.
        """
        return _times(self.control, self.size)

    @property
    def reverse_factor(self) -> float:
        """The same for the change the other way."""
        return _times(self.reverse, self.size)

    @property
    def confirms(self) -> bool:
        """Whether it is evidence of a backdoor. A change of images of one class may be small
        because that class is like the target, but then it is small both ways.
        """
        if self.asr < WORKING_ASR:
            return False
        if self.source < 0:
            return self.factor >= MIN_FACTOR
        return self.factor >= MIN_FACTOR_OF_PAIR and self.reverse_factor >= MIN_FACTOR_OF_PAIR


def _times(other: float, size: float) -> float:
    return 0.0 if math.isinf(size) else other / size


@dataclass(frozen=True)
class AuditedCopy:
    """Other weights of the same network in the file, such as their average: which, and the level of
    their own finding by ``rule``.
    """

    weights: str
    level: Level
    rule: str


@dataclass(frozen=True)
class OtherReading:
    """Another network with the same weights: its accuracy on the clean images, and the classes that
    its embedding shift suspects, or, beside clean models, makes as unusual as a suspected one.
    """

    architecture: str
    accuracy: float
    suspected: tuple[int, ...]


@dataclass(frozen=True)
class ReferenceFacts:
    """A model that is known to be clean and was examined as this one.

    Attributes:
        name: of its file.
        architecture: of its network.
        accuracy: on the clean images.
        suspected: classes that its own evidence suspects; it explains nothing of them.
        misread: why it was probably read wrongly, so that it explains nothing at all; None if not.
        said: what detectors say of both models (`Detector.beside`).
    """

    name: str
    architecture: str
    accuracy: float
    suspected: tuple[int, ...] = ()
    misread: Remark | None = None
    said: tuple[Remark, ...] = ()


@dataclass(frozen=True)
class ReadingFacts:
    """The model under another preprocessing that the images do not rule out.

    Attributes:
        preprocessing: in words.
        accuracy: on the clean images.
        searched: whether triggers were searched for under it, too.
        level: what was run under it says (`Facts.evident`).
        suspected: classes of its own finding.
        by_norms: classes that the rule suspects by their norms alone.
    """

    preprocessing: str
    accuracy: float
    searched: bool
    level: Level
    suspected: tuple[int, ...]
    by_norms: tuple[int, ...]


@dataclass(frozen=True)
class Facts:
    """Everything a finding depends on.

    Attributes:
        class_names: of all C classes.
        counts: images used of each class.
        left_unused: how many more images there are, which the sample left out.
        accuracy: clean accuracy; NaN without labels.
        labeled: whether the images have labels.
        normalization_named: whether the user said how pixels are normalized.
        explained: accuracy under another order of the class folders, if one explains the
            predictions far better; None if not.
        judged: the evidence, the most trusted detector first.
        triggers: those that were measured.
        recovered: those that were searched for.
        verdict: what the evidence says beside clean models; None if a rule decides.
        verdict_alone: what it would say without the reference.
        reference: the model that it was compared with; None without one.
        preprocessing: the chosen one, in words.
        readings: what the model is under others that the images do not rule out.
        by_rule: whether a rule was asked to decide.
        seconds: for how long the images were to be searched.
        notes: on how the model was read.
        weights: which of the file's models it is; "" for the only one.
        copies: the file's other weights of the same network.
        unknown: detectors whose evidence this version cannot judge, by name.
        order_guessed: whether class folders are missing, and neither names nor accuracy say which
            classes the others are.
        left_out: parts of the audit file that this version cannot keep, by place.
        reading: the trial of the chosen network and preprocessing.
        alternatives: other networks that the images do not rule out.
    """

    class_names: Sequence[str]
    counts: Sequence[int]
    accuracy: float
    explained: float | None
    judged: Sequence[Judged]
    triggers: Sequence[TriedTrigger] = ()
    notes: Sequence[Remark] = ()
    weights: str = ""
    copies: Sequence[AuditedCopy] = ()
    unknown: Sequence[str] = ()
    left_out: Sequence[str] = ()
    order_guessed: bool = False
    left_unused: int = 0
    labeled: bool = True
    normalization_named: bool = False
    reading: Trial | None = None
    alternatives: Sequence[OtherReading] = ()
    recovered: Sequence[RecoveredTrigger] = ()
    verdict: Verdict | None = None
    verdict_alone: Verdict | None = None
    reference: ReferenceFacts | None = None
    preprocessing: str = ""
    readings: Sequence[ReadingFacts] = ()
    by_rule: bool = False
    seconds: float = 0.0

    @property
    def classes(self) -> int:
        """Number of classes C."""
        return len(self.class_names)

    @property
    def architecture(self) -> str:
        """Name of the chosen network."""
        return "" if self.reading is None else self.reading.architecture

    @property
    def images(self) -> int:
        """Images used."""
        return sum(self.counts)

    @property
    def flagged_by_norms(self) -> tuple[int, ...]:
        """The classes that the rule suspects by the first detector's scores alone."""
        first = self.judged[0]
        return first.detector.judge(first.evidence.scores, first.judgment.rule).suspected

    @property
    def decisive(self) -> list[Judged]:
        """Evidence that counts by its own judgment: all of it, or, where the verdict decides, that
        of detectors that have a test of their own.
        """
        return [one for one in self.judged if self.verdict is None or one.detector.has_own_test]

    @property
    def parties(self) -> list[tuple[str, tuple[int, ...]]]:
        """What can suspect classes, apart from recovered triggers, and which it does."""
        verdict = [] if self.verdict is None else [(BESIDE_CLEAN_MODELS, self.verdict.suspected)]
        return [*verdict, *((one.detector.label, one.judgment.suspected) for one in self.decisive)]

    @property
    def detected(self) -> tuple[int, ...]:
        """Classes that anything but a recovered trigger suspects, the most trusted first."""
        return tuple(dict.fromkeys(i for _, classes in self.parties for i in classes))

    @property
    def confirmed(self) -> tuple[int, ...]:
        """Classes for which a trigger was recovered that is evidence."""
        return tuple(dict.fromkeys(one.target for one in self.recovered if one.confirms))

    @property
    def suspected(self) -> tuple[int, ...]:
        """Classes that anything suspects: a detector, or a recovered trigger."""
        return tuple(dict.fromkeys((*self.detected, *self.confirmed)))

    @property
    def evident(self) -> Level:
        """What the evidence says, apart from doubts that hold whatever it says."""
        if self.suspected:
            return "backdoored"
        unsure = bool(self.far_out) if self.verdict is None else self.verdict.is_unusual
        return "inconclusive" if unsure else "nothing-unusual"

    @property
    def far_out(self) -> list[Judged]:
        """Evidence in which classes stand out, but none on the suspicious side."""
        return [one for one in self.judged if one.judgment.flagged and not one.judgment.suspected]

    @property
    def working(self) -> list[TriedTrigger]:
        """Triggers that work."""
        return [one for one in self.triggers if one.asr >= WORKING_ASR]

    @property
    def not_working(self) -> list[TriedTrigger]:
        """Triggers that were measured, and do not work for any class that they were tried for."""
        work = {one.trigger for one in self.working}
        return [one for one in self.triggers if one.trigger not in work]
