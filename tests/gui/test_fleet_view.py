"""Many models: dropped, audited beside everything else, shown as a table, opened from it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from driving import dialog, do, open_paths, wait, wait_well, workspace
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from pytestqt.qtbot import QtBot
from scripted_engine import REASON, Scripted

from bdshift.audit import Audit
from bdshift.fleet.identity import Stamp
from bdshift.fleet.results import Results, Row
from bdshift.fleet.task import Result, Task
from bdshift.kinds import RESULTS_FOLDER
from bdshift.store import save_audit
from bdshift_gui.dialogs.audit_again import AuditAgainDialog
from bdshift_gui.main_window import MainWindow
from bdshift_gui.views.fleet import FleetView

Open = Callable[..., MainWindow]


@pytest.fixture
def models(victim: Path, clean_twin: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "models"
    folder.mkdir()
    shutil.copy(victim, folder / "victim.pth")
    shutil.copy(clean_twin, folder / "twin.pth")
    (folder / "broken.pth").write_bytes(b"nothing")
    return folder


@pytest.fixture
def engine(measured_audit: Audit, monkeypatch: pytest.MonkeyPatch) -> Scripted:
    """Finds the victim's audit in every victim."""

    def answer(task: Task) -> Result:
        name = Path(task.model.path).name
        if name == "broken.pth":
            return Result("refused", REASON)
        save_audit(measured_audit, Path(task.audit), embeddings=False)
        if name == "victim.pth":
            return Result(
                "done",
                REASON,
                "backdoored",
                9,
                "speed_80",
                0.015,
                accuracy=0.9,
                norms=(5.0, 2.0, 5.0),
            )
        return Result("done", REASON, "nothing-unusual", 2, "stop", 0.7, accuracy=0.95)

    made = Scripted(answer)
    monkeypatch.setattr("bdshift.fleet.local.LocalEngine", lambda slots: made)
    return made


def shown_in(window: MainWindow) -> FleetView:
    found = workspace(window)["fleet"]
    assert isinstance(found, FleetView)
    return found


def finished(qtbot: QtBot, window: MainWindow, count: int) -> None:
    """Wait until so many rows are shown and nothing runs."""

    def over() -> bool:
        one = window.session.state.fleet
        return one is not None and not one.running and len(one.found) == count

    qtbot.waitUntil(over, timeout=60_000)
    wait(qtbot, window)


def rows_of(view: FleetView) -> list[tuple[str, str]]:
    table = view.table
    return [(table.text(at, 0), table.text(at, 1)) for at in range(len(table.rows.order))]


def test_a_dropped_folder_of_models_becomes_a_table(
    window: MainWindow, qtbot: QtBot, engine: Scripted, models: Path, signs: Path
) -> None:
    open_paths(qtbot, window, models, signs)
    finished(qtbot, window, 3)
    view = shown_in(window)
    assert view.isVisible()
    assert rows_of(view) == [
        ("victim.pth", "Probably backdoored"), ("twin.pth", "Nothing unusual found"),
        ("broken.pth", "Cannot be audited"),
    ]  # fmt: skip
    assert view.heading.text() == "Audits of 3 models"
    assert view.lead.text().startswith("Probably backdoored: 1 ·")
    state = window.session.state
    assert state.fleet is not None
    assert state.fleet.folder == models / RESULTS_FOLDER
    assert engine.closed
    view.table.view.setFocus()
    view.table.view.selectRow(0)
    assert view.buttons["open_row"].isEnabled()
    QTest.keyClick(view.table.view, Qt.Key.Key_Return)
    wait_well(qtbot, window)
    assert window.session.state.audit is not None
    assert not view.isVisible()
    do(window, "show_fleet")
    assert view.isVisible()
    view.table.view.selectRow(2)
    assert not view.buttons["open_row"].isEnabled()  # it has no audit


def test_several_models_dropped_at_once_are_audited_one_after_another(
    window: MainWindow, qtbot: QtBot, engine: Scripted, models: Path, signs: Path
) -> None:
    open_paths(qtbot, window, signs)
    open_paths(qtbot, window, models / "victim.pth", models / "twin.pth")
    finished(qtbot, window, 2)
    assert [Path(one.model.path).name for one in engine.asked] == ["victim.pth", "twin.pth"]


def test_without_images_it_says_so(
    window: MainWindow, qtbot: QtBot, engine: Scripted, models: Path
) -> None:
    open_paths(qtbot, window, models)
    failure = window.session.state.failure
    assert failure is not None
    assert "Open the clean images first" in str(failure.sentence)
    assert not engine.asked


