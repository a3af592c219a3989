"""Short tasks that may touch a disk or a network drive, off the GUI thread."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Hashable
from typing import Any

from PySide6.QtCore import QObject, Signal, Slot

_THREADS = 2  # one may hang on a drive that does not answer


class QuickPool(QObject):
    """Answers questions on other threads, and delivers the answers on the GUI thread.

    Of questions with the same key only the last is answered: what is typed in the meantime makes
    the others obsolete, and those that no thread has begun by then are not even run. So what must
    be done whatever is asked later, such as writing a file, has a key of its own.
    """

    _answered = Signal(object, int, object, object)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._questions: queue.SimpleQueue[tuple[Hashable, int, Callable[[], Any]] | None]
        self._questions = queue.SimpleQueue()
        self._last: dict[Hashable, tuple[int, Callable[[Any], None], Callable[[Any], None]]] = {}
        self._number = 0
        self._closed = False
        self._answered.connect(self._deliver)
        for _ in range(_THREADS):
            threading.Thread(target=self._work, daemon=True).start()

    def ask(
        self,
        key: Hashable,
        run: Callable[[], Any],
        done: Callable[[Any], None],
        failed: Callable[[Exception], None] | None = None,
    ) -> None:
        """Run ``run`` on another thread; ``done`` gets what it returns, ``failed`` what it raises.
        Without ``failed`` an error is raised on the GUI thread.
        """
        self._number += 1
        self._last[key] = self._number, done, failed or _raise
        self._questions.put((key, self._number, run))

    def forget(self, key: Hashable) -> None:
        """Drop the answer to the last question with this key."""
        self._last.pop(key, None)

    @property
    def idle(self) -> bool:
        """Whether all questions have been answered."""
        return not self._last

    def close(self) -> None:
        """Stop answering."""
        self._closed = True
        self._last.clear()
        for _ in range(_THREADS):
            self._questions.put(None)

    def _work(self) -> None:
        while (question := self._questions.get()) is not None:
            key, number, run = question
            last = self._last.get(key)
            if last is not None and last[0] > number:
                continue
            result, error = None, None
            try:
                result = run()
            except BaseException as found:  # reported on the GUI thread
                error = found
            if not self._closed:
                self._answered.emit(key, number, result, error)

    @Slot(object, int, object, object)
    def _deliver(self, key: Hashable, number: int, result: Any, error: Any) -> None:
        last = self._last.get(key)
        if last is None or last[0] != number:
            return
        del self._last[key]
        _, done, failed = last
        if error is None:
            done(result)
        else:
            failed(error)


def _raise(error: Exception) -> None:
    raise error
