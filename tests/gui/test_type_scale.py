"""Text in the window has three sizes, all from one place."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pyqtgraph as pg
import pytest
from driving import dialog, do, open_paths
from PySide6.QtGui import QFontInfo
from PySide6.QtWidgets import QApplication, QDialog, QGraphicsTextItem, QGraphicsView, QWidget
from pytestqt.qtbot import QtBot

import bdshift_gui
from bdshift_gui.dialogs.purify import PurifyDialog
from bdshift_gui.dialogs.trigger import TriggerDialog
from bdshift_gui.main_window import MainWindow
from bdshift_gui.theme import BODY, DARK, LIGHT, SMALL, TITLE, style_sheet

SIZES = {TITLE, BODY, SMALL}
_WRITTEN = re.compile(r"font-size:\s*([\d.]+\w*)")


def _in_plot(view: QGraphicsView) -> Iterator[float]:
    """Sizes of text in a plot, as pixels."""
    for item in view.scene().items():
        if isinstance(item, QGraphicsTextItem):
            written = _WRITTEN.findall(item.toHtml())
            assert all(one.endswith("px") for one in written), written
            yield from (float(one[:-2]) for one in written)
            if not written and item.toPlainText():
                yield item.font().pixelSize()
        elif isinstance(item, pg.AxisItem) and item.isVisible():
            yield item.style["tickFont"].pixelSize() if item.style["tickFont"] else BODY


def sizes_in(top: QWidget) -> set[float]:
    """Sizes of everything that is visible in a window, as pixels."""
    found: set[float] = set()
    for one in [top, *top.findChildren(QWidget)]:
        if one.isVisible():
            found.add(QFontInfo(one.font()).pixelSize())
            if isinstance(one, QGraphicsView):
                found.update(_in_plot(one))
    return found


def test_the_scale() -> None:
    assert (TITLE, BODY, SMALL) == (20, 13, 11)
    for theme in (LIGHT, DARK):
        written = set(_WRITTEN.findall(style_sheet(theme)))
        assert written == {f"{TITLE}px", f"{BODY}px"}, "SMALL is for plots"


def test_nothing_else_sets_a_size() -> None:
    folder = Path(bdshift_gui.__file__).parent
    own = [
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*.py")
        if re.search(r"font-size(?!\": f\"\{SMALL)|set(Pixel|Point)Size|labelTextSize=\"",
                     path.read_text("utf-8"))
    ]  # fmt: skip
    assert [one for one in own if not one.startswith("printing/")] == ["theme.py"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_welcome(window: MainWindow, scheme: str) -> None:
    do(window, scheme)
    assert sizes_in(window) == {TITLE, BODY}


@pytest.mark.parametrize("language", ["en", "ja"])
def test_an_audit(opened: MainWindow, qapp: QApplication, language: str) -> None:
    do(opened, language)
    assert sizes_in(opened) == SIZES
    do(opened, "show_gallery")
    assert TITLE in sizes_in(opened) <= SIZES


def test_purifications(window: MainWindow, qtbot: QtBot, purified_file: Path) -> None:
    open_paths(qtbot, window, purified_file)
    window.session.update(chosen=1)
    for key in ("compare", "close_page", "show_purifications"):
        do(window, key)
        assert TITLE in sizes_in(window) <= SIZES, key


@pytest.mark.parametrize(("key", "kind"), [("trigger", TriggerDialog), ("purify", PurifyDialog)])
def test_dialogs(opened: MainWindow, qtbot: QtBot, key: str, kind: type[QDialog]) -> None:
    do(opened, key)
    shown = dialog(qtbot, opened, kind)
    assert BODY in sizes_in(shown) <= SIZES
    shown.reject()
