"""The base of all detectors: from what an audit holds to how suspicious each class is.

A detector is a frozen dataclass of settings. It gets a `Subject`, everything available about the
model and its clean images, and returns `Evidence`: one score per class, or one per pair of classes,
what that cost, and its own record. Tables, reports, the window and the audit file handle evidence
without knowing the detector; a rule (`bdshift.detect.rule`) judges the scores.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from bdshift.arrays import array, freeze
from bdshift.checkpoints.classifier import Classifier
from bdshift.detect.rule import Judgment, Rule, judge
from bdshift.images.collection import ImageCollection, ImageFile
from bdshift.jobs import JobContext
from bdshift.recovery.drop import drops
from bdshift.registry import Configured, Registry
from bdshift.remark import Remark, code
from bdshift.shift.embed import Embedding
from bdshift.words import Sentence, words

_COST = words(
    "{seconds:.3g} s, {forwards:|image|images} forward, {backwards:|image|images} backward, "
    "seed {seed}",
    ja="{seconds:.3g} 秒、順伝播 {forwards:,} 枚、逆伝播 {backwards:,} 枚、シード {seed}",
)

Found = Literal["stands-out", "several-stand-out", "none-stands-out", "far-out"]
"""One class does, several do, none does, or one does on the side that is not suspicious."""


@dataclass(frozen=True)
class Subject:
    """Everything that a detector can use.

    Attributes:
        embedding: the clean images' pass through the network.
        weight: W of the head, float32 (C, d).
        class_names: of all C classes.
        classifier: the network itself; None if only the cache is available.
        collection, files: the clean images themselves; None and () likewise.
        device: where to compute.
        seed: of everything random.
    """

    embedding: Embedding
    weight: NDArray[np.float32]
    class_names: Sequence[str]
    classifier: Classifier | None = None
    collection: ImageCollection | None = None
    files: Sequence[ImageFile] = ()
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    seed: int = 0


@dataclass(frozen=True)
class Evidence:
    """What a detector found. Arrays are read-only.

    Attributes:
        detector: its spec, with all settings.
        scores: of each class, float64 (C,), in the detector's unit; infinite where a class is out
            of reach, NaN where nothing can be said.
        pairs: of each source class (row) and target class, float64 (C, C); None if the detector
            does not distinguish them.
        seconds: wall time.
        forwards, backwards: images that went through the network, each way.
        seed: of everything random.
        record: what else the detector keeps, its own dataclass (`Detector.record`); None if it is
            read from an audit file and this version does not know the detector.
    """

    detector: str
    scores: NDArray[np.float64] = array("C")
    pairs: NDArray[np.float64] | None = array("C", "C", default=None)
    seconds: float = 0.0
    forwards: int = 0
    backwards: int = 0
    seed: int = 0
    record: Any = None

    def __post_init__(self) -> None:
        freeze(self)

    @property
    def name(self) -> str:
        """Name of the detector."""
        return self.detector.partition(":")[0]

    @property
    def cost(self) -> Sentence:
        """What it cost, in words."""
        values = {"seconds": self.seconds, "forwards": self.forwards, "backwards": self.backwards}
        return Sentence(_COST, values | {"seed": self.seed})


@dataclass(frozen=True)
class Detector(Configured, ABC):
    """A way to look for a backdoor.

    Attributes:
        record: the dataclass of its `Evidence.record`.
        low_is_suspicious: whether low scores are the suspicious ones, not high ones.
        nature: what it looks at, in a word: two detectors of one nature that agree are no two
            witnesses.
        has_own_test: whether it judges its evidence by a test of its own, not by the rule.
        most_classes: of more, it takes minutes, so that a scan does not add it by itself.
        score_label, score_help: what a score is.
        unit: of a score, as on a plot's axis.
        short: what to say of the one class that stands out, in a few words; it may use {name}, and
            {less}, by how much its score is smaller than the next.
        one, many, none: templates of the finding: one class stands out, several do, none does; and
            `far` if one stands out on the side that is not suspicious. They may use {detector}
            (its label), {index}, {name}, {score}, {other} (the nearest score of the rest),
            {classes} (listed), {count}, {p}, except for `far` {chance}, and what `details` gives.
    """

    record: ClassVar[type]
    low_is_suspicious: ClassVar[bool] = True
    nature: ClassVar[str] = "embedding"
    has_own_test: ClassVar[bool] = False
    most_classes: ClassVar[float] = math.inf
    score_label: ClassVar[str]
    score_help: ClassVar[str]
    unit: ClassVar[str]
    short: ClassVar[str] = words("“{name}” stands out", ja="「{name}」が突出しています")
    one: ClassVar[str]
    many: ClassVar[str]
    none: ClassVar[str]
    far: ClassVar[str]

    def __init_subclass__(cls) -> None:
        if "name" not in vars(cls):  # a base of several
            return
        for kind, template in cls.templates().items():
            code(f"{cls.name}-{kind}", template)

    @classmethod
    def templates(cls) -> dict[Found, str]:
        """Templates of the finding, by what was found."""
        return {
            "stands-out": cls.one, "several-stand-out": cls.many, "none-stands-out": cls.none,
            "far-out": cls.far,
        }  # fmt: skip

    @abstractmethod
    def detect(self, subject: Subject, job: JobContext) -> Evidence:
        """Run the detector. Raises `bdshift.errors.InputError` if it cannot be run."""

    def judge(self, scores: NDArray[np.float64], rule: Rule) -> Judgment:
        """The judgment of ``rule`` on this detector's scores."""
        return judge(scores if self.low_is_suspicious else -scores, rule)

    def judge_evidence(self, evidence: Evidence, rule: Rule) -> Judgment:
        """The judgment of evidence: that of ``rule`` on its scores, unless the detector has a test
        of its own.
        """
        return self.judge(evidence.scores, rule)

    def drops(self, evidence: Evidence) -> NDArray[np.float64]:
        """How far every class stands below the others, float64 (C,), as `bdshift.recovery.drop`
        says; NaN where nothing is known.
        """
        return drops(evidence.scores, low_is_suspicious=self.low_is_suspicious)

    def details(self, evidence: Evidence, class_names: Sequence[str]) -> Mapping[str, Any]:
        """What its templates use besides, by name: text, numbers, sentences or tuples of them."""
        return {}

    @property
    def compares(self) -> bool:
        """Whether it has something of its own to say of a model beside a reference (`beside`)."""
        return type(self).beside is not Detector.beside

    def beside(self, evidence: Evidence, reference: Evidence) -> Remark | None:
        """What its evidence means beside that of a reference, a model of the same task that is
        known to be clean; None if it says nothing of its own.
        """
        return None

    def cautions(self, evidence: Evidence, class_names: Sequence[str]) -> tuple[Remark, ...]:
        """What limits this detector's evidence, apart from its scores."""
        return ()


DETECTORS: Registry[Detector] = Registry(words("detector", ja="検出器"), "bdshift.detect.detectors")
"""Every detector by its name."""
