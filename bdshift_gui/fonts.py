"""The bundled font, Latin and Japanese, so that windows and pages look the same everywhere."""

from __future__ import annotations

from PySide6.QtGui import QFont, QFontDatabase, QGuiApplication

from bdshift.assets import asset


def load_fonts() -> None:
    """Load the bundled font, and use it for everything."""
    for name in ("NotoSansJP-Regular.otf", "NotoSansJP-Bold.otf"):
        number = QFontDatabase.addApplicationFont(str(asset(f"fonts/{name}")))
        families = QFontDatabase.applicationFontFamilies(number)
    if families:
        QGuiApplication.setFont(QFont(families[0]))
