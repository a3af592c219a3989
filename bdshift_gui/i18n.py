"""The window's language. Its texts are templates of `bdshift.words`, in English in the code."""

from __future__ import annotations

from PySide6.QtCore import QCoreApplication, QLibraryInfo, QLocale, QTranslator

from bdshift.words import Language, Sentence, translate
from bdshift_gui.settings import Settings

_now: list[Language] = ["en"]


def tr(text: str, **values: object) -> str:
    """``text`` in the window's language, with ``{name}`` filled in.

    ``text`` is a literal, so that a test can collect them all and find those without a translation;
    or it comes from a registry, where `bdshift.words.words` made it.
    """
    return Sentence(text, values).render(_now[0]) if values else translate(text, _now[0])


def say(sentence: Sentence) -> str:
    """A sentence from the library, in the window's language."""
    return sentence.render(_now[0])


def language() -> Language:
    """The window's language."""
    return _now[0]


class Translators:
    """Switches the language of our sentences and of Qt's own buttons."""

    def __init__(self) -> None:
        self._qt = QTranslator()

    def use(self, language: Language) -> None:
        """Switch to ``language``; the main window then renders everything again."""
        _now[0] = language
        QCoreApplication.removeTranslator(self._qt)
        folder = QLibraryInfo.path(QLibraryInfo.LibraryPath.TranslationsPath)
        if language != "en" and self._qt.load(f"qtbase_{language}", folder):
            QCoreApplication.installTranslator(self._qt)


def preferred(settings: Settings) -> Language:
    """The chosen language, else the desktop's if it is supported, else English."""
    if settings.language is not None:
        return settings.language
    return "ja" if QLocale.system().language() == QLocale.Language.Japanese else "en"
