"""What a user asks of a scan, as text: on a command line, in a row of a table, in a message to
another process.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from bdshift.audit.scan_settings import DEFAULT_SAMPLE, ScanSettings
from bdshift.budgets import SCAN_SECONDS
from bdshift.checkpoints.prompts import templates_of
from bdshift.checkpoints.users_own import Architecture
from bdshift.detect.detector import DETECTORS, Detector
from bdshift.detect.detectors.embedding_shift import EmbeddingShift
from bdshift.detect.rule import RULES, default_rule
from bdshift.errors import UsageError
from bdshift.spec import write_options


@dataclass(frozen=True)
class AskedScan:
    """A scan in words. None and "" are what the scan chooses by itself.

    Attributes:
        quick: judge the embedding alone; search for no triggers.
        budget: seconds, about, for searches in the images. Not used with ``quick``, ``detectors``
            or ``rule``.
        alpha, solver: settings of the embedding shift.
        detectors: texts of detectors.
        rule: text of the rule that decides.
        sample: a count, a share such as 0.05 or 5%, or "all".
        labels: a class-name file.
        prompts: name of a set of templates, or a file with some.
        each_preprocessing, normalize, fit, weights, device, batch, seed: as in `ScanSettings`.
    """

    quick: bool = False
    budget: float = SCAN_SECONDS
    alpha: str | None = None
    solver: str | None = None
    detectors: tuple[str, ...] = ()
    rule: str | None = None
    each_preprocessing: bool = False
    sample: str = str(DEFAULT_SAMPLE)
    normalize: str | None = None
    fit: str | None = None
    labels: str | None = None
    prompts: str | None = None
    weights: str | None = None
    device: str = "auto"
    batch: int | None = None
    seed: int = 0

    def settings(self, arch: Architecture | None = None) -> ScanSettings:
        """The settings. Raises `UsageError` where the text makes no sense, `InputError` if a file
        of prompts cannot be read.
        """
        searches = not (self.quick or self.detectors or self.rule)
        return ScanSettings(
            detectors=self._detectors(),
            rule=RULES.parse(self.rule) if self.rule else default_rule(),
            by_rule=bool(self.rule),
            search=self.budget if searches else 0.0,
            each_preprocessing=self.each_preprocessing,
            sample=_sample(self.sample),
            normalize=self.normalize,
            fit=self.fit,
            arch=arch,
            weights=self.weights,
            labels=None if self.labels is None else Path(self.labels),
            prompts=() if self.prompts is None else templates_of(self.prompts),
            device=self.device,
            batch=self.batch,
            seed=self.seed,
        )

    def _detectors(self) -> tuple[Detector, ...]:
        """The detectors asked for; the embedding shift is always the first."""
        found = [DETECTORS.parse(text) for text in self.detectors]
        first = next((one for one in found if isinstance(one, EmbeddingShift)), EmbeddingShift())
        short = {"alpha": self.alpha, "solver": self.solver}
        given = {key: value for key, value in short.items() if value is not None}
        if given:
            changed = DETECTORS.parse(write_options(first.name, given))
            first = replace(first, **{key: getattr(changed, key) for key in given})
        return first, *(one for one in found if not isinstance(one, EmbeddingShift))


def _sample(text: str) -> int | float | None:
    try:
        if text == "all":
            return None
        if text.endswith("%"):
            return float(text[:-1]) / 100
        return int(text) if text.isdecimal() else float(text)
    except ValueError as error:
        raise UsageError(
            "--sample is a count, a share such as 0.05 or 5%, or all, not {text}", text=text
        ) from error
