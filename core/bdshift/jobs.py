"""What a long-running function is given: a place to report to, and a way to be stopped.

The library never prints and never asks who is listening. It takes a `JobContext`; the console
shows its events as progress bars, the window as its own, and `SILENT` drops them.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bdshift.words import Sentence, as_sentence

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from bdshift.fleet.task import Stage
    from bdshift.purification.disentanglement import WeightPlane


class Canceled(Exception):
    """Raised inside a job when its user has asked it to stop."""


@dataclass(frozen=True)
class Progress:
    """``done`` of ``total`` ``unit`` of the stage named ``stage``; ``note`` is shown with it.
    ``work`` is the share of its work that this is, if some units take longer than others; None if
    they are alike.
    """

    stage: Sentence
    done: int
    total: int
    unit: str
    note: str = ""
    work: float | None = None

    @property
    def share(self) -> float:
        """The share of the stage's work that is done, in [0, 1]."""
        return self.done / max(1, self.total) if self.work is None else self.work


ASIDE = frozenset({"images", "changes", "classes", "files", "bytes"})
"""Units of stages that prepare or measure what a part of a job works on."""


@dataclass(frozen=True)
class JobPart:
    """Part ``number``, from 1, of the ``total`` parts of the job begins."""

    number: int
    total: int


@dataclass(frozen=True)
class Note:
    """A sentence for the log: something decided, skipped or worth knowing."""

    sentence: Sentence


@dataclass(frozen=True)
class Figures:
    """The result of step ``number`` of ``total``, to be plotted as it arrives: numbers by the names
    of their `bdshift.purification.quantities`.
    """

    number: int
    total: int
    values: Mapping[str, float]


@dataclass(frozen=True)
class EarlierFigures:
    """What is known before the first step that is taken now: the figures of steps before an
    interruption, or, as number −1, of the network before any step.
    """

    steps: tuple[Figures, ...]


@dataclass(frozen=True)
class Glimpse:
    """What a search for a trigger has found so far, of one kind of change for T classes.

    Attributes:
        kind: its text.
        step, total: of the search.
        targets: the classes, int64 (T,).
        sizes: of their smallest changes, float32 (T,); infinite where none has worked.
        success: share of recent images that each one sends to its class, float32 (T,).
        pictures: what they look like, uint8 (T, 3, s, s).
        strengths: how much they do at every pixel, uint8 (T, s, s).
    """

    kind: str
    step: int
    total: int
    targets: NDArray[np.int64]
    sizes: NDArray[np.float32]
    success: NDArray[np.float32]
    pictures: NDArray[np.uint8]
    strengths: NDArray[np.uint8]


@dataclass(frozen=True)
class Mapped:
    """``plane`` as far as it is measured: ``step`` of ``total`` points."""

    step: int
    total: int
    plane: WeightPlane


@dataclass(frozen=True)
class Audits:
    """How far a list of models is.

    Attributes:
        done, total: models with a result, and all.
        stages: what is being done with those that are audited now, by their path; None until that
            is told.
    """

    done: int
    total: int
    stages: Mapping[str, Stage | None]


@dataclass(frozen=True)
class PartsOver:
    """The last part has ended; what the job still does is none of them."""


Event = Progress | JobPart | PartsOver | Note | Figures | EarlierFigures | Glimpse | Mapped | Audits


class JobContext:
    """Silent by default: subclass and override `report` to show what happens.

    A long-running function calls `progress` at least once per batch; a canceled job ends there with
    `Canceled`. `cancel` may be called from any thread.
    """

    def __init__(self) -> None:
        self._cancel = threading.Event()
        self._before = self._after = 0

    def report(self, event: Event) -> None:
        """Show an event. Called on the thread that runs the job; must not block."""

    def cancel(self) -> None:
        """Ask the job to stop at its next step."""
        self._cancel.set()

    def keep_result(self) -> None:
        """Clear the request to stop: it has been met, and what remains is to report the result so
        far. Canceled once more, the job stops.
        """
        self._cancel.clear()

    def raise_if_canceled(self) -> None:
        """Raise `Canceled` if `cancel` was called."""
        if self._cancel.is_set():
            raise Canceled

    def progress(
        self,
        stage: str | Sentence,
        done: int,
        total: int,
        unit: str,
        note: str = "",
        work: float | None = None,
    ) -> None:
        """Report progress, and stop here if the job was canceled. ``stage`` is a template of
        `bdshift.words`, or a sentence.
        """
        self.raise_if_canceled()
        self.report(Progress(as_sentence(stage, {}), done, total, unit, note, work))

    def part(self, number: int, total: int) -> None:
        """Report that part ``number``, from 1, of ``total`` begins."""
        self.report(JobPart(self._before + number, self._before + total + self._after))

    def parts_over(self) -> None:
        """Report that the last part that was counted has ended, if none comes after it."""
        if not self._after:
            self.report(PartsOver())

    @contextmanager
    def among(self, before: int, after: int) -> Iterator[None]:
        """Within this, parts are counted as coming after ``before`` others of the job, and followed
        by ``after`` more.
        """
        outer = self._before, self._after
        self._before, self._after = outer[0] + before, outer[1] + after
        try:
            yield
        finally:
            self._before, self._after = outer

    def figures(self, number: int, total: int, values: Mapping[str, float]) -> None:
        """Report the result of a step."""
        self.report(Figures(number, total, values))

    def note(self, text: str | Sentence, /, **values: Any) -> None:
        """Report a sentence, as a template of `bdshift.words` and its values."""
        self.report(Note(as_sentence(text, values)))


class PartOfJob(JobContext):
    """For work inside another job: it ends when that is canceled, and shows nothing, unless a
    subclass overrides `report`.
    """

    def __init__(self, job: JobContext) -> None:
        super().__init__()
        self._job = job

    def raise_if_canceled(self) -> None:
        """Raise `Canceled` if the other job was asked to stop."""
        self._job.raise_if_canceled()


SILENT = JobContext()
"""Reports nothing; never canceled, because no one else holds it to cancel."""
