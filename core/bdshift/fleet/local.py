"""The engine on this machine: one `bdshift.fleet.host`, started again if it is lost."""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import suppress

from bdshift.errors import UsageError
from bdshift.fleet.engine import ATTEMPTS, Engine
from bdshift.fleet.message import line_of, read_line
from bdshift.fleet.task import Result, Spoken, Task, Told
from bdshift.words import Sentence, words

_BLOCK = 1 << 16

_LOST = words("The process that audits the models has ended {attempts} times while it ran",
              ja="実行中に監査プロセスが {attempts} 回終了しました")  # fmt: skip


class LocalEngine(Engine):
    """Audits up to ``slots`` tasks at a time in processes of this machine. Raises `UsageError` on
    Windows.
    """

    def __init__(self, slots: int) -> None:
        if not hasattr(os, "fork"):
            raise UsageError("many models are audited on Linux and macOS only: Windows cannot fork")
        self._slots = slots
        self._tasks: dict[int, Task] = {}  # those that are not done
        self._lost: list[Told] = []
        self._began: set[int] = set()  # those that have told something
        self._restarts = 0  # since the last result
        self._rest = b""
        self._folder = tempfile.TemporaryDirectory(prefix="bdshift-", ignore_cleanup_errors=True)
        self._start()

    @property
    def room(self) -> int:
        """How many more tasks it takes now: one waits for each slot."""
        return 2 * self._slots - len(self._tasks)

    def submit(self, task: Task) -> None:
        """Take a task."""
        self._tasks[task.number] = task
        self._send(task)

    def told(self, patience: float) -> Sequence[Told]:
        """What has happened since the last call."""
        found, self._lost = self._lost, []
        out = self._process.stdout
        assert out is not None
        with selectors.DefaultSelector() as waiting:
            waiting.register(out, selectors.EVENT_READ)
            while waiting.select(0 if found else patience):
                block = os.read(out.fileno(), _BLOCK)
                if not block:
                    self._restart()
                    break  # what is lost for good is told next time
                *lines, self._rest = (self._rest + block).split(b"\n")
                for one in (read_line(Told, line) for line in lines):
                    found.append(one)
                    self._began.add(one.number)
                    if one.result is not None:
                        self._restarts = 0
                        del self._tasks[one.number]
        return found

    def close(self) -> None:
        """End all audits that run, and their host."""
        self._end()
        self._folder.cleanup()

    def _end(self) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)  # with those that it has forked
        self._process.communicate()

    def _start(self) -> None:
        command = [sys.executable, "-m", "bdshift.fleet.host", str(self._slots)]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            start_new_session=True, env={**os.environ, "TMPDIR": self._folder.name},
        )  # fmt: skip
        self._rest = b""

    def _restart(self) -> None:
        """After the host was lost: start another, and give it what was not done. What was running
        has one attempt less; what waited has not, unless no host gets anywhere.
        """
        self._end()
        self._start()
        self._restarts += 1
        left, self._tasks = self._tasks, {}
        for task in left.values():
            tried = task.again if task.number in self._began else task
            if max(tried.attempt, self._restarts) < ATTEMPTS:
                self.submit(tried)
            else:
                reason = Sentence(_LOST, {"attempts": ATTEMPTS})
                self._lost.append(Told(task.number, Result("crashed", Spoken.of(reason))))

    def _send(self, task: Task) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(line_of(task))
            self._process.stdin.flush()
        except BrokenPipeError:
            pass  # its output ends, too, and then the task is given to another
