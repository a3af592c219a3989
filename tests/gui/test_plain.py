"""A hostile audit file, in which every text is markup that would load a file: nothing in the window
renders it, and nothing shows marks that reorder text.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyqtgraph as pg
import pytest
from audit_files import describe, description
from driving import dialog, do, find, open_paths, wait_well, workspace
from PySide6.QtCore import Qt
from PySide6.QtGui import QAction
from PySide6.QtGui import Qt as QtText
from PySide6.QtWidgets import (
    QAbstractButton,
    QAbstractItemView,
    QApplication,
    QComboBox,
    QGraphicsTextItem,
    QGraphicsView,
    QLabel,
    QPlainTextEdit,
    QWidget,
)
from pytestqt.qtbot import QtBot

from bdshift.store import load_audit
from bdshift.words import Sentence
from bdshift_gui.dialogs.architecture import ArchitectureDialog
from bdshift_gui.dialogs.labels import LabelsDialog
from bdshift_gui.dialogs.pages import RankingPage
from bdshift_gui.dialogs.purify import PurifyDialog
from bdshift_gui.main_window import MainWindow
from bdshift_gui.plain import PlainLabel, as_html, on_button, set_tip
from bdshift_gui.session import RecentAudit
from bdshift_gui.views.scatter import ScatterView
from bdshift_gui.widgets.plot import PlotCard

EVIL = '<img src="file:///dev/zero">\u202e\x07&=1+1'
FREE = {
    "architecture", "container", "sha256", "path", "text", "code", "name", "device", "trigger",
    "template", "test", "bdshift", "python",
}  # fmt: skip
"""Keys whose text may be anything."""


def _evil(value: Any, key: str = "") -> Any:
    if isinstance(value, dict):
        if "template" in value:  # words that this version does not know are shown as they are
            return {"template": EVIL, "values": {}, "text": EVIL}
        return {name: _evil(one, name) for name, one in value.items()}
    if key == "class_names":
        return [f"{EVIL}{number}" for number in range(len(value))]
    if key == "files":
        return [[f"{EVIL}/{number}", label] for number, (_, label) in enumerate(value)]
    if isinstance(value, list):
        return [_evil(one, key) for one in value]
    return EVIL if isinstance(value, str) and key in FREE else value


@pytest.fixture
def hostile_file(purified_file: Path, tmp_path: Path) -> Path:
    path = tmp_path / "<b>&hostile.h5"
    path.write_bytes(purified_file.read_bytes())
    describe(path, _evil(description(path)))
    assert load_audit(path).images.class_names[3] == f"{EVIL}3"
    return path


def _texts(widget: QWidget) -> Iterator[str]:
    """What a widget shows, as it shows it; asserts that none of it is markup."""
    assert "<img" not in widget.toolTip(), widget
    yield widget.toolTip()
    for action in widget.actions():
        yield from _texts_of_action(action)
    if isinstance(widget, QLabel):
        plain = widget.textFormat() == Qt.TextFormat.PlainText
        assert plain or not QtText.mightBeRichText(widget.text()), widget.text()
        yield widget.text()
    if isinstance(widget, QAbstractButton):
        yield widget.text()
    if isinstance(widget, QPlainTextEdit):
        yield widget.toPlainText()
    if isinstance(widget, QComboBox):
        yield from (widget.itemText(number) for number in range(widget.count()))
    if isinstance(widget, QAbstractItemView) and widget.model() is not None:
        model = widget.model()
        for row in range(min(30, model.rowCount())):
            for column in range(model.columnCount()):
                index = model.index(row, column)
                tip = index.data(Qt.ItemDataRole.ToolTipRole) or ""
                assert "<img" not in tip
                yield from (tip, str(index.data() or ""))
    if isinstance(widget, QGraphicsView) and widget.scene() is not None:
        for item in widget.scene().items():
            assert "<img" not in item.toolTip()
            if isinstance(item, QGraphicsTextItem):
                assert "<img" not in item.toHtml()
                yield item.toPlainText()
            if isinstance(item, pg.AxisItem):
                for ticks in item._tickLevels or ():
                    yield from (text for _, text in ticks)


def _texts_of_action(action: QAction) -> Iterator[str]:
    assert "<img" not in action.toolTip()
    yield action.text()


def _shown(window: MainWindow) -> str:
    """All that the window and its dialogs show; asserts that it is harmless."""
    found: list[str] = []
    for widget in QApplication.allWidgets():
        found += _texts(widget)
    whole = "\n".join(found)
    assert "\u202e" not in whole
    assert "\x07" not in whole
    return whole


def test_nothing_in_an_audit_is_markup(
    window: MainWindow, qtbot: QtBot, hostile_file: Path
) -> None:
    open_paths(qtbot, window, hostile_file)
    wait_well(qtbot, window)
    for panel in workspace(window).docks.values():
        panel.show()
        panel.raise_()
    assert r"\u202e\x07" in _shown(window), "it is shown, but as text"
    scatter = find(window, ScatterView)
    scatter.label_axis("left", scatter._axes[1])  # where there is room for it
    label = scatter.plot.getAxis("left").label
    assert '<img src="file:///dev/zero">' in label.toPlainText()
    window.context.session.update(message=Sentence("{path}: x", {"path": EVIL}))
    _shown(window)
    do(window, "compare")
    _shown(window)
    do(window, "close_page")
    for key, kind in (
        ("correct_model", ArchitectureDialog),
        ("correct_labels", LabelsDialog),
        ("ranking", RankingPage),
        ("purify", PurifyDialog),
    ):
        do(window, key)
        asked = dialog(qtbot, window, kind)
        _shown(window)
        asked.reject()


def test_an_error_and_a_recent_file_are_text(window: MainWindow, qtbot: QtBot) -> None:
    path = Path('/nowhere/<img src="file:x">&b.h5')
    open_paths(qtbot, window, path)
    window.session.update(recent=(RecentAudit(path, True),))
    window._fill_recent()
    shown = _shown(window)
    assert "&&b.h5" in window.recent.actions()[0].text()
    assert '<img src="file:x">' in shown


def test_curves_and_tables_of_hostile_names(
    window: MainWindow, qtbot: QtBot, hostile_file: Path
) -> None:
    open_paths(qtbot, window, hostile_file)
    for card in window.findChildren(PlotCard):
        for row in csv.reader(io.StringIO(card.csv())):
            for cell in row:
                assert cell[:1] not in ("=", "+", "@", "\t", "\r")
                assert "\u202e" not in cell
        svg = card.svg()
        assert b"<img" not in svg
        assert b"\x07" not in svg


def test_the_parts(qtbot: QtBot) -> None:
    label = PlainLabel(EVIL)
    qtbot.addWidget(label)
    assert label.textFormat() == Qt.TextFormat.PlainText
    for text in (EVIL, "&lt;img", f"a\n{EVIL}", f"{EVIL}\nb"):
        set_tip(label, text)
        assert "<img" not in label.toolTip()
    set_tip(label, "a < b\nc & d")
    assert label.toolTip() == "<qt>a &lt; b<br>c &amp; d</qt>"
    set_tip(label, "a\nc & d")
    assert label.toolTip() == "a\nc & d"
    assert as_html("<b>&\u202e") == r"&lt;b&gt;&amp;\u202e"
    assert on_button("R&D") == "R&&D"
