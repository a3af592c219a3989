"""Audits a list of models with an engine, and keeps every result as it comes."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path

from bdshift.audit.made import now
from bdshift.errors import InputError
from bdshift.fleet.engine import Engine
from bdshift.fleet.identity import Questions, Stamp, content_of, stamp_of
from bdshift.fleet.results import AUDITS, Results, Row
from bdshift.fleet.task import FleetModel, Limits, Result, Spoken, Stage, Task
from bdshift.jobs import SILENT, Audits, JobContext
from bdshift.locks import locked
from bdshift.writing import make_folder

_PATIENCE = 0.2  # seconds without a look at Cancel
_MAX_NAME = 60  # characters of an audit file's name that say which model it is of


@dataclass(frozen=True)
class FleetPart:
    """One of ``count`` parts of a list, from 1."""

    number: int = 1
    count: int = 1

    def of(self, models: Sequence[FleetModel]) -> Sequence[FleetModel]:
        """Its models: every ``count``-th."""
        return models[self.number - 1 :: self.count]


@dataclass(frozen=True)
class _Asked:
    """A model with what identifies its audit."""

    model: FleetModel
    question: str
    content: str
    stamp: Stamp


def run_fleet(
    models: Sequence[FleetModel],
    folder: Path,
    engine: Engine,
    *,
    limits: Limits | None = None,
    embeddings: bool = False,
    again: bool = False,
    job: JobContext = SILENT,
) -> None:
    """Audit ``models``, keeping results and audit files in ``folder``. What is there already, by
    content of the model and the images and by settings, is not done again, unless it failed and
    ``again`` is set; a model with the same content as another is audited once. The engine is
    closed.

    Raises `InputError` if the folder cannot be written, or a clean set that all need cannot be
    read, `Canceled` if the job was canceled; what was done by then is kept.
    """
    with _closed(engine):
        make_folder(folder / AUDITS)
        with locked(folder / AUDITS, job):
            results = Results(folder)
            _Drive(models, results, engine, limits or Limits(), embeddings, again, job).run()


@contextmanager
def _closed(engine: Engine) -> Iterator[None]:
    try:
        yield
    finally:
        engine.close()


class _Drive:
    """One run over a list."""

    def __init__(
        self,
        models: Sequence[FleetModel],
        results: Results,
        engine: Engine,
        limits: Limits,
        embeddings: bool,
        again: bool,
        job: JobContext,
    ) -> None:
        self._left = deque(models)
        self._total = len(models)
        self._results, self._engine, self._limits = results, engine, limits
        self._embeddings, self._job = embeddings, job
        self._questions = Questions(job)
        if len({one.images for one in models}) == 1:
            self._questions.of(models[0])  # images that all need and none can have are one error
        known = [row for _, row in results.rows()]
        if again:
            known = [row for row in known if row.result.status == "done"]
        self._by_file = {(row.model, row.question): row for row in known}
        self._newest = {row.model: row for row in known}
        self._by_content = {(row.content, row.question): row for row in known if row.content}
        self._running: dict[int, _Asked] = {}
        self._stages: dict[str, Stage | None] = {}
        self._same: dict[tuple[str, str], list[_Asked]] = {}  # those that wait for their like
        self._numbers = count()
        self._done = self._known = 0

    def run(self) -> None:
        """Until every model has a result."""
        self._tell()
        while self._left or self._running:
            self._job.raise_if_canceled()
            if self._left and self._engine.room > 0:
                self._begin(self._left.popleft())
                patience = 0.0
            else:
                patience = _PATIENCE
            for told in self._engine.told(patience):
                asked = self._running[told.number]
                if told.result is None:
                    self._stages[asked.model.path] = told.stage
                else:
                    del self._running[told.number]
                    self._finish(asked, told.result)
                self._tell()

    def _tell(self) -> None:
        self._job.report(Audits(self._done, self._total, dict(self._stages)))
        audited = self._done - self._known  # so that the time left is that of what is left
        self._job.progress("Auditing models", audited, self._total - self._known, "models")

    def _begin(self, model: FleetModel) -> None:
        """Give a model to the engine, unless its result is known, or is going to be."""
        try:
            question = self._questions.of(model)
            stamp, known = stamp_of(model.path), self._by_file.get((model.path, question))
            if known is not None and known.stamp == stamp and known.content:
                return self._keep(known)
            content = content_of(model.path, self._job)
        except InputError as error:
            asked = _Asked(model, "", "", Stamp(0, 0))
            return self._finish(asked, Result("refused", Spoken.of(error.sentence)))
        asked = _Asked(model, question, content, stamp)
        known = self._by_content.get((content, question))
        if known is not None:
            return self._copy(asked, known)
        key = (content, question)
        if key in self._same:
            self._same[key].append(asked)
            return None
        self._same[key] = []
        number = next(self._numbers)
        self._running[number] = asked
        self._stages[model.path] = None
        audit = str((self._results.folder / AUDITS / self._file(asked)).absolute())
        self._engine.submit(Task(number, model, self._limits, audit, self._embeddings))
        self._tell()
        return None

    def _keep(self, known: Row) -> None:
        """A result that is there already. It becomes the model's newest, which the table shows."""
        if self._newest.get(known.model) is not known:
            self._results.put(known)
        self._known += 1
        self._count()

    def _file(self, asked: _Asked) -> str:
        """The name of an audit file: of the model, and of what was asked."""
        name = re.sub(r"[^\w.-]+", "-", Path(asked.model.path).name)[:_MAX_NAME]
        return f"{name}-{asked.content[:12]}-{asked.question[:6]}.audit.h5"

    def _finish(self, asked: _Asked, result: Result) -> None:
        name = self._file(asked) if result.status == "done" else ""
        row = self._put(asked, result, name)
        self._stages.pop(asked.model.path, None)
        for other in self._same.pop((asked.content, asked.question), ()):
            self._copy(other, row)

    def _copy(self, asked: _Asked, known: Row) -> None:
        """The result of a model with the same content."""
        self._put(asked, replace(known.result, seconds=0.0), known.file)

    def _put(self, asked: _Asked, result: Result, file: str) -> Row:
        row = Row(
            asked.model.path, asked.model.images, asked.question, asked.content, asked.stamp,
            file, now(), result,
        )  # fmt: skip
        self._results.put(row)
        self._newest[row.model] = row
        if asked.content:
            self._by_content[asked.content, asked.question] = row
        self._count()
        return row

    def _count(self) -> None:
        self._done += 1
        self._tell()
