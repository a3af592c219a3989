"""What the window and its worker send each other: frozen records, nothing shared."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from bdshift.errors import BdshiftError
from bdshift.jobs import Audits, Figures, Glimpse, JobContext, JobPart, Mapped
from bdshift.words import Sentence

Cause = Literal["memory", "architecture", "classes", "several", "moved"]
"""Failures for which a remedy can be offered: memory ran out, the architecture is not known, the
folders are not the classes, the file holds several models, or a file is not where it was.
"""


def sentence_of(error: BaseException) -> Sentence:
    """An error as one sentence: one meant for users in its own words, an internal one by name."""
    if isinstance(error, BdshiftError):
        return error.sentence
    if isinstance(error, OSError) and error.strerror and error.filename:
        return Sentence("{path}: {reason}", {"path": error.filename, "reason": error.strerror})
    values = {"kind": type(error).__name__, "text": str(error)}
    return Sentence("internal error: {kind}: {text}", values)


@dataclass(frozen=True)
class Job:
    """A unit of work: ``run`` is called on the worker with the job's context. What it returns after
    a cancel counts only if it ``keeps`` what it has so far. One that ``gives_way`` is canceled when
    another is started.
    """

    id: int
    name: Sentence
    run: Callable[[JobContext], Any]
    keeps: bool = False
    gives_way: bool = False


@dataclass(frozen=True)
class Event:
    """An event of the job ``job``; events of any but the current job are dropped."""

    job: int


@dataclass(frozen=True)
class Progressed(Event):
    """``done`` of ``total`` of a stage.

    Attributes:
        left: seconds that the stage is estimated to take; None if that is unknown.
        share: of the whole job that is done, as far as that can be said.
        part: which of the job's parts runs; None if it is in one piece.
        between: what runs between two stretches of the stage now, if anything does.
        keeping: whether the job was stopped, and keeps what it has.
    """

    stage: Sentence
    done: int
    total: int
    unit: str
    left: float | None
    share: float
    part: JobPart | None = None
    between: Sentence | None = None
    keeping: bool = False

    @property
    def running(self) -> Sentence:
        """What runs right now."""
        return self.between or self.stage


@dataclass(frozen=True)
class Noted(Event):
    """Something for the log."""

    sentence: Sentence


@dataclass(frozen=True)
class Stepped(Event):
    """The figures of a step, to be drawn as they arrive."""

    figures: Figures


@dataclass(frozen=True)
class SteppedBefore(Event):
    """The figures of what came before the first step of this run."""

    steps: tuple[Figures, ...]


@dataclass(frozen=True)
class Glimpsed(Event):
    """What a search for a trigger, or a map, has found so far."""

    glimpse: Glimpse | Mapped


@dataclass(frozen=True)
class Audited(Event):
    """How far a list of models is."""

    audits: Audits


@dataclass(frozen=True)
class Finished(Event):
    """The job finished, with its result."""

    result: Any


@dataclass(frozen=True)
class Failed(Event):
    """The job failed.

    Attributes:
        sentence: what went wrong, for the user; ``details`` are there to be copied.
        name: of the job; None for what was no job's fault.
        cause: the kind of failure, if a remedy can be offered.
        path: the file that it is about, if it is about one.
        choices: the models in it, if there are several.
    """

    sentence: Sentence
    details: str
    cause: Cause | None = None
    path: Path | None = None
    choices: tuple[str, ...] = ()
    name: Sentence | None = None


@dataclass(frozen=True)
class Stopped(Event):
    """The job was canceled, as requested."""
