"""The process in which audits of a fleet run: ``python -m bdshift.fleet.host SLOTS``.

It imports everything once, decodes the images once, and forks a process for each audit, so that a
file which is hostile, endless or too large takes nothing else with it. Tasks come in as lines of
JSON; what happens goes out in the same way (`bdshift.fleet.message`). It ends when its input does,
and so do its audits, however it ends.
"""

from __future__ import annotations

import os
import selectors
import shutil
import signal
import sys
import tempfile
import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field, replace
from io import FileIO
from pathlib import Path
from typing import BinaryIO

from bdshift.allocation import keep_freed_memory
from bdshift.errors import InputError
from bdshift.fleet.child import ChildSays, Missed, run_child
from bdshift.fleet.message import line_of, read_line
from bdshift.fleet.task import Result, Spoken, Task, Told
from bdshift.images.kept import KeptImages, open_kept
from bdshift.words import Sentence, words

_BLOCK = 1 << 16  # bytes read at a time
_MAX_LINE = 64 * 1024 * 1024  # of what an audit may say: a hostile file may have taken it over
_KEPT_AT_A_TIME = 64  # images that are decoded before audits are looked after again
_GRACE = 1.0  # seconds that a process has to end after its last word
_NO_MESSAGE = (ValueError, TypeError, LookupError, RecursionError, OverflowError)

_TIMED_OUT = words("It took longer than {seconds:.0f} s", ja="{seconds:.0f} 秒を超えました")
_NO_MEMORY_LEFT = words(
    "The system has ended its process, as it does when memory runs out",
    ja="メモリ不足のときと同様に、システムがプロセスを終了しました",
)
_KILLED = words("Its process was ended by signal {signal}",
                ja="プロセスがシグナル {signal} で終了しました")  # fmt: skip
_SILENT = words("Its process ended without a result", ja="プロセスが結果を返さずに終了しました")


@dataclass
class _Running:
    """An audit that runs: the folder of its temporary files, its process, until when, and what it
    has said so far.
    """

    task: Task
    folder: Path
    pid: int
    deadline: float
    heard: bytearray = field(default_factory=bytearray)
    result: Result | None = None
    killed: bool = False  # by this process


