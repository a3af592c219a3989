"""What travels between the window and its worker: frozen records, nothing shared."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from bdshift.errors import BdshiftError
from bdshift.jobs import Figures, JobContext


def sentence(error: BaseException) -> str:
    """An error as one sentence: what the user can meet in words, a fault by its name."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return str(error) if isinstance(error, BdshiftError) else f"{type(error).__name__}: {error}"


@dataclass(frozen=True)
class Job:
    """Something to do: ``run`` is called on the worker with the job's context. What it returns
    after it was canceled counts only if it ``keeps`` what it has until then.
    """

    id: int
    name: str
    run: Callable[[JobContext], Any]
    keeps: bool = False


@dataclass(frozen=True)
class Event:
    """Of the job ``job``; events of other jobs than the current one are dropped."""

    job: int


@dataclass(frozen=True)
class Progressed(Event):
    """``done`` of ``total``; ``left`` is the estimated seconds to go, None if it cannot be said."""

    stage: str
    done: int
    total: int
    unit: str
    left: float | None


@dataclass(frozen=True)
class Noted(Event):
    """A sentence for the log."""

    text: str


@dataclass(frozen=True)
class Stepped(Event):
    """Figures of a step, to be drawn as they come."""

    figures: Figures


@dataclass(frozen=True)
class Finished(Event):
    """With the job's result."""

    result: Any


@dataclass(frozen=True)
class Failed(Event):
    """``text`` is one sentence; ``details`` to copy; ``cause`` where something can be
    offered: memory ran out, the architecture is not known, or the file holds several models, which
    are the ``choices``.
    """

    text: str
    details: str
    cause: Literal["memory", "architecture", "several"] | None = None
    choices: tuple[str, ...] = ()


@dataclass(frozen=True)
class Stopped(Event):
    """Canceled, as was asked."""
