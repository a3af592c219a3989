"""Triggers that are painted by hand on the image."""

from __future__ import annotations

from pathlib import Path

import pytest
from driving import dialog, do, wait, wait_well
from known import TARGET
from PySide6.QtCore import Qt
from PySide6.QtGui import QColor
from PySide6.QtTest import QTest
from pytestqt.qtbot import QtBot
from trigger_dialog import YELLOW, choose, drag, paint, painted, pixel

from bdshift.store import load_audit
from bdshift.triggers import parse_trigger
from bdshift.triggers.attacks.painted import Painted
from bdshift.triggers.drawing import drawing_of
from bdshift_gui.dialogs.trigger import TriggerDialog
from bdshift_gui.main_window import MainWindow
from bdshift_gui.tasks import writing


def paint_line(asked: TriggerDialog, opened: MainWindow, qtbot: QtBot) -> None:
    paint(asked, opened, qtbot)
    drag(asked._after, (5.5, 3.5), (5.5, 8.5))
    wait_well(qtbot, opened)


def test_what_is_painted_is_the_trigger(
    asked: TriggerDialog, opened: MainWindow, qtbot: QtBot
) -> None:
    paint_line(asked, opened, qtbot)
    found = painted(asked)
    assert (found[5, 3:9] == (255, 0, 0, 255)).all()
    assert found[..., 3].sum() == 6 * 255, "and nothing else"
    assert asked.measure.isEnabled()
    assert pixel(asked._after, 5, 4) == (255, 0, 0)
    asked.settings.set_values({"opacity": 0.5})
    wait_well(qtbot, opened)
    assert pixel(asked._after, 5, 4) != (255, 0, 0)
    asked.stage.tools.eraser.setChecked(True)
    drag(asked._after, (5.5, 3.5), (5.5, 4.5))
    wait_well(qtbot, opened)
    assert painted(asked)[5, :, 3].nonzero()[0].tolist() == [5, 6, 7, 8]


def test_strokes_are_undone_and_redone_by_keys(
    asked: TriggerDialog, opened: MainWindow, qtbot: QtBot
) -> None:
    paint(asked, opened, qtbot)
    tools = asked.stage.tools
    for row in (5.5, 20.5):
        drag(asked._after, (row, 3.5), (row, 8.5))
    wait_well(qtbot, opened)
    control = Qt.KeyboardModifier.ControlModifier
    QTest.keyClick(asked._after, Qt.Key.Key_Z, control)
    wait_well(qtbot, opened)
    assert not painted(asked)[20].any()
    assert painted(asked)[5].any()
    QTest.keyClick(asked._after, Qt.Key.Key_Z, control | Qt.KeyboardModifier.ShiftModifier)
    wait_well(qtbot, opened)
    assert painted(asked)[20].any()
    tools.clear.click()
    wait(qtbot, opened)
    assert not painted(asked).any()
    assert not asked.measure.isEnabled()
    tools.undo.click()
    wait_well(qtbot, opened)
    assert painted(asked)[20].any(), "also what was cleared"
    assert asked.measure.isEnabled()
    tools.undo.click()
    tools.undo.click()
    wait(qtbot, opened)
    assert not tools.undo.isEnabled()
    assert tools.redo.isEnabled()


def test_it_is_painted_by_keys(asked: TriggerDialog, opened: MainWindow, qtbot: QtBot) -> None:
    paint(asked, opened, qtbot)
    asked._after.setFocus()
    for key in (Qt.Key.Key_Space, Qt.Key.Key_Right, Qt.Key.Key_Space):
        QTest.keyClick(asked._after, key)
    wait_well(qtbot, opened)
    assert painted(asked)[16, :, 3].nonzero()[0].tolist() == [16, 17]


def test_the_painting_is_kept_while_other_kinds_and_images_are_looked_at(
    asked: TriggerDialog, opened: MainWindow, qtbot: QtBot
) -> None:
    paint_line(asked, opened, qtbot)
    before = asked.settings.text()
    asked.stage.next.click()
    wait_well(qtbot, opened)
    choose(asked, "sig")
    wait_well(qtbot, opened)
    assert not asked.stage.tools.isVisible()
    choose(asked, "painted")
    wait_well(qtbot, opened)
    assert asked.settings.text() == before
    assert pixel(asked._after, 5, 4) == (255, 0, 0)


def test_a_painting_is_kept_when_another_trigger_takes_its_place(
    asked: TriggerDialog, opened: MainWindow, qtbot: QtBot
) -> None:
    paint_line(asked, opened, qtbot)
    text = asked.settings.text()
    asked.show_trigger("badnets:size=3")
    assert opened.settings.recent_triggers[0] == text
    wait_well(qtbot, opened)
    asked.answer()
    wait_well(qtbot, opened)
    assert opened.settings.recent_triggers[0].startswith("badnets")
    assert text in opened.settings.recent_triggers


def test_a_painting_with_too_many_details_is_said_and_not_lost(
    asked: TriggerDialog, opened: MainWindow, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bdshift.triggers.drawing._MAX_TEXT", 10)
    paint(asked, opened, qtbot)
    drag(asked._after, (5.5, 3.5), (5.5, 8.5))
    wait(qtbot, opened)
    assert "too many details" in asked.error.text()
    assert not asked.measure.isEnabled()
    asked.stage.next.click()
    wait(qtbot, opened)
    assert not asked.measure.isEnabled(), "what is shown is not what would be measured"
    assert pixel(asked._after, 5, 4) == (255, 0, 0)
    monkeypatch.setattr("bdshift.triggers.drawing._MAX_TEXT", 30_000)
    drag(asked._after, (9.5, 3.5), (9.5, 8.5))
    wait_well(qtbot, opened)
    assert painted(asked)[5].any()
    assert asked.measure.isEnabled()


def test_a_painted_sticker_is_measured_saved_and_offered_again(
    asked: TriggerDialog, opened: MainWindow, qtbot: QtBot, tmp_path: Path
) -> None:
    opened.context.selection.select_class(TARGET)
    paint(asked, opened, qtbot)
    asked.stage.tools.color.picked.emit(QColor(*YELLOW))
    for row in range(20, 24):
        drag(asked._after, (row + 0.5, 14.5), (row + 0.5, 17.5))
    wait_well(qtbot, opened)
    asked.measure.click()
    wait_well(qtbot, opened)
    tac = opened.session.state.tac
    assert tac is not None
    assert tac.asr > 0.9
    writing.save(opened.context, tmp_path / "a.h5")
    wait_well(qtbot, opened)
    kept = parse_trigger(load_audit(tmp_path / "a.h5").tac[-1].trigger)
    assert isinstance(kept, Painted)
    assert (drawing_of(kept.pixels, 32)[20:24, 14:18, :3] == YELLOW).all()
    do(opened, "trigger")
    again = dialog(qtbot, opened, TriggerDialog)
    assert again.kind.currentData() == "painted"
    assert pixel(again._after, 21, 15) == YELLOW
    again.reject()


def test_a_painting_is_offered_again_after_cancel(
    asked: TriggerDialog, opened: MainWindow, qtbot: QtBot
) -> None:
    paint_line(asked, opened, qtbot)
    text = asked.settings.text()
    choose(asked, "sig")
    asked.reject()
    assert opened.settings.recent_triggers == [text]
    do(opened, "trigger")
    again = dialog(qtbot, opened, TriggerDialog)
    again.reject()
    assert opened.settings.recent_triggers == [text], "looking alone keeps nothing"
