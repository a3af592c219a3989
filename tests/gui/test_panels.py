"""The panels around the plots come and go with what they show."""

from __future__ import annotations

from pathlib import Path

from driving import open_paths, workspace
from pytestqt.qtbot import QtBot

from bdshift_gui.main_window import MainWindow


def test_a_panel_that_was_closed_stays_closed(opened: MainWindow) -> None:
    docks = workspace(opened).docks
    docks["audit"].close()
    opened.context.selection.select_class(2)
    assert not docks["audit"].isVisible()
    opened.actions_["reset_layout"].trigger()
    assert docks["audit"].isVisible()


def test_panels_of_an_audit_come_and_go_with_it(
    opened: MainWindow, qtbot: QtBot, victim: Path, audit_file: Path
) -> None:
    docks = workspace(opened).docks
    docks["table"].show()
    docks["log"].show()
    open_paths(qtbot, opened, victim)
    assert opened.session.state.audit is None
    assert docks["table"].isHidden(), "it would be empty"
    assert not docks["log"].isHidden()
    open_paths(qtbot, opened, audit_file)
    assert not docks["table"].isHidden()
    assert docks["purifications"].isHidden(), "it was not open before"
    open_paths(qtbot, opened, victim)
    opened.close()
    assert not docks["table"].isHidden(), "the next window has it where it was"
