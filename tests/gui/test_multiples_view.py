"""Unlearning a trigger in the window: the dialog, the page of the task vector, and its file."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from driving import dialog, do, find, wait, wait_well
from known import STICKER, TARGET
from pytestqt.qtbot import QtBot

from bdshift.audit.unfinished import PurificationRequest
from bdshift.purification import METHODS, StepRecord
from bdshift.purification.method import Step
from bdshift.purification.vectors import read_vector
from bdshift_gui.actions.multiples import EXPORT_VECTOR, SHOW_MULTIPLES
from bdshift_gui.dialogs.purify import PurifyDialog
from bdshift_gui.main_window import MainWindow
from bdshift_gui.tasks import disentangling, purifying, writing
from bdshift_gui.views.multiples import MultiplesView

ALPHAS = (0.0, 2.0, 1.0, 4.0)


def steps_of_a_curve() -> tuple[StepRecord, ...]:
    """As TBAR leaves them, in the order in which it has looked."""
    rows = [StepRecord(Step(0, None, {"loss": 1.0}), {}, 0.1)]
    for alpha in ALPHAS:
        left = {"control_alpha": alpha, "control_accuracy": 0.95 - 0.2 * alpha}
        figures = {**left, "control_asr": 1 - 0.05 * alpha, "control_recall": 1 - 0.2 * alpha}
        rows.append(StepRecord(Step(len(rows), None, figures), {}, 0.1))
    for alpha in ALPHAS:
        figures = {
            "alpha": alpha, "held_out_accuracy": 0.95 - 0.01 * alpha, "least_accuracy": 0.9,
            "held_out_asr": max(0.0, 1 - 0.5 * alpha), "target_recall": 1 - 0.1 * alpha,
        }  # fmt: skip
        rows.append(StepRecord(Step(len(rows), -alpha, figures), {}, 0.1))
    return tuple(rows)


@pytest.fixture
def unlearned(purified: MainWindow) -> MainWindow:
    """The window with a purification as TBAR would have left it; the α that it kept is 2."""
    original = purified.session.state.original
    assert original is not None
    made = original.purifications[0]
    result = dataclasses.replace(made.result, method="tbar", rows=steps_of_a_curve(), kept=6)
    changed = dataclasses.replace(made, result=result, unlearned=STICKER)
    whole = dataclasses.replace(original, purifications=(changed, original.purifications[1]))
    purified.session.update(original=whole, chosen=1)
    return purified


def test_the_page_shows_what_was_looked_at(unlearned: MainWindow, qtbot: QtBot) -> None:
    do(unlearned, "show_multiples")
    view = find(unlearned, MultiplesView)
    assert view.isVisible()
    assert "Removed: at α = 2" in view.conclusion.text()
    assert STICKER.partition(":")[0] in view.source.text()
    assert view.slider.value() == 2, "α is sorted"
    assert "α 2: accuracy 93.0%, ASR 0.0%" in view.figures.text()
    view.slider.setValue(1)
    assert "α 1: accuracy 94.0%, ASR 50.0%" in view.figures.text()
    rows = view.alphas.csv().splitlines()
    assert len(rows) == 1 + 2 * len(ALPHAS)
    view.slider.setValue(0)
    assert not view.purify.isEnabled(), "nothing is subtracted"
    do(unlearned, "close_page")
    assert not view.isVisible()


def test_another_multiple_is_made(
    unlearned: MainWindow, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[PurificationRequest] = []
    monkeypatch.setattr(purifying, "purify", lambda _, requests: asked.extend(requests))
    do(unlearned, "show_multiples")
    view = find(unlearned, MultiplesView)
    view.slider.setValue(1)
    view.purify.click()
    [one] = asked
    assert METHODS.parse(one.method) == METHODS.parse("tbar:alpha=1")
    assert (one.target, one.unlearn) == (TARGET, STICKER)


@pytest.mark.parametrize("method", ["of-tomorrow", "clp", "tbar:of-tomorrow=1"])
def test_what_cannot_be_made_again_is_not_offered(unlearned: MainWindow, method: str) -> None:
    """An audit may be from a newer version, or from anyone."""
    original = unlearned.session.state.original
    assert original is not None
    made = original.purifications[0]
    changed = dataclasses.replace(made, result=dataclasses.replace(made.result, method=method))
    unlearned.session.update(original=dataclasses.replace(original, purifications=(changed,)))
    do(unlearned, "show_multiples")
    assert not find(unlearned, MultiplesView).purify.isEnabled()


def test_its_vector_is_written(unlearned: MainWindow, qtbot: QtBot, tmp_path: Path) -> None:
    assert EXPORT_VECTOR.enabled(unlearned.session.state)
    writing.export_vector(unlearned.context, 1, tmp_path / "tau.safetensors")
    wait_well(qtbot, unlearned)
    assert unlearned.session.state.material is not None
    network = unlearned.session.state.material.classifier.network
    found = read_vector(tmp_path / "tau.safetensors", network)
    assert (found.about.trigger, found.about.target) == (STICKER, TARGET)
    assert "fc.weight" in found.vector


def test_other_methods_have_no_curve(purified: MainWindow) -> None:
    purified.session.update(chosen=1)
    assert not SHOW_MULTIPLES.enabled(purified.session.state)
    assert not EXPORT_VECTOR.enabled(purified.session.state)


def test_the_dialog_asks_for_the_trigger(opened: MainWindow, qtbot: QtBot) -> None:
    do(opened, "purify")
    asked = dialog(qtbot, opened, PurifyDialog)
    assert not asked.unlearn.isVisible(), "the first method sees no trigger"
    asked.method.setCurrentIndex(asked.method.findData("tbar"))
    assert asked.unlearn.isVisible()
    assert asked.unlearn.text() == STICKER, "the one that was measured"
    asked.unlearn.setText("")
    qtbot.waitUntil(lambda: "needs one" in asked.error.text(), timeout=10_000)
    assert not asked.start.isEnabled()
    asked.unlearn.setText("badnets:size=3")
    qtbot.waitUntil(asked.start.isEnabled, timeout=10_000)
    given: list[tuple[PurificationRequest, ...]] = []
    asked.chosen.disconnect()
    asked.chosen.connect(given.append)
    asked.answer()
    [[one]] = given
    assert (one.trigger, one.unlearn) == (STICKER, "badnets:size=3")
    asked.method.setCurrentIndex(asked.method.findData("clp"))
    asked.answer()
    assert given[1][0].unlearn == ""
    asked.reject()


def test_a_trigger_is_unlearned_in_the_window(opened: MainWindow, qtbot: QtBot) -> None:
    request = PurificationRequest("relabeling:epochs=1", TARGET, STICKER, 0.2, STICKER)
    purifying.purify(opened.context, (request,))
    wait(qtbot, opened)
    [made] = opened.session.state.purifications
    assert made.unlearned == STICKER
    assert made.after.asr is not None
    assert made.after.asr < 0.2


def test_the_plane_is_measured_and_kept(
    unlearned: MainWindow, qtbot: QtBot, clean_twin: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unlearned.context.ask, "file", lambda *_: clean_twin, raising=False)
    monkeypatch.setattr("bdshift.audit.disentangling.POINTS", (5, 7))
    do(unlearned, "show_multiples")
    view = find(unlearned, MultiplesView)
    view.part.choose("plane")
    view.part.chosen.emit("plane")
    assert view.plane.isVisible()
    assert not view.slider.isVisible()
    assert len(view.plane.map.csv().splitlines()) == 1
    seen: list[int] = []
    unlearned.session.changed.connect(
        lambda now, _: seen.append(0 if now.plane is None else len(now.plane.mixtures))
    )
    view.plane.measure.click()
    wait_well(qtbot, unlearned)
    state = unlearned.session.state
    plane = state.purifications[0].plane
    assert plane is not None
    assert state.plane is None
    assert any(0 < count < 65 for count in seen), "it is shown as it grows"
    assert len(plane.mixtures) == 25 + 49 - 9
    assert (plane.base, plane.trigger) == (str(clean_twin), STICKER)
    assert len(view.plane.map.csv().splitlines()) == 1 + 65
    assert "ξ(1, 1)" in view.plane.said.text()
    assert str(clean_twin.name) in view.plane.about.text()
    assert unlearned.session.state.modified
    assert view.slider.value() == 2, "the curve is still at what was kept"


@pytest.mark.slow
def test_a_plane_that_is_stopped_is_kept_and_goes_on(
    unlearned: MainWindow, qtbot: QtBot, clean_twin: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bdshift.audit.disentangling.POINTS", (5, 7))
    disentangling.measure(unlearned.context, 1, clean_twin)
    qtbot.waitUntil(lambda: unlearned.session.state.plane is not None, timeout=60_000)
    unlearned.context.cancel()
    wait(qtbot, unlearned)
    few = unlearned.session.state.purifications[0].plane
    assert few is not None
    assert 0 < len(few.mixtures) < 65
    disentangling.measure(unlearned.context, 1, clean_twin)
    wait_well(qtbot, unlearned)
    whole = unlearned.session.state.purifications[0].plane
    assert whole is not None
    assert whole.mixtures[: len(few.mixtures)] == few.mixtures
    assert len(whole.mixtures) == 65
