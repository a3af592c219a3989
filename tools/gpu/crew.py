"""Several processes that carry out steps at the same time, on one GPU and many cores.

While one trains, others purify: what one process starts on a GPU in turn leaves gaps, which the
others fill. After a failure a process is replaced, because a CUDA error leaves it of no use.
"""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess

from bdshift.outputs import Output
from tools.gpu.steps import Ended, TimedJob, WorkStep, execute

Make = Callable[[], Mapping[str, WorkStep]]
"""All steps by name; called in each process, so it has to be something that can be pickled."""

_LONGEST_WAIT = 1e6  # seconds; the system knows no longer ones


class Processes:
    """A crew of so many processes."""

    def __init__(self, count: int, make: Make) -> None:
        self._make, self._context = make, multiprocessing.get_context("spawn")
        self._workers = {number: self._hire() for number in range(count)}
        self._at_work: dict[int, WorkStep] = {}

    def _hire(self) -> tuple[BaseProcess, Connection]:
        ours, theirs = self._context.Pipe()
        process = self._context.Process(target=_serve, args=(theirs, self._make), daemon=True)
        process.start()
        theirs.close()
        return process, ours

    def idle(self) -> list[int]:
        """See `Crew`."""
        return [number for number in self._workers if number not in self._at_work]

    def start(self, worker: int, step: WorkStep, ends: float) -> None:
        """See `Crew`. One that has died meanwhile is replaced."""
        self._at_work[worker] = step
        try:
            self._workers[worker][1].send((step.name, ends))
        except OSError:
            self._dismiss(worker)
            self._workers[worker] = self._hire()
            with suppress(OSError):  # if that one has died, too, the step has failed
                self._workers[worker][1].send((step.name, ends))

    def finished(self, until: float) -> tuple[int, Ended, float] | None:
        """See `Crew`. A process that has died has failed."""
        pipes = {self._workers[number][1]: number for number in self._at_work}
        ready = wait(list(pipes), min(_LONGEST_WAIT, max(0.0, until - time.monotonic())))
        if not ready:
            return None
        number = next(worker for pipe, worker in pipes.items() if pipe in ready)
        step = self._at_work.pop(number)
        process, pipe = self._workers[number]
        ended: Ended
        try:
            ended, seconds = pipe.recv()
        except (EOFError, OSError):
            process.join()
            why = f"its process died (exit code {process.exitcode})\n"
            Output(step.failure, overwrite=True).write_text(why)
            ended, seconds = "failed", 0.0
        if ended == "failed":
            self._dismiss(number)
            self._workers[number] = self._hire()
        return number, ended, seconds

    def _dismiss(self, number: int) -> None:
        process, pipe = self._workers[number]
        pipe.close()
        process.terminate()
        process.join()

    def abandon(self) -> None:
        """End all processes."""
        for number in self._workers:
            self._dismiss(number)
        self._workers, self._at_work = {}, {}


def _serve(pipe: Connection, make: Make) -> None:
    """Carry out what comes through the pipe, until it is closed."""
    steps = make()
    while True:
        try:
            name, ends = pipe.recv()
        except EOFError:
            return
        pipe.send(execute(steps[name], TimedJob(ends)))
