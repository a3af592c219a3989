"""The forked process of one audit: held to its limits, telling its host what happens."""

from __future__ import annotations

import os
import signal
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from bdshift.errors import InputError
from bdshift.fleet.message import line_of
from bdshift.fleet.one import audit_one
from bdshift.fleet.task import Limits, Result, Spoken, Stage, Task
from bdshift.images.framing import Framing
from bdshift.images.kept import KeptImages
from bdshift.jobs import Event, JobContext, Progress

_TELL_EVERY = 0.5  # seconds
_PDEATHSIG = 1  # of prctl(2)


@dataclass(frozen=True)
class Missed:
    """Images that an audit decoded by itself, because its host had not kept them."""

    size: int
    framing: Framing
    names: tuple[str, ...]


@dataclass(frozen=True)
class ChildSays:
    """What an audit tells its host: what it is doing, or its result and what it missed."""

    stage: Stage | None = None
    result: Result | None = None
    missed: tuple[Missed, ...] = ()


def run_child(task: Task, images: KeptImages, folder: Path, pipe: int, life: int) -> NoReturn:
    """Run the audit in this process, which was forked for it, and end. ``folder`` is for temporary
    files; ``pipe`` is what it tells its host through; nothing is ever written to ``life``, but it
    ends when the host does.
    """
    try:
        nothing = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):  # libraries print what hostile files say
            os.dup2(nothing, stream)
        _end_with_parent()
        tempfile.tempdir = str(folder)
        threading.Thread(target=_end_with_host, args=(life,), daemon=True).start()
        result = _result(task, images, _TellingJob(pipe))
        missed = tuple(
            Missed(size, framing, tuple(files)) for (size, framing), files in images.missed.items()
        )
        _say(pipe, ChildSays(result=result, missed=missed))
    finally:
        os._exit(0)  # nothing that the host has registered for its own end is run here


def _result(task: Task, images: KeptImages, job: JobContext) -> Result:
    try:
        images.reopen()
    except InputError as error:  # the set has gone
        return Result("refused", Spoken.of(error.sentence))
    _hold_to(task.limits)
    return audit_one(task, images, job)


class _TellingJob(JobContext):
    """Tells the host what the audit is doing, now and then."""

    def __init__(self, pipe: int) -> None:
        super().__init__()
        self._pipe, self._next = pipe, 0.0

    def report(self, event: Event) -> None:
        """Tell it, unless something was told just now."""
        if isinstance(event, Progress) and time.monotonic() >= self._next:
            self._next = time.monotonic() + _TELL_EVERY
            _say(
                self._pipe, ChildSays(stage=Stage(Spoken.of(event.stage), event.done, event.total))
            )


def _say(pipe: int, what: ChildSays) -> None:
    rest = memoryview(line_of(what))
    while rest:
        rest = rest[os.write(pipe, rest) :]


def _end_with_parent() -> None:
    """Have Linux end this process when its host ends, even while Python cannot run."""
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(_PDEATHSIG, signal.SIGKILL)


def _end_with_host(life: int) -> None:
    os.read(life, 1)
    os._exit(1)


def _hold_to(limits: Limits) -> None:
    import torch

    torch.set_num_threads(limits.threads)
    if sys.platform == "linux":  # elsewhere, the system does not count private memory
        import resource

        import psutil

        shared = psutil.Process().memory_info().data
        resource.setrlimit(resource.RLIMIT_DATA, (shared + limits.memory,) * 2)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
