"""The window's language: English in the code, others from one JSON file each."""

from __future__ import annotations

import json
from functools import cache

from PySide6.QtCore import QCoreApplication, QLibraryInfo, QLocale, QTranslator

from bdshift.assets import asset
from bdshift_gui.settings import Language, Settings


@cache
def catalog(language: Language) -> dict[str, str]:
    """Every sentence of the window in ``language``, by the English one."""
    if language == "en":
        return {}
    found: dict[str, str] = json.loads(asset(f"i18n/{language}.json").read_text("utf-8"))
    return found


_now: list[Language] = ["en"]


def tr(text: str, **values: object) -> str:
    """``text`` in the window's language, with ``{name}`` filled in.

    ``text`` is a literal, so that a test can collect every one and find what is not translated.
    """
    found = catalog(_now[0]).get(text, text)
    return found.format(**values) if values else found


def language() -> Language:
    """The window's language."""
    return _now[0]


class Translators:
    """Switches the language of our sentences and of Qt's own buttons."""

    def __init__(self) -> None:
        self._qt = QTranslator()

    def use(self, language: Language) -> None:
        """Switch; the main window then renders everything anew."""
        _now[0] = language
        QCoreApplication.removeTranslator(self._qt)
        folder = QLibraryInfo.path(QLibraryInfo.LibraryPath.TranslationsPath)
        if language != "en" and self._qt.load(f"qtbase_{language}", folder):
            QCoreApplication.installTranslator(self._qt)


def preferred(settings: Settings) -> Language:
    """As chosen, or as the desktop speaks, or English."""
    if settings.language is not None:
        return settings.language
    return "ja" if QLocale.system().language() == QLocale.Language.Japanese else "en"
