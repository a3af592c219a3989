"""The results of a fleet, in one SQLite file.

SQLite and not Parquet: a row is written as soon as its audit ends, survives a kill at any moment,
and a window can read while the driver writes. Only the driver writes. The file may come from
anyone: what it holds is checked as it is read.
"""

from __future__ import annotations

import os
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from bdshift.errors import InputError
from bdshift.fleet.identity import Stamp
from bdshift.fleet.message import line_of, read_line
from bdshift.fleet.task import Result
from bdshift.kinds import RESULTS

AUDITS = "audits"
"""The folder of its audit files, beside it."""

_FORMAT = 1
_MAX_BYTES = 16 * 1024**3
_MAX_TEXT = 4 * 1024 * 1024  # characters of a row's result
_ERRORS = (
    sqlite3.Error, OSError, ValueError, TypeError, LookupError, RecursionError, OverflowError,
)  # fmt: skip
_TABLE = """
CREATE TABLE audit (
    id INTEGER PRIMARY KEY,
    model TEXT NOT NULL,
    images TEXT NOT NULL,
    question TEXT NOT NULL,
    content TEXT NOT NULL,
    size INTEGER NOT NULL,
    modified INTEGER NOT NULL,
    file TEXT NOT NULL,
    date TEXT NOT NULL,
    result TEXT NOT NULL,
    UNIQUE (model, question)
)
"""


@dataclass(frozen=True)
class Row:
    """A model and what came of it.

    Attributes:
        model: its path, or its address.
        images: path of the clean set.
        question: what was asked (`bdshift.fleet.identity.Questions`).
        content: hash of the model; "" if it could not be read.
        stamp: of the model's file when it was audited.
        file: name of the audit file in `AUDITS`; "" without one.
        date: when it ended, as ISO 8601.
        result: what came of it.
    """

    model: str
    images: str
    question: str
    content: str
    stamp: Stamp
    file: str
    date: str
    result: Result


class Results:
    """The rows of the fleet in ``folder``; the file is made when the first one is put in."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / RESULTS

    def rows(self, after: int = 0) -> list[tuple[int, Row]]:
        """All rows with a number above ``after``, and their numbers, oldest first. A row that is
        replaced gets a new number. Raises `InputError` if the file is not one of ours.
        """
        try:
            about = os.stat(self.path)
            if not stat.S_ISREG(about.st_mode):
                raise InputError("{path}: is not an ordinary file", path=self.path)
            if about.st_size > _MAX_BYTES:
                raise InputError("{path}: is larger than 16 GiB", path=self.path)
            with self._opened("ro") as base:
                if not _is_ours(base):
                    return []
                found = base.execute(
                    "SELECT id, model, images, question, content, size, modified, file, date, "
                    "result FROM audit WHERE id > ? ORDER BY id", (after,),
                )  # fmt: skip
                return [(one[0], _row(one[1:])) for one in found]
        except FileNotFoundError:
            return []
        except _ERRORS as error:
            raise InputError(
                "{path}: is no file of a fleet, or damaged ({reason})",
                path=self.path, reason=str(error),
            ) from error  # fmt: skip

    def put(self, row: Row) -> None:
        """Add a row, in place of an earlier one of the same model and question. Raises `InputError`
        if it cannot be written.
        """
        model, images, file = map(_storable, (row.model, row.images, row.file))
        values = (
            model, images, row.question, row.content, row.stamp.size, row.stamp.modified,
            file, row.date, line_of(row.result).decode(),
        )  # fmt: skip
        try:
            with self._opened("rwc") as base:
                base.execute("PRAGMA journal_mode=WAL")
                base.execute("BEGIN IMMEDIATE")  # all of what follows, or nothing
                if not base.execute("PRAGMA user_version").fetchone()[0]:
                    base.execute(_TABLE)
                    base.execute(f"PRAGMA user_version={_FORMAT}")
                base.execute("DELETE FROM audit WHERE model = ? AND question = ''", (model,))
                base.execute(
                    "INSERT OR REPLACE INTO audit (model, images, question, content, size, "
                    "modified, file, date, result) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", values,
                )  # fmt: skip
                base.commit()
        except (sqlite3.Error, OSError) as error:
            raise InputError(
                "{path}: cannot be written ({reason})", path=self.path, reason=str(error)
            ) from error

    @contextmanager
    def _opened(self, mode: str) -> Iterator[sqlite3.Connection]:
        address = f"{self.path.absolute().as_uri()}?mode={mode}"
        with closing(sqlite3.connect(address, uri=True, timeout=60)) as base:
            base.execute("PRAGMA trusted_schema=OFF")  # a hostile file could hold functions
            base.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _MAX_TEXT)
            yield base


def _storable(text: str) -> str:
    """The text, with \\x… for bytes of a file's name that are no text; SQLite has none of these."""
    return text.encode("utf-8", "backslashreplace").decode()


def _is_ours(base: sqlite3.Connection) -> bool:
    """Whether our table is there, and nothing else; False if nothing is yet. Raises ValueError if
    it is another file: a view could have no end, and a computed column any length.
    """
    version = base.execute("PRAGMA user_version").fetchone()[0]
    held = base.execute("SELECT type, sql FROM sqlite_schema WHERE sql IS NOT NULL").fetchall()
    if not held and not version:
        return False
    if version != _FORMAT:
        raise ValueError(f"format {version}, which another version of bdshift writes")
    (kind, sql), *others = held or [("", "")]
    if others or kind != "table" or sql.split() != _TABLE.split():
        raise ValueError("it holds something else")
    return True


def _row(values: tuple[object, ...]) -> Row:
    model, images, question, content, size, modified, file, date, result = values
    texts = (model, images, question, content, file, date, result)
    if not all(isinstance(one, str) for one in texts) or len(str(result)) > _MAX_TEXT:
        raise TypeError("a row without words")
    if not isinstance(size, int) or not isinstance(modified, int):
        raise TypeError("a row without numbers")
    name = str(file)
    if name and Path(name).name != name:
        raise ValueError("an audit file outside of the folder")
    return Row(
        str(model), str(images), str(question), str(content), Stamp(size, modified), name,
        str(date), read_line(Result, str(result)),
    )  # fmt: skip
