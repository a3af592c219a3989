"""What the window remembers between runs, in one place."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import cast, get_args

from PySide6.QtCore import QByteArray, QSettings, QStandardPaths, QTemporaryDir

from bdshift.words import LANGUAGES, Language
from bdshift_gui.session import Scheme

MAX_RECENT = 10
MAX_RECENT_TRIGGERS = 12
_MAX_TRIGGER_TEXT = 40_000  # characters; a painted one has its pixels in it


class Settings:
    """Typed access to QSettings, in its own file; ``fresh`` starts clean and keeps nothing."""

    def __init__(self, *, fresh: bool = False) -> None:
        self._folder = QTemporaryDir() if fresh else None
        place = QStandardPaths.StandardLocation.AppConfigLocation
        folder = self._folder.path() if self._folder else QStandardPaths.writableLocation(place)
        self._store = QSettings(f"{folder}/window.ini", QSettings.Format.IniFormat)
        data = QStandardPaths.writableLocation(QStandardPaths.StandardLocation.AppDataLocation)
        self.data_folder = Path(folder if fresh else data)
        """Where the window keeps what is not to be lost."""

    @property
    def scheme(self) -> Scheme:
        """Light, dark, or the desktop's."""
        found = self._store.value("scheme", "system")
        return cast(Scheme, found) if found in get_args(Scheme) else "system"

    @scheme.setter
    def scheme(self, value: Scheme) -> None:
        self._store.setValue("scheme", value)

    @property
    def language(self) -> Language | None:
        """The chosen language; None to follow the desktop."""
        found = self._store.value("language")
        return cast(Language, found) if found in LANGUAGES else None

    @language.setter
    def language(self, value: Language) -> None:
        self._store.setValue("language", value)

    @property
    def compares(self) -> bool:
        """Whether every scan is followed by a comparison with clean models."""
        return str(self._store.value("compares", "yes")) != "no"

    @compares.setter
    def compares(self, value: bool) -> None:
        self._store.setValue("compares", "yes" if value else "no")

    @property
    def recent(self) -> list[Path]:
        """Audit files opened or saved last, newest first."""
        return [Path(one) for one in self._texts("recent")][:MAX_RECENT]

    def remember(self, path: Path) -> None:
        """Put ``path``, which must be absolute, first among the recent audits."""
        kept = [path, *(one for one in self.recent if one != path)][:MAX_RECENT]
        self._store.setValue("recent", json.dumps([str(one) for one in kept]))

    def hidden_columns(self, table: str) -> frozenset[str]:
        """Keys of the columns that are not to be shown in a table."""
        return frozenset(self._texts(f"hidden/{table}"))

    def hide_columns(self, table: str, keys: Iterable[str]) -> None:
        """Set `hidden_columns`."""
        self._store.setValue(f"hidden/{table}", json.dumps(sorted(keys)))

    @property
    def recent_triggers(self) -> list[str]:
        """Texts of the triggers used last, in any audit, newest first."""
        texts = [one for one in self._texts("triggers") if len(one) <= _MAX_TRIGGER_TEXT]
        return texts[:MAX_RECENT_TRIGGERS]

    def remember_trigger(self, text: str) -> None:
        """Put a trigger first among those."""
        kept = [text, *(one for one in self.recent_triggers if one != text)]
        self._store.setValue("triggers", json.dumps(kept[:MAX_RECENT_TRIGGERS]))

    def window(self) -> tuple[QByteArray, QByteArray]:
        """Geometry and dock state as last saved; empty at first."""
        return self._bytes("geometry"), self._bytes("docks")

    def save_window(self, geometry: QByteArray, docks: QByteArray) -> None:
        """Save geometry and dock state."""
        self._store.setValue("geometry", geometry)
        self._store.setValue("docks", docks)

    def forget_docks(self) -> None:
        """Forget the dock state, to start with the default layout again."""
        self._store.remove("docks")

    def _texts(self, key: str) -> list[str]:
        """A list of texts; anything else in the file counts as none."""
        try:
            found = json.loads(str(self._store.value(key, "[]")))
        except ValueError:
            return []
        return [one for one in found if isinstance(one, str)] if isinstance(found, list) else []

    def _bytes(self, key: str) -> QByteArray:
        found = self._store.value(key)
        return found if isinstance(found, QByteArray) else QByteArray()
