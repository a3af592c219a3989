"""What a long function is given: a place to report to, and a way to be stopped.

The library never prints and never asks who is listening. It takes a `JobContext`; the console
shows its events as progress bars, the window as its own, and `SILENT` drops them.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass


class Canceled(Exception):
    """Raised inside a job when its user has asked it to stop."""


@dataclass(frozen=True)
class Progress:
    """``done`` of ``total`` ``unit`` of the stage called ``stage``; ``note`` is shown beside it."""

    stage: str
    done: int
    total: int
    unit: str
    note: str = ""


@dataclass(frozen=True)
class Note:
    """A sentence for the log: something decided, skipped or worth knowing."""

    text: str


@dataclass(frozen=True)
class Figures:
    """What a step of ``total`` gave, to be drawn as it comes: numbers by name."""

    number: int
    total: int
    values: Mapping[str, float]

    @property
    def text(self) -> str:
        """The same in a line."""
        listed = (f"{name.replace('_', ' ')} {value:.4g}" for name, value in self.values.items())
        return f"Step {self.number + 1} of {self.total}: {', '.join(listed)}"


Event = Progress | Note | Figures


class JobContext:
    """Silent by default: subclass and override `report` to show what happens.

    A long function calls `progress` at least once per batch; a canceled job ends there with
    `Canceled`. `cancel` may be called from any thread.
    """

    def __init__(self) -> None:
        self._cancel = threading.Event()

    def report(self, event: Event) -> None:
        """Show an event. Called on the thread that runs the job; must not block."""

    def cancel(self) -> None:
        """Ask the job to stop at its next step."""
        self._cancel.set()

    def go_on(self) -> None:
        """Take the wish to stop for fulfilled: what is left is to tell what there is. Asked once
        more, it stops.
        """
        self._cancel.clear()

    def raise_if_canceled(self) -> None:
        """Raise `Canceled` if `cancel` was called."""
        if self._cancel.is_set():
            raise Canceled

    def progress(self, stage: str, done: int, total: int, unit: str, note: str = "") -> None:
        """Report progress, and stop here if the job was canceled."""
        self.raise_if_canceled()
        self.report(Progress(stage, done, total, unit, note))

    def figures(self, number: int, total: int, values: Mapping[str, float]) -> None:
        """Report what a step gave."""
        self.report(Figures(number, total, values))

    def note(self, text: str) -> None:
        """Report a sentence."""
        self.report(Note(text))


SILENT = JobContext()
"""Reports nothing; never canceled, because nobody else holds it to cancel."""
