"""A trigger that was recovered, in the window."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from driving import audit_of, dialog, do, find, open_paths, recovered, wait, wait_well, workspace
from known import TARGET
from matrix import MATRIX
from PySide6.QtWidgets import QAbstractButton
from pytestqt.qtbot import QtBot
from recovered import made_recovery

from bdshift.audit import Audit, with_recovery
from bdshift.audit.gallery import differences
from bdshift.audit.recovered import about_pair, fact_of
from bdshift.changes import CHANGES
from bdshift.store import load_audit
from bdshift.triggers import parse_trigger
from bdshift.words import LANGUAGES
from bdshift_gui.dialogs.purify import PurifyDialog
from bdshift_gui.dialogs.trigger import TriggerDialog
from bdshift_gui.main_window import MainWindow
from bdshift_gui.tasks import measuring, recovering, writing
from bdshift_gui.tasks.showing import set_alpha
from bdshift_gui.views.finding import FindingView
from bdshift_gui.views.recoveries_card import RecoveriesCard
from bdshift_gui.views.recovery import RecoveryView
from bdshift_gui.views.scatter import ScatterView


@pytest.fixture(autouse=True)
def own_data_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Recovered triggers are kept among the user's data."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))


def figures(view: RecoveryView) -> dict[str, str]:
    return {
        key.text(): value.text() for key, value in view.rows._shown if not key.isHidden()
    }  # fmt: skip


# --- what was found


def test_what_was_found_is_shown(opened: MainWindow) -> None:
    found = recovered(opened)
    view = find(opened, RecoveryView)
    assert view.isVisible()
    said = view.sentence.text()
    assert "Sends 99.0% of 210 unused images of other classes to class 9 “speed_80”." in said
    assert "Control classes need 10 times as much." in said
    assert "97.0%" in said
    shown = figures(view)
    assert shown["Attack success"] == "99.0%"
    assert (shown["Smallest size"], shown["Controls"], shown["Transfer"]) == ("16", "160", "97.0%")
    assert [one.index for one in view.classes.rows] == [TARGET, 0, 1, 2]
    with_picture = [one.index for one in view.classes.rows if one.picture is not None]
    assert with_picture == [TARGET, 0, 1], "those that are kept"
    heads, first, *others = view.curve.csv().splitlines()
    assert heads == "class,size at 0.5,size at 0.8,size at 0.95,asr"
    assert first == "speed_80,8.0,16.0,32.0,0.99"
    assert len(others) == 3
    kinds = [key.text() for key, _ in view.kinds._shown if not key.isHidden()]
    assert kinds == [CHANGES[one.kind].label for one in found.attempts]
    assert view._spent.text().startswith("Time by kind: ")
    assert all(f"{kind} " in view._spent.text() for kind in kinds)


@pytest.mark.parametrize(
    ("control", "said"),
    [(8.0, "no sign of a backdoor"), (math.inf, "No change of this kind works for a control")],
)
def test_what_the_controls_need_is_said(opened: MainWindow, control: float, said: str) -> None:
    audit = opened.session.state.original
    assert audit is not None
    recovering.take(opened.context, with_recovery(audit, made_recovery(audit, control=control)))
    recovering.show(opened.context, 1)
    view = find(opened, RecoveryView)
    assert said in view.sentence.text()
    ticks = [name for _, name in view.curve.plot.getAxis("left")._tickLevels[0]]
    assert ("not reached" in ticks) is math.isinf(control)


def test_figures_other_than_those_of_the_scan_are_explained(
    opened: MainWindow, measured_audit: Audit
) -> None:
    recovered(opened)
    card = find(opened, RecoveriesCard)
    assert not card.differs.isVisible(), "the scan did not search"
    make, *_ = MATRIX["it stands out beside clean models"]
    compared = make(measured_audit)
    recovering.take(opened.context, with_recovery(compared, made_recovery(compared)))
    assert "Here it is 3 control classes, and the trigger is as large as 95%" in card.differs.text()
    assert card.differs.isVisible()


def highlighted(window: MainWindow) -> list[QAbstractButton]:
    """The buttons that stand out from the others."""
    there = window.findChildren(QAbstractButton)
    return [one for one in there if one.objectName() == "primary" and one.isVisible()]


@pytest.mark.parametrize(("control", "evidence"), [(160.0, True), (40.0, False)])
def test_whether_it_is_evidence_is_said_and_what_to_do_next(
    opened: MainWindow, qtbot: QtBot, control: float, evidence: bool
) -> None:
    audit = opened.session.state.original
    assert audit is not None
    recovering.take(opened.context, with_recovery(audit, made_recovery(audit, control=control)))
    recovering.show(opened.context, 1)
    view = find(opened, RecoveryView)
    said = view.verdict.text()
    assert said.startswith("This is evidence" if evidence else "This is no evidence")
    assert view.verdict.objectName() == ("triggered" if evidence else "muted")
    assert view.buttons["purify"].objectName() == ("primary" if evidence else "")
    assert highlighted(opened) == ([view.buttons["purify"]] if evidence else [])
    do(opened, "close_page")
    assert highlighted(opened) == [find(opened, FindingView).next], "one at most"
    recovering.show(opened.context, 1)
    view.buttons["purify"].click()
    dialog(qtbot, opened, PurifyDialog).reject()


def test_its_neurons_are_one_click_away(opened: MainWindow) -> None:
    found = recovered(opened)
    opened.context.selection.select_class(2)
    find(opened, RecoveryView).buttons["show_moved"].click()
    state = opened.session.state
    strongest = np.argsort(-found.tac.change, kind="stable")
    assert state.recovery is None
    assert state.selection.class_index == TARGET
    assert state.selection.primary == strongest[0]
    chosen = state.selection.neurons
    assert chosen == set(strongest[: len(chosen)].tolist())
    assert (found.tac.change[list(chosen)] ** 2).sum() >= (found.tac.change**2).sum() / 2
    do(opened, "undo")
    assert opened.session.state.selection.neurons != chosen


def test_one_of_a_pair_shows_its_source(opened: MainWindow) -> None:
    audit = opened.session.state.original
    assert audit is not None
    recovering.take(opened.context, with_recovery(audit, made_recovery(audit, source=3)))
    recovering.show(opened.context, 1)
    view, names = find(opened, RecoveryView), audit.images.class_names
    assert view.heading.text() == f"Recovered trigger from “{names[3]}” to “{names[TARGET]}”"
    shots = view.images.list.shots
    was = [shots.shot(place).about for place in range(shots.rowCount())]
    assert was
    assert all(one.endswith(f"labeled {names[3]}") for one in was)
    row = find(opened, RecoveriesCard).rows[0]
    assert row._name.text() == f"{names[3]} → {names[TARGET]}"
    assert opened.session.state.selection.source == 3
    [one] = audit_of(opened).recoveries
    for sentence in about_pair(fact_of(one), names):
        assert str(sentence) in view.sentence.text()
    shown = figures(view)
    assert (shown["Source"], shown["Other classes"]) == (names[3], "12.0%")
    assert (shown["Controls"], shown["The other way"]) == ("160", "128")


def test_the_users_images_are_shown_before_and_after(opened: MainWindow) -> None:
    found = recovered(opened)
    images = find(opened, RecoveryView).images
    triggered = found.tac.triggered
    assert triggered is not None
    sent = (triggered.logits.argmax(1) == TARGET) & (triggered.labels != TARGET)
    assert f"sent there {sent.sum()}" in images.which._buttons["sent"].text()
    assert images.list.shots.rowCount() > 10
    shot = images.list.shots.shot(0)
    assert shot.caption.endswith("\n→ speed_80")
    assert "labeled" in shot.about
    clean = audit_of(opened).embedding
    assert clean is not None
    row = images.rows[0]
    assert np.array_equal(shot.pictures[0], clean.thumbnails[row])
    assert np.array_equal(shot.pictures[1], triggered.thumbnails[row])
    images.all.click()
    wish = opened.session.state.gallery
    assert wish is not None
    assert (wish.which, wish.only) == ((found.tac.trigger, TARGET), "sent")


def test_pictures_grow_with_the_room_they_have(opened: MainWindow, qtbot: QtBot) -> None:
    recovered(opened)
    images = find(opened, RecoveryView).images
    sides = []
    for height in (800, 1400):
        opened.resize(1600, height)
        qtbot.waitUntil(lambda: images.list.height() >= images.list.height_at(images.list.side))
        sides.append(images.list.side)
    assert 48 <= sides[0] < sides[1]


def test_a_difference_is_on_gray_and_as_strong_as_can_be() -> None:
    before = np.full((1, 3, 2, 2), 100, np.uint8)
    after = before.copy()
    after[0, :, 0, 0] = 120
    after[0, :, 1, 1] = 90
    found, gain = differences(before, after)
    assert gain == pytest.approx(127 / 20)
    assert found[0, 0].tolist() == [[255, 128], [128, 64]]
    same, _ = differences(before, before)
    assert (same == 128).all()


def test_without_embeddings_the_page_says_so(opened: MainWindow) -> None:
    audit = opened.session.state.original
    assert audit is not None
    found = made_recovery(audit)
    found = replace(found, tac=replace(found.tac, triggered=None))
    recovering.take(opened.context, with_recovery(replace(audit, embedding=None), found))
    recovering.show(opened.context, 1)
    images = find(opened, RecoveryView).images
    assert not images.list.isVisible()
    assert "without embeddings" in images._absent.text()


def test_a_kind_of_a_newer_version_has_no_picture(opened: MainWindow) -> None:
    audit = opened.session.state.original
    assert audit is not None
    found = made_recovery(audit)
    attempts = (replace(found.attempts[1], kind="fog:depth=3"),)
    new = replace(found, kind="fog:depth=3", attempts=attempts)
    recovering.take(opened.context, replace(audit, recoveries=(new,)))
    recovering.show(opened.context, 1)
    view = find(opened, RecoveryView)
    assert view.trigger.title.text() == "fog:depth=3"
    assert not view.picture.isVisible()


# --- used like a known trigger


def test_the_scatter_says_that_it_was_recovered(opened: MainWindow) -> None:
    scatter = find(opened, ScatterView)
    assert scatter.axis._buttons["tac"].text() == "TAC"
    found = recovered(opened)
    do(opened, "close_page")
    assert opened.session.state.tac is found.tac
    assert scatter.axis.now == "tac"
    assert scatter.axis._buttons["tac"].text() == "TAC (recovered)"
    assert "TAC (recovered)" in scatter.plot.getAxis("bottom").labelText
    cut = opened.session.state.cut
    assert cut is not None
    assert cut.outcome.asr is not None, "what-if has an attack success"


def test_where_neurons_look_under_it(opened: MainWindow, qtbot: QtBot) -> None:
    recovered(opened)
    measuring.look(opened.context, (3,), 2)
    wait_well(qtbot, opened)
    _, triggered = opened.session.state.maps
    assert len(triggered.values) == len(triggered.rows) == 2


def test_the_dialogs_offer_it(opened: MainWindow, qtbot: QtBot) -> None:
    found = recovered(opened)
    do(opened, "purify")
    asked = dialog(qtbot, opened, PurifyDialog)
    wait(qtbot, opened)
    assert asked.trigger.text().startswith("recovered:file=")
    assert asked.start.isEnabled()
    assert parse_trigger(asked.trigger.text()).spec == found.tac.trigger
    asked.trigger.setText("")
    asked.recovered.activated.emit(1)
    wait(qtbot, opened)
    assert asked.trigger.text() == found.tac.trigger
    asked.reject()
    do(opened, "trigger")
    other = dialog(qtbot, opened, TriggerDialog)
    wait(qtbot, opened)
    assert other.kind.currentData() == "recovered"
    assert other.measure.isEnabled(), other.error.text()
    other.reject()


def test_without_one_the_dialogs_offer_none(opened: MainWindow, qtbot: QtBot) -> None:
    do(opened, "trigger")
    asked = dialog(qtbot, opened, TriggerDialog)
    offered = [asked.library.itemText(row) for row in range(1, asked.library.count())]
    assert len(offered) == 1
    assert offered[0].startswith("This audit: Patch of one color"), "none is recovered"
    asked.reject()


# --- kept, saved, removed


def test_it_is_unsaved_work(opened: MainWindow, qtbot: QtBot, tmp_path: Path) -> None:
    assert not opened.session.state.modified
    recovered(opened)
    assert opened.isWindowModified()
    set_alpha(opened.context, 0.2)
    wait(qtbot, opened)
    assert len(audit_of(opened).recoveries) == 1
    writing.save(opened.context, tmp_path / "a.h5")
    wait_well(qtbot, opened)
    assert not opened.session.state.modified
    (again,) = load_audit(tmp_path / "a.h5").recoveries
    assert (again.target, again.kind) == (TARGET, "mask")


def test_it_is_not_lost_without_being_asked(
    opened: MainWindow, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch, victim: Path
) -> None:
    asked: list[str] = []

    def stay(question: str) -> str:
        asked.append(question)
        return "stay"

    recovered(opened)
    with monkeypatch.context() as patched:
        patched.setattr(opened.context.ask, "save_first", stay)
        open_paths(qtbot, opened, victim)
    assert asked == ["The recovered triggers are not saved. Save the audit first?"]
    assert len(opened.session.state.recoveries) == 1


def test_it_is_saved_to_a_file_that_is_a_trigger(
    opened: MainWindow, qtbot: QtBot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recovered(opened)
    path = tmp_path / "trigger.safetensors"
    monkeypatch.setattr(opened.context.ask, "where", lambda *_: path)
    find(opened, RecoveryView).buttons["save_trigger"].click()
    wait_well(qtbot, opened)
    assert path.is_file()
    measuring.measure_tac(opened.context, f"recovered:file={path}")
    wait_well(qtbot, opened)
    tac = opened.session.state.tac
    assert tac is not None
    assert tac.asr > 0.9
    assert opened.session.state.tac_is_recovered


def test_it_can_be_removed(opened: MainWindow, monkeypatch: pytest.MonkeyPatch) -> None:
    recovered(opened)
    assert len(find(opened, RecoveriesCard).rows) == 1
    monkeypatch.setattr(opened.context.ask, "confirm", lambda _: False)
    do(opened, "remove_recovery")
    assert len(opened.session.state.recoveries) == 1
    monkeypatch.setattr(opened.context.ask, "confirm", lambda _: True)
    do(opened, "remove_recovery")
    state = opened.session.state
    assert (state.recoveries, state.recovery, state.tac) == ((), None, None)
    assert not find(opened, RecoveriesCard).isVisible()
    assert not find(opened, RecoveryView).isVisible()


# --- how it looks


@pytest.mark.parametrize("language", LANGUAGES)
def test_nothing_is_cut_off(opened: MainWindow, qtbot: QtBot, language: str) -> None:
    do(opened, language)
    recovered(opened)
    opened.resize(900, 600)
    qtbot.wait(50)
    view, page = find(opened, RecoveryView), workspace(opened).pages["recovery"]
    assert view.width() <= page.viewport().width()
    for button in view.buttons.values():
        assert button.sizeHint().width() <= button.width()
