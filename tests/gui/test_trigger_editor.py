"""The trigger dialog: dragged, painted, typed, and started from what is known."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import shiboken6
from driving import audit_of, dialog, do, recovered, wait, wait_well
from known import STICKER, TARGET
from PIL import Image
from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QColor
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QDoubleSpinBox, QLineEdit, QSlider, QWidget
from pytestqt.qtbot import QtBot

from bdshift.setting import options_of
from bdshift.store import load_audit
from bdshift.triggers import TRIGGERS, Trigger, parse_trigger
from bdshift.triggers.attacks.painted import Painted
from bdshift.triggers.drawing import Drawing, drawing_of
from bdshift.words import LANGUAGES
from bdshift_gui.dialogs.trigger import TriggerDialog
from bdshift_gui.main_window import MainWindow
from bdshift_gui.plain import PlainLabel
from bdshift_gui.settings import MAX_RECENT_TRIGGERS, Settings
from bdshift_gui.tasks import writing
from bdshift_gui.widgets.color_button import ColorButton
from bdshift_gui.widgets.image_square import ImageSquare
from bdshift_gui.widgets.trigger_canvas import TriggerCanvas
from bdshift_gui.widgets.trigger_look import Seen, TriggerLook

LEFT = Qt.MouseButton.LeftButton
YELLOW = (255, 216, 0)


@pytest.fixture
def asked(opened: MainWindow, qtbot: QtBot) -> Iterator[TriggerDialog]:
    """The dialog, on the trigger that was measured."""
    do(opened, "trigger")
    found = dialog(qtbot, opened, TriggerDialog)
    yield found
    if shiboken6.isValid(found):
        found.reject()


def drag(canvas: TriggerCanvas, *points: tuple[float, float]) -> None:
    """Press at the first point (y, x) of the image, move along, and release at the last."""
    at = [canvas.on_screen(*point) for point in points]
    QTest.mousePress(canvas, LEFT, pos=at[0])
    for point in at[1:]:
        QTest.mouseMove(canvas, point)
    QTest.mouseRelease(canvas, LEFT, pos=at[-1])


def choose(asked: TriggerDialog, kind: str) -> None:
    asked.kind.setCurrentIndex(asked.kind.findData(kind))


def values(asked: TriggerDialog) -> tuple[object, ...]:
    found = asked.settings.values()
    return tuple(found[name] for name in ("size", "row", "column"))


def painted(asked: TriggerDialog) -> Drawing:
    return drawing_of(asked.settings.values()["pixels"], 32)


def pixel(square: ImageSquare, y: int, x: int) -> tuple[int, int, int]:
    """What is shown of a pixel of the image."""
    place, side = square.square, square.square.width() / 32
    at = QPoint(place.x() + int((x + 0.5) * side), place.y() + int((y + 0.5) * side))
    color = square.grab().toImage().pixelColor(at)
    return color.red(), color.green(), color.blue()


# --- dragged


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


# --- painted


def paint(asked: TriggerDialog, opened: MainWindow, qtbot: QtBot) -> None:
    """Start to paint, with a brush of one pixel."""
    choose(asked, "painted")
    wait(qtbot, opened)
    assert asked.error.text() == "Nothing is painted yet."
    assert not asked.measure.isEnabled()
    asked.stage.tools.diameter.setValue(1)


def test_what_is_painted_is_the_trigger(
    asked: TriggerDialog, opened: MainWindow, qtbot: QtBot
) -> None:
    paint(asked, opened, qtbot)
    drag(asked._after, (5.5, 3.5), (5.5, 8.5))
    wait_well(qtbot, opened)
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
    paint(asked, opened, qtbot)
    drag(asked._after, (5.5, 3.5), (5.5, 8.5))
    wait_well(qtbot, opened)
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
    paint(asked, opened, qtbot)
    drag(asked._after, (5.5, 3.5), (5.5, 8.5))
    wait_well(qtbot, opened)
    text = asked.settings.text()
    choose(asked, "sig")
    asked.reject()
    assert opened.settings.recent_triggers == [text]
    do(opened, "trigger")
    again = dialog(qtbot, opened, TriggerDialog)
    again.reject()
    assert opened.settings.recent_triggers == [text], "looking alone keeps nothing"


# --- colors and opacity


def test_a_color_is_chosen(
    asked: TriggerDialog, opened: MainWindow, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    button = asked.settings.findChild(ColorButton)
    assert isinstance(button, ColorButton)
    assert button.color == QColor(*YELLOW)
    given: list[QColor] = []

    def color(title: str, start: QColor) -> QColor | None:
        given.append(start)
        return QColor("#00ff00") if len(given) == 2 else None

    monkeypatch.setattr(opened.context.ask, "color", color)
    button.click()
    assert asked.settings.values()["color"] == "ffd800", "canceled"
    button.click()
    wait_well(qtbot, opened)
    assert given == [QColor(*YELLOW)] * 2
    assert asked.settings.values()["color"] == "00ff00"
    assert pixel(asked._after, 21, 15) == (0, 255, 0)
    asked.settings.set_values({"color": "nonsense"})
    wait(qtbot, opened)
    assert "hexadecimal" in asked.error.text()
    assert not asked.measure.isEnabled()


def test_opacity_is_a_slider_too(asked: TriggerDialog, opened: MainWindow, qtbot: QtBot) -> None:
    choose(asked, "blend")
    slider, field = asked.settings.findChild(QSlider), asked.settings.fields["ratio"]
    assert isinstance(slider, QSlider)
    assert isinstance(field, QDoubleSpinBox)
    slider.setValue(75)
    assert field.value() == 0.75
    field.setValue(0.125)
    assert slider.value() == 12
    assert field.value() == 0.125, "the slider's steps do not round it"
    slider.setValue(0)
    assert field.value() == 0.001
    wait_well(qtbot, opened)


# --- images, text, library


def test_it_steps_through_the_images(
    asked: TriggerDialog, opened: MainWindow, qtbot: QtBot
) -> None:
    count = len(asked._rows)
    before, first = asked._before.grab().toImage(), asked.stage.which._whole
    assert first.startswith(f"Image 1 of {count}: ")
    asked.stage.next.click()
    wait_well(qtbot, opened)
    assert asked._before.grab().toImage() != before
    assert asked.stage.which._whole.startswith(f"Image 2 of {count}: ")
    assert pixel(asked._after, 21, 15) == YELLOW
    asked.stage.previous.click()
    asked.stage.previous.click()
    wait_well(qtbot, opened)
    assert asked.stage.which._whole.startswith(f"Image {count} of {count}: ")


def test_without_images_it_works_on_gray(opened: MainWindow, qtbot: QtBot) -> None:
    audit = replace(audit_of(opened), embedding=None)
    opened.session.update(audit=audit, original=audit)
    do(opened, "trigger")
    asked = dialog(qtbot, opened, TriggerDialog)
    assert asked.stage.which._whole == "The audit file holds no images."
    assert pixel(asked._before, 3, 3) == (128, 128, 128)
    drag(asked._after, (22, 16), (10, 8))
    assert values(asked) == (4, 8, 6)
    asked.reject()


def test_the_text_and_the_fields_say_the_same(
    asked: TriggerDialog, opened: MainWindow, qtbot: QtBot
) -> None:
    assert not asked.text.line.isVisible()
    asked.text.fold.click()
    line = asked.text.line
    assert line.isVisible()
    assert line.text() == STICKER
    asked.settings.set_values({"size": 6})
    assert line.text() == STICKER.replace("size=4", "size=6")
    line.setFocus()
    line.selectAll()
    QTest.keyClicks(line, "sig:amplitude=12")
    wait_well(qtbot, opened)
    assert asked.kind.currentData() == "sig"
    assert asked.settings.values()["amplitude"] == 12
    assert asked.measure.isEnabled()
    QTest.keyClicks(line, "x")
    wait(qtbot, opened)
    assert "amplitude cannot be" in asked.error.text()
    assert not asked.measure.isEnabled()
    assert asked.settings.values()["amplitude"] == 12, "the fields keep what was understood"
    assert line.text() == "sig:amplitude=12x", "and the line what was typed"


def test_the_library_has_recovered_measured_and_earlier_ones(
    opened: MainWindow, qtbot: QtBot
) -> None:
    opened.settings.remember_trigger("sig:amplitude=30")
    found = recovered(opened)
    do(opened, "trigger")
    asked = dialog(qtbot, opened, TriggerDialog)
    offered = [asked.library.itemText(row) for row in range(1, asked.library.count())]
    assert offered[0].startswith("Recovered: → speed_80")
    assert offered[1] == "Earlier: Faint sine (SIG): Amplitude 30.0"
    assert not asked.library.itemIcon(1).isNull()
    assert not asked.library.itemIcon(2).isNull()
    asked.library.activated.emit(2)
    wait_well(qtbot, opened)
    assert asked.settings.text().startswith("sig:amplitude=30.0")
    asked.library.activated.emit(1)
    wait_well(qtbot, opened)
    assert parse_trigger(asked.settings.text()).spec == found.tac.trigger
    asked.reject()


def test_a_trigger_that_was_used_is_offered_in_other_audits(
    asked: TriggerDialog, opened: MainWindow, qtbot: QtBot
) -> None:
    asked.settings.set_values({"size": 7})
    wait_well(qtbot, opened)
    used = asked.settings.text()
    asked.measure.click()
    wait_well(qtbot, opened)
    assert opened.settings.recent_triggers == [used]


def test_the_list_of_used_triggers_is_bounded() -> None:
    settings = Settings(fresh=True)
    for size in range(1, 40):
        settings.remember_trigger(f"badnets:size={size}")
    settings.remember_trigger("badnets:size=35")
    found = settings.recent_triggers
    assert len(found) == MAX_RECENT_TRIGGERS
    assert found[:3] == ["badnets:size=35", "badnets:size=39", "badnets:size=38"]
    settings._store.setValue("triggers", "[1, ")
    assert settings.recent_triggers == []
    settings.remember_trigger("x" * 50_000)
    assert settings.recent_triggers == []


# --- keys, names, room


def test_the_tabulator_goes_from_the_kind_over_its_settings_to_the_image(
    asked: TriggerDialog, opened: MainWindow, qtbot: QtBot
) -> None:
    choose(asked, "badnets")
    wait_well(qtbot, opened)
    asked.kind.setFocus()
    met: list[QWidget | None] = []
    for _ in range(9):
        QTest.keyClick(asked.focusWidget() or asked, Qt.Key.Key_Tab)
        met.append(asked.focusWidget())
    fields = asked.settings.fields
    button = asked.settings.findChild(ColorButton)
    assert met == [
        asked.library, asked._card, fields["size"], fields["color"], button, fields["row"],
        fields["column"], asked._after, asked.stage.previous,
    ]  # fmt: skip


@pytest.mark.parametrize("language", LANGUAGES)
def test_everything_has_a_name_and_fits(opened: MainWindow, qtbot: QtBot, language: str) -> None:
    do(opened, language)
    do(opened, "trigger")
    asked = dialog(qtbot, opened, TriggerDialog)
    asked.text.fold.click()
    for kind in TRIGGERS.kinds():
        choose(asked, kind.name)
        wait(qtbot, opened)
        qtbot.wait(10)  # layouts
        assert asked.width() <= 900
        assert asked.height() <= 600
        assert asked.height() >= asked.column.totalMinimumHeightForWidth(asked.width())
        for label in asked.findChildren(PlainLabel):
            cut = label.isVisible() and label.width() < label.minimumSizeHint().width()
            assert not cut, label.text()
        tools = asked.stage.tools
        stops = [asked._after, asked.stage.previous, asked.stage.next, tools.color, tools.diameter]
        for widget in (*stops, *asked.settings.fields.values()):
            assert widget.accessibleName(), widget
    asked.reject()


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
