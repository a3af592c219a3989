"""The tests, collected once and run once; then, in a fork for every change, those that reach it."""

from __future__ import annotations

import ast
import functools
import gc
import os
import resource
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import CodeType, FrameType, FunctionType
from typing import Any

import pytest

from tools.mutants.changes import Change

Judge = Callable[[Change], str | None]
"""What came of a change; None if it takes effect only where the file is imported."""

_SLACK, _SECONDS = 5, 3  # a change may make tests this many times slower, and this much
_BUSY = 6  # times as long on the clock: others use the processor, too
_MEMORY = 4 * 2**30  # more than what is held already


def limited(seconds: float) -> None:
    """End this process if it takes many times as long as the unchanged tests, or much memory."""
    most = int(_SLACK * seconds + _SECONDS) + 1
    resource.setrlimit(resource.RLIMIT_CPU, (most, most))
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.alarm(_BUSY * most)
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[0])
    memory = pages * resource.getpagesize() + _MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))


def forked(act: Callable[[], int]) -> str:
    """What came of tests that ``act`` runs in a fork, which returns their exit status."""
    child = os.fork()
    if not child:
        status = 1
        try:
            quiet = os.open(os.devnull, os.O_WRONLY)
            os.dup2(quiet, 1)
            os.dup2(quiet, 2)
            status = act()
        finally:
            os._exit(status)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        return "too slow" if os.WTERMSIG(status) in (signal.SIGXCPU, signal.SIGALRM) else "killed"
    return "survived" if status == 0 else "killed"


class Suite:
    """A plugin of pytest's: runs what was collected as it is, and gives ``then`` a judge of changes
    of ``file``. What fixtures of the session made is kept.
    """

    def __init__(self, file: Path, tree: ast.Module, then: Callable[[Judge], None]) -> None:
        self._path, self._tree, self._then = str(file.absolute()), tree, then
        self._failed = False
        self._lines: set[int] = set()
        self._reached: dict[Any, set[int]] = {}
        self._seconds: dict[Any, float] = {}
        self._functions: list[FunctionType] = []  # of the file, as they live in this process
        self._caches: list[Any] = []  # they may hold what the unchanged file made
        self._always: set[int] = set()  # reached by a fixture, perhaps for several tests

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Called by pytest."""
        self._failed = self._failed or report.failed
        if report.when == "setup":
            self._always |= self._lines
        elif report.when == "call":
            self._seconds[report.nodeid] = report.duration

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Called by pytest."""
        items = session.items
        threading.settrace(self._traced)
        for item, following in zip(items, [*items[1:], items[0]], strict=True):
            self._lines = set()
            sys.settrace(self._traced)
            item.ihook.pytest_runtest_protocol(item=item, nextitem=following)
            sys.settrace(None)
            self._reached[item.nodeid] = self._lines
        threading.settrace(None)
        if self._failed:
            return True
        known = [item for item in items if item.nodeid in self._seconds]  # not those skipped
        known.sort(key=lambda item: self._seconds[item.nodeid])
        gc.unfreeze()  # what is frozen is not listed
        for one in gc.get_objects():
            if type(one) is functools._lru_cache_wrapper:
                if one.__module__.startswith("bdshift"):
                    self._caches.append(one)
            elif type(one) is FunctionType and one.__code__.co_filename == self._path:
                self._functions.append(one)
        gc.collect()
        gc.freeze()  # or the first collection of each fork would copy all memory
        self._then(lambda change: self._judged(change, known))
        return True

    def _traced(self, frame: FrameType, event: str, argument: Any) -> Any:
        if frame.f_code.co_filename != self._path:
            return None
        self._lines.add(frame.f_lineno)
        return self._traced

    def _judged(self, change: Change, items: Sequence[pytest.Item]) -> str | None:
        if not change.inside:
            return None
        if self._always.isdisjoint(change.lines):
            reaching = [
                one for one in items if not self._reached[one.nodeid].isdisjoint(change.lines)
            ]
        else:
            reaching = list(items)
        if not reaching:
            return "not reached"
        seconds = sum(self._seconds[one.nodeid] for one in reaching)
        new = {
            _key(one): one for one in _codes(compile(change.made(self._tree), self._path, "exec"))
        }
        functions = [(one, new[_key(one.__code__)]) for one in self._functions]
        if any(code.co_freevars != one.__code__.co_freevars for one, code in functions):
            return None

        def act() -> int:
            limited(seconds)
            for function, code in functions:
                function.__code__ = code
            for one in self._caches:
                one.cache_clear()
            for item, following in zip(reaching, [*reaching[1:], None], strict=True):
                item.ihook.pytest_runtest_protocol(item=item, nextitem=following)
                if self._failed:
                    return 1
            return 0

        return forked(act)


def _codes(code: CodeType) -> Iterator[CodeType]:
    yield code
    for one in code.co_consts:
        if isinstance(one, CodeType):
            yield from _codes(one)


def _key(code: CodeType) -> tuple[str, int]:
    return code.co_qualname, code.co_firstlineno
