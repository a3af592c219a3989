"""A store that many workers fetch files from at a time."""

from __future__ import annotations

import heapq
import math

Download = tuple[int, int]
"""Names one: a worker, and which of its audits. It is never used again."""


class Store:
    """All downloads are equally fast: as fast as a worker can, or an equal share of what the store
    gives. So one sum of bytes, those that each of them has got since the beginning, tells when any
    of them ends.
    """

    def __init__(self, bandwidth: float, store: float) -> None:
        self._bandwidth, self._store = bandwidth, store
        self._ends: list[tuple[float, Download]] = []  # sum of bytes at which each ends
        self._open: set[Download] = set()
        self._sum = self._last = 0.0
        self.fetched = 0.0

    @property
    def unlimited(self) -> bool:
        """Whether a download takes no time."""
        return math.isinf(self._bandwidth) and math.isinf(self._store)

    @property
    def _rate(self) -> float:
        return min(self._bandwidth, self._store / max(1, len(self._open)))

    def _advance(self, now: float) -> None:
        got = self._rate * (now - self._last) if self._open else 0.0
        self._sum += got
        self.fetched += got * len(self._open)
        self._last = now

    def begin(self, now: float, one: Download, size: float) -> None:
        """A download of ``size`` bytes begins."""
        self._advance(now)
        self._open.add(one)
        heapq.heappush(self._ends, (self._sum + size, one))

    def end(self, now: float, one: Download) -> None:
        """It has ended, or was given up."""
        self._advance(now)
        self._open.discard(one)

    def next(self, now: float) -> tuple[float, Download] | None:
        """When which download ends next, if no other begins or ends before; None without one."""
        while self._ends and self._ends[0][1] not in self._open:
            heapq.heappop(self._ends)
        if not self._ends:
            return None
        self._advance(now)
        end, one = self._ends[0]
        return now + max(0.0, end - self._sum) / self._rate, one
