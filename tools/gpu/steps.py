"""The steps of a run on a lent machine: which are done, which fit into the time that is left, what
each one took.

A step is done when its result file is there. What it takes is guessed first; guesses are corrected
by what steps of the same kind took, or else of a similar one.
"""

from __future__ import annotations

import json
import time
import traceback
from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from typing import Any, Literal, Protocol

from bdshift.jobs import Canceled, JobContext, Note
from bdshift.outputs import Output

Clock = Callable[[], float]
Ended = Literal["done", "failed", "cut"]

GRACE = 20.0
"""Seconds after the end in which a step may still stop by itself."""

_FARTHEST_OFF = 20.0  # how many times wrong guesses may be


class TimedJob(JobContext):
    """Canceled when the time is over. Notes go into the log on the console."""

    def __init__(self, ends: float, clock: Clock = time.monotonic) -> None:
        super().__init__()
        self.ends, self.clock = ends, clock

    def raise_if_canceled(self) -> None:
        """Also raise `Canceled` once the time is over."""
        if self.clock() >= self.ends:
            raise Canceled
        super().raise_if_canceled()

    def report(self, event: object) -> None:
        """Print notes; progress is too much."""
        if isinstance(event, Note):
            print(f"    {event.sentence}", flush=True)


@dataclass(frozen=True)
class WorkStep:
    """One of them.

    Attributes:
        name: of the step, with its stage in front, such as ``checks/scan``.
        kind: what is done; steps of a kind take about as long, those whose kind begins with the
            same word are as far off the guess.
        seconds: a guess of what it takes on the machine.
        result: the file that it leaves.
        run: does it; writes the file by itself, or returns what is to be written.
        rank: all of a rank come before those of the next.
        needs: names of steps that have to be done before.
        lane: of those of a lane, one runs at a time, if possible in the same process.
        alone: whether nothing may run beside it, because it measures time.
    """

    name: str
    kind: str
    seconds: float
    result: Path
    run: Callable[[JobContext], dict[str, Any] | None]
    rank: int = 0
    needs: tuple[str, ...] = ()
    lane: str = ""
    alone: bool = False

    @property
    def stage(self) -> str:
        """The first part of its name."""
        return self.name.partition("/")[0]

    @property
    def failure(self) -> Path:
        """Where it is told why the step failed."""
        return self.result.with_suffix(".failed.txt")

    @property
    def is_done(self) -> bool:
        """Whether the result is there."""
        return self.result.exists()


def execute(step: WorkStep, job: TimedJob) -> tuple[Ended, float]:
    """Run a step: how it ended, and the seconds. A failure is written beside its result."""
    began = job.clock()
    ended: Ended = "done"
    step.result.parent.mkdir(parents=True, exist_ok=True)
    try:
        job.raise_if_canceled()
        value = step.run(job)
        step.failure.unlink(missing_ok=True)
        if value is not None:
            text = json.dumps({"step": step.name, **value}, indent=1, ensure_ascii=False)
            Output(step.result, overwrite=True).write_text(text + "\n")
    except Canceled:
        ended = "cut"
    except Exception:  # whatever it is, the other steps go on
        ended = "failed"
        Output(step.failure, overwrite=True).write_text(traceback.format_exc())
    return ended, job.clock() - began


@dataclass(frozen=True)
class Entry:
    """What a step took, once."""

    step: str
    kind: str
    guess: float
    seconds: float
    ended: Ended


@dataclass
class Ledger:
    """All entries of all calls, in a file of lines."""

    path: Path
    entries: list[Entry] = field(default_factory=list)

    def __post_init__(self) -> None:
        if self.path.exists():
            lines = self.path.read_text("utf-8").splitlines()
            self.entries = [Entry(**json.loads(line)) for line in lines]

    def add(self, step: WorkStep, ended: Ended, seconds: float) -> None:
        """Add one."""
        entry = Entry(step.name, step.kind, step.seconds, round(seconds, 3), ended)
        self.entries.append(entry)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        text = "".join(json.dumps(asdict(one)) + "\n" for one in self.entries)
        Output(self.path, overwrite=True).write_text(text)

    def estimate(self, step: WorkStep) -> float:
        """Seconds that a step still takes; what was cut goes on where it was."""
        finished = [one for one in self.entries if one.ended == "done" and one.guess > 0]
        alike = [one for one in finished if one.kind == step.kind]
        if not alike:  # then those that begin with the same word, such as "purify"
            word = step.kind.partition(" ")[0]
            alike = [one for one in finished if one.kind.partition(" ")[0] == word]
        ratio = median([one.seconds / one.guess for one in alike] or [1.0])
        whole = step.seconds * min(_FARTHEST_OFF, max(1 / _FARTHEST_OFF, ratio))
        cut = [one for one in self.entries if one.step == step.name and one.ended == "cut"]
        return max(whole / 10, whole - sum(one.seconds for one in cut))