def test_what_failed_is_tried_again_and_the_rest_is_known(
    window: MainWindow, qtbot: QtBot, engine: Scripted, models: Path, signs: Path
) -> None:
    open_paths(qtbot, window, models, signs)
    finished(qtbot, window, 3)
    shutil.copy(models / "twin.pth", models / "broken.pth")
    assert shown_in(window).buttons["retry_fleet"].isVisible()
    before = len(engine.asked)
    do(window, "retry_fleet")
    finished(qtbot, window, 3)
    assert len(engine.asked) == before  # it is the twin now, whose result is known
    assert rows_of(shown_in(window))[1:] == [
        ("broken.pth", "Nothing unusual found"), ("twin.pth", "Nothing unusual found"),
    ]  # fmt: skip
    assert not shown_in(window).buttons["retry_fleet"].isVisible()


def test_results_are_opened_and_saved(window: MainWindow, qtbot: QtBot, tmp_path: Path) -> None:
    results = Results(tmp_path)
    for at in range(40):
        result = Result("done", REASON, "nothing-unusual", p=(at + 1) / 50)
        results.put(Row(f"/m/{at}.pth", "/i", "q", str(at), Stamp(1, 1), "", "", result))
    open_paths(qtbot, window, tmp_path)
    view = shown_in(window)
    assert len(rows_of(view)) == 40
    assert rows_of(view)[0][0] == "0.pth"
    assert not view.buttons["continue_fleet"].isVisible()
    view.table.field.setText("39")
    assert rows_of(view) == [("39.pth", "Nothing unusual found")]
    do(window, "close_page")
    assert window.welcome.isVisible()


def test_selected_models_are_audited_again_in_another_way(
    window: MainWindow, qtbot: QtBot, engine: Scripted, models: Path, signs: Path
) -> None:
    open_paths(qtbot, window, models, signs)
    finished(qtbot, window, 3)
    view = shown_in(window)
    assert not view.buttons["audit_again"].isEnabled()  # nothing is selected
    before = [one.model for one in engine.asked]
    view.table.view.selectRow(0)
    do(window, "audit_again")
    asking = dialog(qtbot, window, AuditAgainDialog)
    assert asking.lead.text().startswith("The selected model is audited with these settings.")
    asking.images.setValue(300)
    asking.search.setChecked(False)
    assert not asking.budget.isEnabled()
    asking.start.click()
    finished(qtbot, window, 3)
    [asked] = [one.model for one in engine.asked[len(before) :]]
    first = next(one for one in before if one.path == asked.path)
    assert Path(asked.path).name == "victim.pth"
    assert (asked.asked.quick, asked.asked.sample) == (True, "300")
    assert replace(asked, asked=first.asked) == first  # all else is as before
    fleet = window.session.state.fleet
    assert fleet is not None
    assert (fleet.other, fleet.done, fleet.total) == (None, 3, 3)


def test_norms_are_drawn_where_they_are_known(
    window: MainWindow, qtbot: QtBot, engine: Scripted, models: Path, signs: Path
) -> None:
    open_paths(qtbot, window, models, signs)
    finished(qtbot, window, 3)
    rows = shown_in(window).table.rows
    [norms] = [one for one in rows.columns if one.key == "norms"]
    assert norms.bars[0] == (5.0, 2.0, 5.0)
    assert norms.values is not None
    assert norms.values[0] == pytest.approx(0.4)
    assert np.isnan(norms.values[1:]).all()


def test_norms_of_a_file_that_are_none_are_not_drawn(
    window: MainWindow, qtbot: QtBot, tmp_path: Path
) -> None:
    for at, given in enumerate([(0.0, 0.0, 0.0, 5.0), (-1e300, 1.0), (2.0, 4.0, 4.0)]):
        result = Result("done", REASON, "nothing-unusual", p=0.5, norms=given)
        Results(tmp_path).put(Row(f"/m/{at}", "/i", "q", str(at), Stamp(1, 1), "", "", result))
    open_paths(qtbot, window, tmp_path)
    [norms] = [one for one in shown_in(window).table.rows.columns if one.key == "norms"]
    assert list(norms.bars) == [(0.0, 0.0, 0.0, 5.0), (), (2.0, 4.0, 4.0)]
    assert norms.values is not None
    assert np.isnan(norms.values).tolist() == [True, True, False]
