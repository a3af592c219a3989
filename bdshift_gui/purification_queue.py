"""Purifications that were asked for together: a part of the state."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class PurificationQueue:
    """Purifications that were asked for together: how many, how many of them are over, and when the
    first began, as `time.monotonic`.
    """

    total: int
    done: int
    began: float

    def left(self, now: float) -> float | None:
        """Seconds that the others are going to take, by what those took; None before one is."""
        spent = now - self.began
        return spent / self.done * (self.total - self.done) if self.done else None