class Host:
    """Runs up to ``slots`` audits at a time; ``tasks`` and ``out`` are streams of lines."""

    def __init__(self, slots: int, tasks: FileIO, out: BinaryIO) -> None:
        self._slots, self._tasks, self._out = slots, tasks, out
        self._waiting: deque[Task] = deque()
        self._running: dict[int, _Running] = {}  # by the pipe that it speaks through
        self._sets: dict[str, KeptImages] = {}
        self._to_keep: deque[tuple[KeptImages, Missed]] = deque()
        self._life = os.pipe()  # its writing end closes when this process ends, by whatever
        self._selector = selectors.DefaultSelector()

    def run(self) -> None:
        """Until the input ends."""
        self._selector.register(self._tasks, selectors.EVENT_READ)
        rest, is_open = b"", True
        while is_open:
            while self._waiting and len(self._running) < self._slots:
                self._start(self._waiting.popleft())
            for key, _ in self._selector.select(self._patience()):
                block = os.read(key.fd, _BLOCK)
                if key.fd != self._tasks.fileno():
                    self._hear(key.fd, block)
                    continue
                is_open = bool(block)
                *lines, rest = (rest + block).split(b"\n")
                self._waiting += [read_line(Task, line) for line in lines]
            for pipe, one in list(self._running.items()):
                if one.deadline <= time.monotonic():
                    if one.result is None:
                        reason = Sentence(_TIMED_OUT, {"seconds": one.task.limits.seconds})
                        one.result = Result("timed-out", Spoken.of(reason))
                    self._end(pipe)
            self._keep_some()
        for pipe in list(self._running):
            self._stop(pipe)

    def _patience(self) -> float | None:
        """Seconds until something must be looked after; None without end."""
        if self._to_keep:
            return 0.0
        ends = [one.deadline for one in self._running.values()]
        return max(0.0, min(ends) - time.monotonic()) if ends else None

    def _start(self, task: Task) -> None:
        path = task.model.images
        try:
            images = self._sets.get(path) or open_kept(path)
        except InputError as error:
            self._tell(task, Result("refused", Spoken.of(error.sentence)))
            return
        self._sets[path] = images
        folder = Path(tempfile.mkdtemp(prefix="bdshift-"))
        reading, writing = os.pipe()
        pid = os.fork()
        if not pid:
            for inherited in (self._life[1], *self._running):
                os.close(inherited)
            self._selector.close()
            self._tasks.close()
            os.close(self._out.fileno())
            run_child(task, images, folder, writing, self._life[0])
        os.close(writing)
        self._running[reading] = _Running(task, folder, pid, time.monotonic() + task.limits.seconds)
        self._selector.register(reading, selectors.EVENT_READ)

    def _hear(self, pipe: int, block: bytes) -> None:
        one = self._running[pipe]
        *lines, rest = (one.heard + block).split(b"\n")
        one.heard = bytearray(rest)
        for line in lines:
            with suppress(*_NO_MESSAGE):  # what a broken process says is not passed on
                self._take(one, read_line(ChildSays, bytes(line)))
        if not block or len(one.heard) > _MAX_LINE:
            self._end(pipe)

    def _take(self, one: _Running, said: ChildSays) -> None:
        if said.stage is not None:
            self._write(Told(one.task.number, stage=said.stage))
        one.result = said.result or one.result
        images = self._sets[one.task.model.images]
        self._to_keep += [(images, missed) for missed in said.missed]

    def _end(self, pipe: int) -> None:
        """End an audit, if it has not, and tell what came of it."""
        one, status, memory = self._stop(pipe)
        result = one.result
        if result is None:
            number = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
            if number == signal.SIGKILL and not one.killed:
                result = Result("out-of-memory", Spoken.of(Sentence(_NO_MEMORY_LEFT)))
            elif number and not one.killed:
                result = Result("crashed", Spoken.of(Sentence(_KILLED, {"signal": number})))
            else:
                result = Result("crashed", Spoken.of(Sentence(_SILENT)))
        self._tell(one.task, replace(result, memory=memory))

    def _stop(self, pipe: int) -> tuple[_Running, int, int]:
        """An audit, the status that its process ended with, and the most memory it had, in bytes.
        One that still runs is killed.
        """
        one = self._running.pop(pipe)
        self._selector.unregister(pipe)
        os.close(pipe)
        until = time.monotonic() + (_GRACE if one.result is None else 0.0)
        ended, status, usage = os.wait4(one.pid, os.WNOHANG)
        while not ended and time.monotonic() < until:
            time.sleep(_GRACE / 100)
            ended, status, usage = os.wait4(one.pid, os.WNOHANG)
        if not ended:
            one.killed = True
            os.kill(one.pid, signal.SIGKILL)
            _, status, usage = os.wait4(one.pid, 0)
        shutil.rmtree(one.folder, ignore_errors=True)  # what it could not remove
        unit = 1 if sys.platform == "darwin" else 1024
        return one, status, usage.ru_maxrss * unit

    def _keep_some(self) -> None:
        """Decode a few images that audits had to decode by themselves, for those to come."""
        if not self._to_keep:
            return
        images, missed = self._to_keep.popleft()
        images.keep(missed.size, missed.framing, missed.names[:_KEPT_AT_A_TIME])
        rest = missed.names[_KEPT_AT_A_TIME:]
        if rest:
            self._to_keep.appendleft((images, replace(missed, names=rest)))

    def _tell(self, task: Task, result: Result) -> None:
        self._write(Told(task.number, result=result))

    def _write(self, told: Told) -> None:
        self._out.write(line_of(told))
        self._out.flush()


def main() -> None:
    """Serve the process that started this one."""
    keep_freed_memory()
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what libraries print is no message
    Host(int(sys.argv[1]), FileIO(os.dup(0)), out).run()


if __name__ == "__main__":
    main()