class Crew(Protocol):
    """Those who carry steps out."""

    def idle(self) -> list[int]:
        """Numbers of those who have nothing to do."""

    def start(self, worker: int, step: WorkStep, ends: float) -> None:
        """Let one begin."""

    def finished(self, until: float) -> tuple[int, Ended, float] | None:
        """The next that has finished, how it ended and its seconds; None if none has by then."""

    def abandon(self) -> None:
        """End all that are at work."""


class Alone:
    """A crew of one: this process."""

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self.clock = clock
        self._outcome: tuple[int, Ended, float] | None = None

    def idle(self) -> list[int]:
        """See `Crew`."""
        return [0] if self._outcome is None else []

    def start(self, worker: int, step: WorkStep, ends: float) -> None:
        """See `Crew`; it is finished when this returns."""
        self._outcome = worker, *execute(step, TimedJob(ends, self.clock))

    def finished(self, until: float) -> tuple[int, Ended, float] | None:
        """See `Crew`."""
        outcome, self._outcome = self._outcome, None
        return outcome

    def abandon(self) -> None:
        """Nothing is left running."""


def carry_out(
    steps: Sequence[WorkStep],
    crew: Crew,
    ledger: Ledger,
    ends: float,
    clock: Clock = time.monotonic,
) -> None:
    """Do what fits until ``ends``, by the clock, in order of rank. What has failed is not tried
    again in this call.
    """
    running: dict[int, WorkStep] = {}
    last_lane: dict[int, str] = {}
    tried: set[str] = set()
    while True:
        while idle := crew.idle():
            lanes = {last_lane[one]: one for one in idle if one in last_lane}
            step = _next(steps, running, tried, lanes.keys(), ledger, ends - clock())
            if step is None:
                break
            worker = lanes.get(step.lane, idle[0])
            print(f"{step.name}: about {ledger.estimate(step):.0f} s", flush=True)
            running[worker], last_lane[worker] = step, step.lane
            tried.add(step.name)
            crew.start(worker, step, ends)
        if not running:
            return
        found = crew.finished(ends + GRACE)
        if found is None:
            crew.abandon()
            for step in running.values():
                ledger.add(step, "cut", 0.0)
            return
        worker, ended, seconds = found
        step = running.pop(worker)
        ledger.add(step, ended, seconds)
        print(f"{step.name}: {ended} in {seconds:.1f} s", flush=True)


def _next(
    steps: Sequence[WorkStep],
    running: dict[int, WorkStep],
    tried: set[str],
    known: Collection[str],
    ledger: Ledger,
    left: float,
) -> WorkStep | None:
    """The step to begin now, of a lane that is ``known`` to who is idle, if there is one; None for
    none.
    """
    done = {one.name for one in steps if one.is_done}
    busy = {one.lane for one in running.values() if one.lane}
    if any(one.alone for one in running.values()):
        return None
    found: WorkStep | None = None
    for step in sorted(steps, key=lambda one: one.rank):
        if found is not None and step.rank > found.rank:
            break
        if step.name in done | tried or step.lane in busy or not done.issuperset(step.needs):
            continue
        if ledger.estimate(step) > left:
            continue
        if step.alone and running:
            return found  # nothing of later ranks overtakes it
        if found is None or (step.lane in known and found.lane not in known):
            found = step
    return found


def summary(steps: Sequence[WorkStep], ledger: Ledger) -> str:
    """A table of stages: how many steps are done, have failed, are left, and what these take."""
    lines = ["stage       done failed  left  seconds left"]
    for stage in dict.fromkeys(one.stage for one in steps):
        own = [one for one in steps if one.stage == stage]
        failed = [one for one in own if not one.is_done and one.failure.exists()]
        left = [one for one in own if not one.is_done and one not in failed]
        seconds = sum(ledger.estimate(one) for one in left)
        done = len(own) - len(failed) - len(left)
        lines.append(f"{stage:<10} {done:>5} {len(failed):>6} {len(left):>5} {seconds:>13.0f}")
        for one in failed:
            why = one.failure.read_text("utf-8").strip().splitlines()[-1]
            lines.append(f"  failed: {one.name}: {why}")
    return "\n".join(lines)
