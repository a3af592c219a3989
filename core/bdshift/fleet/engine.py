"""What runs the tasks of a fleet: a `Host` on this machine, or Ray's workers on many."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from bdshift.fleet.task import Task, Told

ATTEMPTS = 3
"""How often a task is given to a process that is lost, before that is its result."""


class Engine(ABC):
    """Audits tasks, several at a time, in any order."""

    @property
    @abstractmethod
    def room(self) -> int:
        """How many more tasks it takes now without merely keeping them."""

    @abstractmethod
    def submit(self, task: Task) -> None:
        """Take a task. Returns at once."""

    @abstractmethod
    def told(self, patience: float) -> Sequence[Told]:
        """What has happened since the last call; waits up to ``patience`` seconds for something. Of
        every task that was submitted, one result is told, once.
        """

    @abstractmethod
    def close(self) -> None:
        """End all audits that run, and the processes."""
