"""What an audit is asked and what it found: everything that a report, the window or a later session
needs, without the model or the images.
"""

from __future__ import annotations

import platform
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from bdshift._version import __version__
from bdshift.checkpoints.contest import Trial
from bdshift.errors import UsageError
from bdshift.images.collection import Skipped
from bdshift.images.preprocessing import parse_normalization
from bdshift.neurons.tac import Tac
from bdshift.purify import Purified
from bdshift.purify.measure import Measured
from bdshift.shift.adam import solve_adam
from bdshift.shift.embed import Embedding, Precision
from bdshift.shift.exact import solve_exact
from bdshift.shift.result import Shifts
from bdshift.shift.verdict import Verdict, check_rule

SOLVERS: dict[str, Callable[..., Shifts]] = {"exact": solve_exact, "adam": solve_adam}
DEFAULT_SAMPLE = 2500
_POOR, _POOR_MANY = 0.5, 0.3  # clean accuracy below which a verdict means little; from 100 classes


def is_poor(accuracy: float, classes: int) -> bool:
    """Whether a clean accuracy is so low that a verdict means little."""
    return accuracy < (_POOR_MANY if classes >= 100 else _POOR)


@dataclass(frozen=True)
class ScanSettings:
    """What a user may choose; the defaults are the paper's where it has one.

    Raises `UsageError` for a value that makes no sense.

    Attributes:
        alpha: loss threshold α of Eq. 4.
        beta: outlier threshold β of the paper's rule.
        rule: "grubbs", "mad" or "paper".
        solver: "exact", or "adam" as in the paper.
        sample: count (int) or share (float) of the images, stratified; None for all.
        normalize: a name or mean/std; None to try all known.
        arch: one of the architectures that fit, by its name, or the user's own network,
            ``package.module:callable``; None to let clean accuracy decide.
        weights: which model of a file that holds several, as "netC"; None for the usual one.
        labels: a class-name file, or the class index of each folder's name.
        device: "auto", "cpu", "cuda", …
        batch: most images at a time; None to go by memory.
        seed: of the sample.
    """

    alpha: float = 0.1
    beta: float = 2.0
    rule: str = "grubbs"
    solver: str = "exact"
    sample: int | float | None = DEFAULT_SAMPLE
    normalize: str | None = None
    arch: str | None = None
    weights: str | None = None
    labels: Path | dict[str, int] | None = None
    device: str = "auto"
    batch: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        check_rule(self.rule, self.beta)
        if self.normalize is not None:
            parse_normalization(self.normalize)
        if self.solver not in SOLVERS:
            raise UsageError(f"solver {self.solver!r} is none of {', '.join(SOLVERS)}")
        if not (self.alpha > 0 and np.isfinite(self.alpha)):
            raise UsageError(f"alpha must be a positive number, not {self.alpha}")
        if self.seed < 0:
            raise UsageError(f"a seed is not negative, as {self.seed} is")
        if self.batch is not None and self.batch < 1:
            raise UsageError(f"a batch has at least one image, not {self.batch}")


@dataclass(frozen=True)
class ModelRecord:
    """The model as the audit remembers it; ``weight`` (C, d) and ``bias`` (C,) are the head's."""

    path: str
    sha256: str
    container: str
    architecture: str
    head: str
    weight: NDArray[np.float32]
    bias: NDArray[np.float32]

    @property
    def classes(self) -> int:
        """Number of classes C."""
        return self.weight.shape[0]

    @property
    def embedding_dim(self) -> int:
        """Embedding dimension d."""
        return self.weight.shape[1]


@dataclass(frozen=True)
class ImagesRecord:
    """The clean set as the audit remembers it.

    Attributes:
        path: folder or zip.
        sha256: over names, labels and contents of the images used.
        available: images in it.
        counts: images used of each class.
        class_names: of all classes; ``label_source`` says where their order is from.
        skipped: files left out, with reasons.
    """

    path: str
    sha256: str
    available: int
    counts: tuple[int, ...]
    class_names: tuple[str, ...]
    label_source: str
    skipped: tuple[Skipped, ...]

    @property
    def class_index(self) -> dict[str, int]:
        """Which class a name is. Where a class that has images is called as one that has none
        ("class 7"), the one with images counts.
        """
        indices = sorted(range(len(self.counts)), key=lambda i: self.counts[i] > 0)
        return {self.class_names[i]: i for i in indices}


@dataclass(frozen=True)
class LabelProposal:
    """Another order of the class folders that explains the predictions far better.

    Attributes:
        of_folder: a class index for each folder name; −1 where none is left.
        accuracy: on the trial images, in that order.
    """

    of_folder: dict[str, int]
    accuracy: float


@dataclass(frozen=True)
class Cleaned:
    """A purification of the audited model, with its figures.

    Attributes:
        run: what came out.
        held: share of the clean images that was held out.
        trigger: text of the trigger that attack success is told for; None without.
        test: path of the images that ``before`` and ``after`` were measured on; None for the
            held-out ones.
        count: how many those are.
        before, after: ACC, ASR, RA.
        rescan: the audit of the purified model with the same images and settings.
    """

    run: Purified
    held: float
    trigger: str | None
    test: str | None
    count: int
    before: Measured
    after: Measured
    rescan: Audit


@dataclass(frozen=True)
class Audit:
    """Everything an audit found. ``embedding`` is None in an audit file saved without it; ``runs``
    are the purifications of its model so far, none overwritten.
    """

    model: ModelRecord
    images: ImagesRecord
    settings: ScanSettings
    trials: tuple[Trial, ...]
    accuracy: float
    embedding: Embedding | None
    shifts: Shifts
    verdict: Verdict
    warnings: tuple[str, ...]
    device: str
    precision: Precision
    seconds_embed: float
    proposal: LabelProposal | None = None
    tac: tuple[Tac, ...] = ()
    runs: tuple[Cleaned, ...] = ()
    versions: dict[str, str] = field(default_factory=dict)

    @property
    def preprocessing(self) -> Trial:
        """The chosen preprocessing: the best trial."""
        return self.trials[0]

    @property
    def says_little(self) -> bool:
        """Whether the images are classified so badly that the verdict means little."""
        return is_poor(self.accuracy, self.model.classes)

    @property
    def most_suspicious(self) -> int:
        """The class to look at first: the first that is flagged, else that of the smallest norm."""
        poisoned = self.verdict.poisoned
        return poisoned[0] if poisoned else int(self.shifts.l2.argmin())

    def tac_of(self, target: int | None, trigger: str | None = None) -> Tac | None:
        """TAC for a class, if it was measured; under ``trigger``, or else the last."""
        fitting = (tac for tac in reversed(self.tac) if trigger in (None, tac.trigger))
        return next((tac for tac in fitting if tac.target == target), None)


def versions() -> dict[str, str]:
    """Versions that a result depends on."""
    return {
        "bdshift": __version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
    }
