"""Combo boxes: what does not fit is elided, never cut, and can be read whole."""

from __future__ import annotations

from pathlib import Path

import pytest
from driving import do, find
from PySide6.QtCore import QEvent, QPoint
from PySide6.QtGui import QHelpEvent
from PySide6.QtWidgets import QApplication, QComboBox
from pytestqt.qtbot import QtBot

import bdshift_gui
from bdshift_gui.main_window import MainWindow
from bdshift_gui.plain import set_tip
from bdshift_gui.theme import LIGHT, style_sheet
from bdshift_gui.views.classes import ClassView
from bdshift_gui.widgets import choice_box
from bdshift_gui.widgets.choice_box import ChoiceBox

LONG = "badnets:size=4,color=ffd800,row=20,column=14, for <b>speed_80</b>"


def box(qtbot: QtBot, width: int) -> ChoiceBox:
    made = ChoiceBox()
    qtbot.addWidget(made)
    made.addItems([LONG, "short"])
    made.resize(width, 26)
    made.show()
    return made


def tip_of(made: ChoiceBox, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What it sets as its tip while Qt asks for one."""
    shown: list[str] = []

    def hear(of: ChoiceBox, text: str) -> None:
        set_tip(of, text)
        if of.toolTip():
            shown.append(of.toolTip())

    monkeypatch.setattr(choice_box, "set_tip", hear)
    QApplication.sendEvent(made, QHelpEvent(QEvent.Type.ToolTip, QPoint(), QPoint()))
    return shown


@pytest.mark.qt_log_ignore("This plugin does not support raise", extend=True)
def test_long_text_is_elided_and_is_a_tip(qtbot: QtBot, monkeypatch: pytest.MonkeyPatch) -> None:
    made = box(qtbot, 160)
    assert made.shown_text.endswith("…")
    assert made.fontMetrics().horizontalAdvance(made.shown_text) < 160 - 16, "beside the arrow"
    [tip] = tip_of(made, monkeypatch)
    assert "&lt;b&gt;" in tip, "as it is, not as HTML"
    made.setCurrentIndex(1)
    assert made.shown_text == "short"
    assert tip_of(made, monkeypatch) == []


def test_there_is_no_ellipsis_where_there_is_room(
    qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = box(qtbot, 600)
    assert made.shown_text == LONG
    assert tip_of(made, monkeypatch) == []


def test_it_asks_for_the_room_of_its_longest_text(qtbot: QtBot) -> None:
    made = box(qtbot, 600)
    made.setStyleSheet(style_sheet(LIGHT))
    made.setSizeAdjustPolicy(ChoiceBox.SizeAdjustPolicy.AdjustToContents)
    made.resize(made.sizeHint())
    assert made.shown_text == LONG
    made.resize(made.width() - 24, made.height())
    assert made.shown_text != LONG, "no more than that"


def test_the_box_of_detectors_has_the_room_beside_it(opened: MainWindow) -> None:
    view = find(opened, ClassView)
    assert view.detector.maximumWidth() > 200
    view.caption.show_text("words " * 40)
    view._fit_box()
    assert view.detector.maximumWidth() < 120


def test_all_boxes_do_so() -> None:
    folder = Path(bdshift_gui.__file__).parent
    plain = [path.name for path in folder.rglob("*.py") if "QComboBox" in path.read_text("utf-8")]
    assert plain == ["choice_box.py"]


@pytest.mark.parametrize("language", ["en", "ja"])
def test_none_is_cut_in_a_small_window(opened: MainWindow, language: str) -> None:
    do(opened, language)
    opened.resize(900, 600)
    do(opened, "show_gallery")
    QApplication.processEvents()
    boxes = [one for one in opened.findChildren(QComboBox) if one.isVisible()]
    assert len(boxes) >= 4
    for one in boxes:
        assert isinstance(one, ChoiceBox)
        assert len(one.shown_text) > 4, one.currentText()
        assert one.shown_text == one.currentText() or one.shown_text.endswith("…")
    assert isinstance(find(opened, ClassView).detector, ChoiceBox)
