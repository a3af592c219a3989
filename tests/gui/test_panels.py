"""The panels around the plots come and go with what they show."""

from __future__ import annotations

from pathlib import Path

from pytestqt.qtbot import QtBot
from waiting import wait

from bdshift_gui.main_window import MainWindow


def test_a_panel_that_was_closed_stays_closed(opened: MainWindow) -> None:
    opened.work.docks["audit"].close()
    opened.selection.select_class(2)
    assert not opened.work.docks["audit"].isVisible()
    opened.actions_["reset_layout"].trigger()
    assert opened.work.docks["audit"].isVisible()


def test_panels_of_an_audit_come_and_go_with_it(
    opened: MainWindow, qtbot: QtBot, victim: Path, audit_file: Path
) -> None:
    docks = opened.work.docks
    docks["table"].show()
    docks["log"].show()
    opened.commands.open(victim)
    wait(qtbot, opened)
    assert opened.session.state.audit is None
    assert docks["table"].isHidden(), "it would be empty"
    assert not docks["log"].isHidden()
    opened.commands.open(audit_file)
    wait(qtbot, opened)
    assert not docks["table"].isHidden()
    assert docks["runs"].isHidden(), "it was not open before"
    opened.commands.open(victim)
    wait(qtbot, opened)
    opened.close()
    assert not docks["table"].isHidden(), "the next window has it where it was"
