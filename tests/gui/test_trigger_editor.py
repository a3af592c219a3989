"""The trigger dialog: its fields, its text, its images, and what it starts from."""

from __future__ import annotations

from dataclasses import replace

import pytest
from driving import audit_of, dialog, do, recovered, wait, wait_well
from known import STICKER
from PySide6.QtCore import Qt
from PySide6.QtGui import QColor
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QDoubleSpinBox, QSlider, QWidget
from pytestqt.qtbot import QtBot
from trigger_dialog import YELLOW, choose, drag, pixel, values

from bdshift.triggers import TRIGGERS, parse_trigger
from bdshift.words import LANGUAGES
from bdshift_gui.dialogs.trigger import TriggerDialog
from bdshift_gui.main_window import MainWindow
from bdshift_gui.plain import PlainLabel
from bdshift_gui.settings import MAX_RECENT_TRIGGERS, Settings
from bdshift_gui.widgets.color_button import ColorButton


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
