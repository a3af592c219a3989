"""Triggers that are dragged and scaled on the image, pictures among them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from driving import wait, wait_well
from PIL import Image
from PySide6.QtCore import QPoint, Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QLineEdit
from pytestqt.qtbot import QtBot
from trigger_dialog import YELLOW, choose, drag, pixel, values

from bdshift.setting import options_of
from bdshift.triggers import TRIGGERS, Trigger
from bdshift_gui.dialogs.trigger import TriggerDialog
from bdshift_gui.main_window import MainWindow
from bdshift_gui.widgets.trigger_look import Seen, TriggerLook


def test_a_patch_is_dragged(asked: TriggerDialog, opened: MainWindow, qtbot: QtBot) -> None:
    assert values(asked) == (4, 20, 14)
    drag(asked._after, (22, 16), (15, 10), (10, 8))
    wait_well(qtbot, opened)
    assert values(asked) == (4, 8, 6)
    assert pixel(asked._after, 9, 7) == YELLOW
    assert pixel(asked._after, 21, 15) != YELLOW
    drag(asked._after, (10, 8), (-40, 90))
    assert values(asked) == (4, 0, 28), "not out of the image"


def test_a_patch_is_scaled_at_a_corner(asked: TriggerDialog) -> None:
    drag(asked._after, (24, 18), (27, 20), (30, 24))
    assert values(asked) == (10, 20, 14)
    drag(asked._after, (20, 14), (22, 16))
    assert values(asked) == (8, 22, 16), "the opposite corner stays"


def test_a_patch_is_moved_and_scaled_by_keys(asked: TriggerDialog) -> None:
    canvas = asked._after
    for key in (Qt.Key.Key_Up, Qt.Key.Key_Left, Qt.Key.Key_Left, Qt.Key.Key_Plus):
        QTest.keyClick(canvas, key)
    assert values(asked) == (5, 19, 12)
    QTest.keyClick(canvas, Qt.Key.Key_Down, Qt.KeyboardModifier.ShiftModifier)
    QTest.keyClick(canvas, Qt.Key.Key_Minus)
    assert values(asked) == (4, 24, 12)
    assert asked.isVisible(), "no key of these closes the dialog"


def test_only_what_has_a_place_is_dragged(
    asked: TriggerDialog, opened: MainWindow, qtbot: QtBot
) -> None:
    for kind in ("sig", "wanet", "noise-patch"):
        choose(asked, kind)
        wait_well(qtbot, opened)
        before = asked.settings.values()
        drag(asked._after, (22, 16), (10, 8))
        assert asked.settings.values() == before
        assert asked._after.focusPolicy() == Qt.FocusPolicy.NoFocus
        assert not asked.stage.hint.isVisible()


def test_every_kind_that_has_a_place_says_which_settings_it_is() -> None:
    for kind in TRIGGERS.kinds():
        if kind.outline is not Trigger.outline:
            assert {one.about.role for one in options_of(kind)} >= {"row", "column", "size"}


def test_a_press_elsewhere_moves_nothing(asked: TriggerDialog) -> None:
    drag(asked._after, (3, 3), (10, 10))
    QTest.mousePress(asked._after, Qt.MouseButton.RightButton, pos=QPoint(5, 5))
    assert values(asked) == (4, 20, 14)


def test_of_what_is_asked_meanwhile_only_the_last_is_looked_at(
    window: MainWindow, qtbot: QtBot
) -> None:
    """A picture of a camera takes longer to lay over the image than the mouse to move on."""
    look = TriggerLook(window.quick, window)
    found: list[Seen] = []
    look.seen.connect(found.append)
    clean = np.zeros((3, 32, 32), np.uint8)
    for row in range(20):
        look.ask(f"badnets:row={row}", clean)
    wait(qtbot, window)
    assert [(one.outline.top, one.last) for one in found if one.outline is not None] == [
        (0, False), (19, True),
    ]  # fmt: skip
    look.ask("badnets:size=40", clean)
    look.ask("badnets", clean)
    wait(qtbot, window)
    assert len(found) == 3, "an answer that is no longer asked for is not an error"


# --- pictures


def test_a_picture_larger_than_the_image_is_fitted_and_that_is_said(
    asked: TriggerDialog, opened: MainWindow, qtbot: QtBot, tmp_path: Path
) -> None:
    Image.new("RGB", (640, 320), (0, 255, 0)).save(tmp_path / "large.png")
    choose(asked, "patch")
    field = asked.settings.fields["file"]
    assert isinstance(field, QLineEdit)
    field.setText(str(tmp_path / "large.png"))
    wait_well(qtbot, opened)
    assert values(asked) == (8, -1, -1)
    assert "640 × 320" in asked.stage.fit_note.text()
    assert "scaled to 8 × 4" in asked.stage.fit_note.text()
    assert asked.measure.isEnabled()
    assert pixel(asked._after, 29, 26) == (0, 255, 0)
    assert pixel(asked._after, 26, 26) != (0, 255, 0), "it does not fill the image"
    drag(asked._after, (30, 28), (10, 10))
    wait_well(qtbot, opened)
    assert values(asked) == (8, 8, 6)
    drag(asked._after, (12, 14), (16, 22))
    assert values(asked) == (16, 8, 6)


def test_a_size_that_was_given_stays(
    asked: TriggerDialog, opened: MainWindow, qtbot: QtBot, tmp_path: Path
) -> None:
    Image.new("RGB", (64, 64), (0, 255, 0)).save(tmp_path / "large.png")
    asked.show_trigger(f"patch:file={tmp_path / 'large.png'}")
    wait_well(qtbot, opened)
    assert values(asked) == (0, -1, -1)
    assert "scaled to 32 × 32" in asked.stage.fit_note.text()


def test_a_file_that_is_no_picture_is_said_and_nothing_is_lost(
    asked: TriggerDialog, opened: MainWindow, qtbot: QtBot, tmp_path: Path
) -> None:
    (tmp_path / "no.png").write_text("no")
    choose(asked, "patch")
    asked.settings.set_values({"file": str(tmp_path / "no.png"), "row": 3})
    wait(qtbot, opened)
    assert "not a readable image" in asked.error.text()
    assert not asked.measure.isEnabled()
    choose(asked, "sig")
    choose(asked, "patch")
    wait(qtbot, opened)
    assert asked.settings.values()["row"] == 3, "a kind keeps what was set"
    assert "no.png" in asked.settings.values()["file"]
