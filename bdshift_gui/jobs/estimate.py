"""How far a job is, and how long its stage is going to take."""

from __future__ import annotations

from dataclasses import dataclass

from bdshift.jobs import ASIDE, JobPart, Progress

_MIN_SPENT = 1.0  # seconds of a stage, before anything is said of the rest


@dataclass
class _Stage:
    """A stage since it began, when it was at ``first``; now it is at what ``last`` says. It was at
    ``share`` at the time ``at``: lately, or, if it takes turns with others, when its turn began, so
    that each of theirs counts in full. ``doubtful`` if it has interrupted another one, which may
    come back.
    """

    began: float
    first: float
    doubtful: bool
    last: Progress
    at: float
    share: float

    @property
    def is_over(self) -> bool:
        return self.last.share >= 1


class Estimate:
    """Follows the progress of a job, from event to event.

    Stages follow each other, but some take turns: a network is measured after every epoch. One that
    comes back before it is over is the leading one until then: others that run in between are
    neither drawn nor estimated, and their time counts as its own.
    """

    def __init__(self) -> None:
        self.part: JobPart | None = None
        self._stages: dict[str, _Stage] = {}
        self._now: _Stage | None = None
        self._leading: _Stage | None = None
        self._within = 0.0  # of the part

    def begin(self, part: JobPart | None) -> None:
        """A part of the job begins, or what follows the last one."""
        self.part, self._within = part, 0.0
        self._stages, self._now, self._leading = {}, None, None

    def take(self, event: Progress, now: float) -> None:
        """Progress at the time ``now``, in seconds."""
        if self._now is None or event.stage != self._now.last.stage:
            self._now = self._change(event, now)
        self._now.last = event
        if self._leading is None:
            self._now.at, self._now.share = now, event.share
        if self._leading is not None and self._leading.is_over:
            self._leading = None
        shown = self.leading
        if shown.unit not in ASIDE:
            self._within = max(self._within, shown.share)

    def _change(self, event: Progress, now: float) -> _Stage:
        before, key = self._now, str(event.stage)
        known = self._stages.get(key)
        if known is not None and not known.is_over and event.share >= known.last.share:
            self._leading, known.at, known.share = known, now, known.last.share
            return known
        interrupts = before is not None and not before.is_over
        made = _Stage(now, event.share, interrupts, event, now, event.share)
        self._stages[key] = made
        return made

    @property
    def leading(self) -> Progress:
        """What is to be drawn: the last progress of the leading stage, or of the only one."""
        assert self._now is not None, "nothing has happened yet"
        return (self._leading or self._now).last

    @property
    def share(self) -> float:
        """How much of the whole job is done, in [0, 1]: the parts are taken to be alike. Without
        parts, how much of the stage.
        """
        if self.part is None:
            return self.leading.share
        return (self.part.number - 1 + self._within) / self.part.total

    def left(self, now: float) -> float | None:
        """Seconds that the stage is going to take, by what it has taken since it began; None if
        that says too little.
        """
        one = self._leading or self._now
        if one is None or one.is_over or (one.doubtful and self._leading is None):
            return None
        spent, gained = one.at - one.began, one.share - one.first
        if gained <= 0 or spent <= _MIN_SPENT:
            return None
        left = spent / gained * (1 - one.share) - (now - one.at)
        return left if left > 0 else None
