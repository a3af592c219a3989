"""The dialog of architectures: all candidates measured on all images, and whether that matters."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from driving import audit_of, dialog, find, open_paths, wait_well
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from bdshift.words import Sentence
from bdshift_gui.dialogs.architecture import ArchitectureDialog
from bdshift_gui.jobs.events import Failed
from bdshift_gui.main_window import MainWindow
from bdshift_gui.tasks.choosing import measure
from bdshift_gui.views.model_card import ModelCard

RELU = "ResNet-18, width 8, CIFAR stem"


@pytest.mark.slow
def test_candidates_are_measured_and_scanned_in_the_dialog(
    window: MainWindow, qtbot: QtBot, victim: Path, few_signs: Path
) -> None:
    open_paths(qtbot, window, victim, few_signs)
    card = find(window, ModelCard)
    assert card.doubt.isHidden()
    card.correct.click()
    ask = dialog(qtbot, window, ArchitectureDialog)
    ask.each.click()
    assert ask.bar.isVisible(), "its progress, and a way to stop it"
    assert not ask.use.isEnabled()
    ask.bar.canceled.emit()
    wait_well(qtbot, window)
    assert window.session.state.candidates is None, "nothing was measured"
    ask.each.click()
    wait_well(qtbot, window)
    assert ask.bar.isHidden()
    table = window.session.state.candidates
    assert table is not None
    shown = [[ask.table.text(row, x) for x in range(4)] for row in range(len(table.rows))]
    assert shown[0][0] == RELU
    assert shown[0][2:] == ["chosen by the scan", "Probably backdoored"]
    assert [row[1] for row in shown] == [f"{one.accuracy:.1%}" for one in table.rows]
    assert ask.statement.text().startswith("Probably backdoored: Class 9")
    assert ask.conclusion.text() == " ".join(map(str, table.conclusion))
    assert ask._group.checkedId() == 0, "the best is what a scan takes anyway"
    assert card.doubt.text() == (str(table.conclusion[0]) if table.ties() else "")
    ask.table.view.selectRow(1)
    ask.use.click()
    wait_well(qtbot, window)
    assert audit_of(window).model.architecture == table.rows[1].architecture
    assert window.session.state.candidates is table, "the same model and images"
    open_paths(qtbot, window, few_signs)
    assert window.session.state.candidates is None


def test_the_card_says_that_the_choice_is_not_certain(opened: MainWindow) -> None:
    audit = audit_of(opened)
    again = replace(audit, embedding=None, purifications=())
    opened.session.update(audit=replace(audit, readings=(again,)))
    assert find(opened, ModelCard).doubt.text() == (
        "The choice is not certain: 1 other reading fits the images as well."
    )
    opened.actions_["ja"].trigger()
    assert "選択は確実ではありません" in find(opened, ModelCard).doubt.text()


def test_without_candidates_nothing_opens_beside_the_dialog(
    window: MainWindow, qtbot: QtBot
) -> None:
    before = {one for one in QApplication.topLevelWidgets() if one.isVisible()}
    failure = Failed(0, Sentence("No known network fits."), "")
    window.session.update(failure=failure)
    ask = ArchitectureDialog(window.context, None)
    window.context.ask.show(ask)
    qtbot.waitUntil(ask.isVisible)
    window.session.update(failure=replace(failure))
    window.context.start("Waiting", lambda _: None, lambda _: None)
    shown = {one for one in QApplication.topLevelWidgets() if one.isVisible()}
    wait_well(qtbot, window)
    ask.reject()
    assert shown - before == {ask}


def test_only_a_new_failure_is_said_in_the_dialog(opened: MainWindow, qtbot: QtBot) -> None:
    failure = Failed(0, Sentence("The disk is full."), "")
    opened.session.update(failure=failure)
    find(opened, ModelCard).correct.click()
    ask = dialog(qtbot, opened, ArchitectureDialog)
    assert ask.conclusion.isHidden(), "that was before, and of something else"
    opened.session.update(failure=replace(failure))
    assert ask.conclusion.text() == "The disk is full."
    opened.session.update(failure=None)
    assert ask.conclusion.isHidden()
    ask.reject()


def test_what_is_chosen_stays_chosen_once_it_is_measured(
    window: MainWindow, qtbot: QtBot, victim: Path, few_signs: Path
) -> None:
    open_paths(qtbot, window, victim, few_signs)
    find(window, ModelCard).correct.click()
    ask = dialog(qtbot, window, ArchitectureDialog)
    wanted = ask.offered[1]["arch"]
    assert wanted != RELU
    ask.choose(wanted)
    measure(window.context, each=False)
    wait_well(qtbot, window)
    assert ask._now is not None
    assert ask._now["arch"] == wanted
    ask.reject()
    corrections = replace(window.session.state.corrections, arch=wanted)
    window.session.update(corrections=corrections)
    find(window, ModelCard).correct.click()
    ask = dialog(qtbot, window, ArchitectureDialog)
    assert ask._now is not None
    assert ask._now["arch"] == wanted, "also when it is opened again"
    ask.reject()
