"""An engine of fleets that audits nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from bdshift.fleet.engine import Engine
from bdshift.fleet.task import Result, Spoken, Task, Told

REASON = Spoken({"en": "Said so.", "ja": "そう言った。"})


class Scripted(Engine):
    """Says at once what ``answer`` makes of a task."""

    def __init__(self, answer: Callable[[Task], Result]) -> None:
        self.answer, self.asked, self.closed = answer, list[Task](), False
        self._told: list[Told] = []

    @property
    def room(self) -> int:
        return 2 - len(self._told)

    def submit(self, task: Task) -> None:
        self.asked.append(task)
        self._told.append(Told(task.number, self.answer(task)))

    def told(self, patience: float) -> Sequence[Told]:
        found, self._told = self._told, []
        return found

    def close(self) -> None:
        self.closed = True
