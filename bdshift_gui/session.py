"""The single state object: what is open, what was found, what is selected, what is running.

Everything that affects behavior is here. Tasks write it, views render it, and it tells which
actions are enabled.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from PySide6.QtCore import QObject, Signal

from bdshift.budgets import RECOVERY_SECONDS
from bdshift_gui.pages import ComparisonPage, GalleryPage, Page, RecoveryPage

if TYPE_CHECKING:
    from bdshift.audit import Audit, Material, Purification
    from bdshift.audit.candidates import CandidateTable
    from bdshift.audit.unfinished import PurificationRequest
    from bdshift.checkpoints.classifier import Opened
    from bdshift.checkpoints.describe import Description
    from bdshift.checkpoints.users_own import Architecture
    from bdshift.detect.rule import Judgment, Rule
    from bdshift.files import KeptPath
    from bdshift.images.collection import ImageCollection
    from bdshift.jobs import Figures, Glimpse
    from bdshift.neurons.tac import Tac
    from bdshift.neurons.what_if import CutOutcome
    from bdshift.purification.disentanglement import WeightPlane
    from bdshift.recovery.recovery import Recovery
    from bdshift.shift.result import Shifts
    from bdshift.words import Language, Sentence
    from bdshift_gui.fleet_shown import FleetShown
    from bdshift_gui.gallery_wish import GalleryWish, Heat
    from bdshift_gui.jobs.events import Failed
    from bdshift_gui.purification_queue import PurificationQueue

Scheme = Literal["system", "light", "dark"]


@dataclass(frozen=True)
class Selection:
    """A class, some neurons, and which of them the inspector shows; None for no class or neuron.
    ``source`` is the class that images are sent from, if a pair of classes is looked at.
    """

    class_index: int | None = None
    neurons: frozenset[int] = frozenset()
    primary: int | None = None
    source: int | None = None


@dataclass(frozen=True)
class Corrections:
    """What the next scan is told, named as in `ScanSettings`; None or () where bdshift decides."""

    normalize: str | None = None
    fit: str | None = None
    arch: Architecture | None = None
    weights: str | None = None
    labels: Mapping[str, int] | None = None
    device: str | None = None
    batch: int | None = None
    prompts: tuple[str, ...] = ()
    names: tuple[str, ...] = ()


@dataclass(frozen=True)
class OpenModel:
    """A checkpoint that was read and recognized, with its description; ``arch`` and ``weights`` are
    what the user specified when opening it.
    """

    path: Path
    opened: Opened
    description: Description
    arch: Architecture | None = None
    weights: str | None = None


@dataclass(frozen=True)
class OpenImages:
    """A clean set that was listed; ``counts`` are the numbers of files in its folders."""

    path: Path
    collection: ImageCollection
    counts: tuple[int, ...]


@dataclass(frozen=True)
class CutView:
    """What cutting the selected neurons would do: the network's outputs, and its shifts."""

    outcome: CutOutcome
    shifts: Shifts
    judgment: Judgment


@dataclass(frozen=True)
class RecoveryRequest:
    """What a search for a trigger is asked: the class, None for the most suspicious; the text of
    the kind of change, "" to let the kinds compete; seconds; a seed; and the only class whose
    images are to be sent there, −1 for all others, None to try single ones if those give no
    evidence.
    """

    target: int | None = None
    kind: str = ""
    budget: float = RECOVERY_SECONDS
    seed: int = 0
    source: int | None = None


@dataclass(frozen=True)
class RecentAudit:
    """An audit file opened or saved before; ``exists`` says whether it still exists."""

    path: Path
    exists: bool


@dataclass(frozen=True)
class LogLine:
    """What was said, and when: seconds since 1970, as `time.time`."""

    at: float
    said: Sentence | Figures

    def __str__(self) -> str:
        return str(self.said)


@dataclass(frozen=True)
class RunningJob:
    """The job that is running.

    Attributes:
        id: its number.
        name: what it does.
        keeps: whether, canceled once, it keeps what it has so far.
        cancels: how often it was asked to stop.
        gives_way: whether another job may be started, which ends this one.
    """

    id: int
    name: Sentence
    keeps: bool = False
    cancels: int = 0
    gives_way: bool = False

    @property
    def can_cancel(self) -> bool:
        """Whether asking it (again) to stop changes anything."""
        return self.cancels < 1 + self.keeps


