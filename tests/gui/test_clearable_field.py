"""Escape in a field to search with is for the field, not for the job that runs."""

from __future__ import annotations

import threading

import pytest
from driving import find, wait_well, workspace
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QLineEdit, QWidget
from pytestqt.qtbot import QtBot

from bdshift.jobs import JobContext
from bdshift_gui.main_window import MainWindow
from bdshift_gui.views.neuron_table import NeuronTableView
from bdshift_gui.widgets.class_search import ClassSearch


def filter_of(window: MainWindow) -> QLineEdit:
    workspace(window).docks["table"].show()
    return find(window, NeuronTableView).field


def class_search(window: MainWindow) -> QLineEdit:
    found = ClassSearch()
    central = window.centralWidget()
    assert central is not None
    middle = central.layout()
    assert middle is not None
    middle.addWidget(found)
    return found


@pytest.mark.parametrize("field_of", [filter_of, class_search])
def test_escape_empties_the_field_and_cancels_nothing(
    opened: MainWindow, qtbot: QtBot, field_of: object
) -> None:
    assert callable(field_of)
    field = field_of(opened)
    assert isinstance(field, QLineEdit)
    opened.activateWindow()
    field.show()
    field.setFocus()
    qtbot.waitUntil(field.hasFocus)
    end = threading.Event()

    def run(_: JobContext) -> None:
        end.wait(20)

    opened.context.start("Waiting", run, lambda _: None)
    window: QWidget = opened

    def press_escape() -> None:
        """As the window system does, shortcuts first."""
        QTest.keyClick(window.windowHandle(), Qt.Key.Key_Escape)

    field.setText("7")
    press_escape()
    left, goes_on = field.text(), opened.session.state.can_cancel
    press_escape()
    canceled = not opened.session.state.can_cancel
    end.set()
    wait_well(qtbot, opened)
    assert left == ""
    assert goes_on, "it was not canceled"
    assert canceled, "of an empty field it is the window's"
