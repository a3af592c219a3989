"""What a user asks of a scan."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path

from bdshift.checkpoints.prompts import check_templates
from bdshift.checkpoints.users_own import Architecture
from bdshift.detect.detector import Detector
from bdshift.detect.detectors.embedding_shift import EmbeddingShift
from bdshift.detect.rule import Rule, default_rule
from bdshift.errors import UsageError
from bdshift.files import KeptPath
from bdshift.images.framing import check_fit
from bdshift.images.preprocessing import parse_normalization

DEFAULT_SAMPLE = 2500


@dataclass(frozen=True)
class ScanSettings:
    """What a user may choose.

    Raises `UsageError` for a value that makes no sense.

    Attributes:
        detectors: those that look for a backdoor; the embedding shift is always the first.
        rule: the one that judges what they find, each detector by itself.
        by_rule: whether it decides even where the evidence can be compared with clean models
            (`bdshift.verdict`). A rule other than the default one always does.
        search: seconds, about, for searches in the images (`bdshift.audit.second_stage`), besides
            the detectors; 0 for none.
        each_preprocessing: whether all detectors run under each preprocessing that the images do
            not rule out, not the embedding shift alone.
        sample: count (int) or share (float) of the images, stratified; None for all.
        normalize: a name or mean/std; None to try all known.
        fit: how pictures become squares (`bdshift.images.framing`); None to try all ways.
        arch: one of the architectures that fit, by name, or the user's own (`OwnNetwork`; as text
            once it was in an audit file); None to let clean accuracy decide.
        weights: which model in a file that holds several, such as "netC"; None for the usual one.
        labels: a class-name file, or the class index of each folder's name.
        prompts: prompt templates that a CLIP model's head is made of
            (`bdshift.checkpoints.prompts`); () for the usual ones.
        names: of the classes in these; () for those of the folders or of a class-name file.
        device: "auto", "cpu", "cuda", …
        batch: images at a time; None to choose by the work that one takes.
        seed: of the sample, and of the detectors.
        unknown_detectors: texts of those that another version asked, in its audit file.
    """

    detectors: tuple[Detector, ...] = (EmbeddingShift(),)
    rule: Rule = field(default_factory=default_rule)
    by_rule: bool = False
    search: float = 0.0
    each_preprocessing: bool = False
    sample: int | float | None = DEFAULT_SAMPLE
    normalize: str | None = None
    fit: str | None = None
    arch: Architecture | None = None
    weights: str | None = None
    labels: Path | KeptPath | dict[str, int] | None = None
    prompts: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    device: str = "auto"
    batch: int | None = None
    seed: int = 0
    unknown_detectors: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.detectors or not isinstance(self.detectors[0], EmbeddingShift):
            raise UsageError("the first detector is the embedding shift")
        names = [one.name for one in self.detectors]
        if len(set(names)) < len(names):
            raise UsageError("a detector is named twice: {names}", names=tuple(names))
        if self.normalize is not None:
            parse_normalization(self.normalize)
        if self.fit is not None:
            check_fit(self.fit)
        if self.prompts:
            check_templates(self.prompts)
        if self.seed < 0:
            raise UsageError("the seed must not be negative, but is {seed}", seed=self.seed)
        if not 0 <= self.search < math.inf:
            raise UsageError("the budget must be 0 seconds or more, not {value}", value=self.search)
        if self.batch is not None and self.batch < 1:
            raise UsageError("the batch size must be at least 1, not {count}", count=self.batch)

    @property
    def decides_by_rule(self) -> bool:
        """Whether a rule was asked to decide."""
        return self.by_rule or self.rule != default_rule()