@dataclass(frozen=True)
class State:
    """A snapshot; every part is immutable.

    Attributes:
        model_path, images_path: what is open, or what the open audit was made from; only text if
            that is an audit file's.
        model, images: the same, read; with an audit from a file, None until they are needed.
        material: the audit's model and images, ready for more work; None until they are needed.
        corrections: for the next scan.
        class_doubt: why the folders of the open images cannot be the classes of the open model, or
            need not be; None if they fit.
        candidates: the networks that the weights fit, if they were measured on all images.
        alpha, rule, by_rule: for the next scan, and of ``audit``; ``rule`` is None for the default.
        solving: whether the running job solves Eq. 4 for another α; until it has, ``audit`` is at
            the last one.
        original: the audit being worked on, with its purifications.
        kept: the audit that is in a file.
        document: the file that the audit was opened from or saved in; None for none.
        shown: which model the views show: the original (0) or a purification (from 1).
        audit: the audit of that model, at ``alpha`` and under ``rule``.
        selection: a class and neurons.
        tac: of the selected class.
        cut: what cutting the selected neurons would do.
        maps: where neurons look in the images that excite them most, strongest first: the clean
            ones, and those with the trigger.
        chosen: the purification that actions apply to, from 1; 0 for none.
        steps: the steps of the running purification; number −1 is what was measured before.
        purifying: the purification that is running.
        waiting: purifications that are queued; ``queue`` is the running one with these, if several
            were asked for.
        to_search: for how many seconds, about, the audit is to be searched for triggers, to compare
            it with clean models; 0 for not at all. The search runs whenever no other job does,
            until it is finished or canceled.
        recovering: the search for a trigger that is running.
        glimpse: what that, or the last one of this audit, has found; ``glimpsed``, of the kinds of
            changes before, which compete with it.
        page: what is shown instead of the plots; None for nothing.
        heat: where the selected neurons look in some of them.
        plane: what is measured of the weight disentanglement of a purification, ``plane_of``.
        to_open: files that are queued.
        pending: resume states of what is in no file yet.
        failure: the last error, until the user starts something else.
        job: what is running; ``doing``, its stage, if it purifies or recovers.
        message: a sentence for the status bar.
        written: the file that it says was written, if it does.
        log: what ran, what it noted, the figures of its steps, and how it ended.
        fleet: the audits of many models; None if none were asked for or opened.
        recent: recent audit files.
        can_undo, can_redo: whether a change to the selection can be undone or redone.
        scheme, language: of the window.
        compares: whether every scan is followed by such a search.
    """

    model_path: Path | KeptPath | None = None
    images_path: Path | KeptPath | None = None
    model: OpenModel | None = None
    images: OpenImages | None = None
    material: Material | None = None
    corrections: Corrections = Corrections()
    class_doubt: Sentence | None = None
    candidates: CandidateTable | None = None
    alpha: float = 0.1
    rule: Rule | None = None
    by_rule: bool = False
    solving: bool = False
    original: Audit | None = None
    kept: Audit | None = None
    document: Path | None = None
    shown: int = 0
    audit: Audit | None = None
    selection: Selection = Selection()
    tac: Tac | None = None
    cut: CutView | None = None
    maps: tuple[Heat, ...] = ()
    chosen: int = 0
    steps: tuple[Figures, ...] = ()
    purifying: PurificationRequest | None = None
    waiting: tuple[PurificationRequest, ...] = ()
    queue: PurificationQueue | None = None
    to_search: float = 0.0
    recovering: RecoveryRequest | None = None
    glimpse: Glimpse | None = None
    glimpsed: tuple[Glimpse, ...] = ()
    page: Page | None = None
    heat: Heat | None = None
    plane: WeightPlane | None = None
    plane_of: int = 0
    to_open: tuple[Path, ...] = ()
    pending: tuple[Path, ...] = ()
    failure: Failed | None = None
    job: RunningJob | None = None
    doing: Sentence | None = None
    message: Sentence | None = None
    written: Path | None = None
    log: tuple[LogLine, ...] = ()
    fleet: FleetShown | None = None
    recent: tuple[RecentAudit, ...] = ()
    can_undo: bool = False
    can_redo: bool = False
    scheme: Scheme = "system"
    language: Language = "en"
    compares: bool = True

    def logged(self, *entries: Sentence | Figures) -> tuple[LogLine, ...]:
        """The log, with what is said now."""
        return (*self.log, *(LogLine(time.time(), one) for one in entries))

    @property
    def busy(self) -> bool:
        """Whether a job is running that gives way to no other, or the next one of a queue is about
        to.
        """
        running = self.job is not None and not self.job.gives_way
        return running or bool(self.waiting or self.to_open)

    @property
    def can_cancel(self) -> bool:
        """Whether there is a job that can be asked (again) to stop."""
        return self.job is not None and self.job.can_cancel

    @property
    def modified(self) -> bool:
        """Whether there is an unsaved audit."""
        return self.original is not None and self.original is not self.kept

    def goes_on_from(self, before: State) -> bool:
        """Whether this is still about the audit that it was about ``before``: evidence may have
        been added since, but no purification and no recovered trigger.
        """
        now, then = self.original, before.original
        return now is then or (
            now is not None
            and then is not None
            and now.model is then.model
            and now.images is then.images
            and now.purifications is then.purifications
            and now.recoveries is then.recoveries
        )

    @property
    def comparing(self) -> tuple[int, int] | None:
        """The two models being compared, numbered as in ``shown``."""
        return self.page.pair if isinstance(self.page, ComparisonPage) else None

    @property
    def recovery(self) -> int | None:
        """The recovered trigger that is looked at, from 1; 0 for what the running search finds."""
        return self.page.number if isinstance(self.page, RecoveryPage) else None

    @property
    def gallery(self) -> GalleryWish | None:
        """Which images are looked at."""
        return self.page.wish if isinstance(self.page, GalleryPage) else None

    @property
    def purifications(self) -> tuple[Purification, ...]:
        """The audit's purifications."""
        return () if self.original is None else self.original.purifications

    @property
    def recoveries(self) -> tuple[Recovery, ...]:
        """The triggers that were recovered."""
        return () if self.original is None else self.original.recoveries

    @property
    def tac_is_recovered(self) -> bool:
        """Whether the trigger of `tac` was not known, but recovered."""
        if self.tac is None:
            return False
        from bdshift.triggers.attacks.recovered import Recovered

        return self.tac.trigger.partition(":")[0] == Recovered.name

    @property
    def can_scan(self) -> bool:
        """Whether there are a model and images, open or known from an audit."""
        opened = self.model is not None and self.images is not None
        return opened or self.audit is not None

    @property
    def labeled(self) -> bool:
        """Whether the images have labels; those that are open, else those of the audit."""
        if self.images is not None:
            return self.images.collection.labeled
        return self.audit is None or self.audit.images.labeled

    @property
    def shift_is_quick(self) -> bool:
        """Whether Eq. 4 is solved again right away, without a job."""
        return self.audit is not None and self.audit.shifts.seconds <= _QUICK_SECONDS

    @property
    def alpha_is_live(self) -> bool:
        """Whether α can be changed now. While another job runs, Eq. 4 would have to wait for it."""
        if self.audit is not None and self.audit.embedding is None:
            return False
        return not self.busy or self.solving or self.shift_is_quick


_QUICK_SECONDS = 0.2

WITHOUT_AUDIT: Mapping[str, Any] = {
    **dict.fromkeys(
        ("material", "original", "document", "audit", "tac", "cut", "heat", "glimpse",
         "class_doubt", "page")
    ),
    "maps": (), "shown": 0, "chosen": 0, "steps": (), "waiting": (), "to_search": 0.0,
    "selection": Selection(),
}  # fmt: skip
"""The parts of the state that go with an audit, as they are without one."""


class Session(QObject):
    """Holds the `State`. ``changed`` carries (new, old); it is emitted only for real changes."""

    changed = Signal(object, object)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._state = State()

    @property
    def state(self) -> State:
        """The current snapshot."""
        return self._state

    def update(self, **parts: Any) -> None:
        """Replace parts of the state and tell the views."""
        old, new = self._state, replace(self._state, **parts)
        if any(getattr(old, name) is not getattr(new, name) for name in parts):
            self._state = new
            self.changed.emit(new, old)
