"""Every method on one victim, one after another, and what they came to beside each other."""

from __future__ import annotations

from pathlib import Path

import pytest
from pytestqt.qtbot import QtBot

from bdshift.purify import METHODS
from bdshift_gui.dialogs import purify as purify_module
from bdshift_gui.dialogs.purify import PurifyDialog
from bdshift_gui.main_window import MainWindow
from bdshift_gui.widgets.outcome_bars import Outcome, OutcomeBars

FAILS = "cut:neurons=99999"
QUICK = ("clp", FAILS, "fine-tuning:epochs=1")


def ask_for_every(window: MainWindow) -> PurifyDialog:
    window.commands.do("purify")
    (dialog,) = window.findChildren(PurifyDialog)
    dialog.method.setCurrentIndex(dialog.method.findData("every"))
    return dialog


def test_every_method_there_is(opened: MainWindow) -> None:
    assert {text.partition(":")[0] for text in purify_module._EVERY} == set(METHODS)
    dialog = ask_for_every(opened)
    assert not dialog.settings.isVisible(), "each has its own"
    told: list[object] = []
    dialog.chosen.disconnect()
    dialog.chosen.connect(told.append)
    dialog.answer()
    (asked,) = told
    assert isinstance(asked, tuple)
    assert len(asked) == len(METHODS)
    assert len({one.method for one in asked}) == len(METHODS)
    dialog.reject()


def test_methods_run_one_after_another_and_one_that_fails_holds_up_none(
    opened: MainWindow, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(purify_module, "_EVERY", QUICK)
    dialog = ask_for_every(opened)
    assert dialog.start.isEnabled()
    dialog.start.click()
    qtbot.waitUntil(lambda: len(opened.session.state.runs) == 2, timeout=120_000)
    qtbot.waitUntil(lambda: not opened.jobs.busy, timeout=120_000)
    names = [run.run.method.partition(":")[0] for run in opened.session.state.runs]
    assert names == ["clp", "fine-tuning"]
    assert opened.error.isVisible(), "what failed is said"
    assert "99999" in opened.error._text.text()
    opened.commands.do("compare_run")
    assert opened.work is not None
    view = opened.work.compare
    assert view.what.now == "table"
    view.what.chosen.emit("plot")
    assert view.outcomes.isVisible()
    assert not view._all.isVisible()
    assert view.outcomes.what.now == "plot"
    lines = view.outcomes.csv().splitlines()
    assert lines[0] == "model,acc,asr,der"
    assert {line.partition(",")[0] for line in lines[1:]} == {
        "original", "1 · clp", "2 · fine-tuning"
    }  # fmt: skip
    view.outcomes.what.chosen.emit("table")
    assert view._all.isVisible()
    opened.setWindowModified(False)


def test_stop_ends_those_that_wait_too(
    opened: MainWindow, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(purify_module, "_EVERY", ("fine-tuning:epochs=50", "clp"))
    ask_for_every(opened).start.click()
    qtbot.waitUntil(lambda: len(opened.session.state.steps) > 0, timeout=120_000)
    opened.jobs.cancel()
    qtbot.waitUntil(lambda: not opened.jobs.busy, timeout=120_000)
    qtbot.wait(300)
    assert not opened.jobs.busy
    assert [run.run.complete for run in opened.session.state.runs] == [False]
    opened.setWindowModified(False)


def test_the_best_come_first_and_none_is_left_out_silently(qtbot: QtBot, tmp_path: Path) -> None:
    bars = OutcomeBars()
    qtbot.addWidget(bars)
    bars.resize(400, 600)
    bars.show()
    outcomes = [Outcome("original", 0.9, 1.0, None)]
    outcomes += [Outcome(f"{n} · m", 0.8, 0.1, n / 20) for n in range(1, 20)]
    bars.show_outcomes(outcomes)
    order = [line.split(",")[0] for line in bars.csv().splitlines()[1:]]
    assert order[:2] == ["original", "19 · m"]
    assert order[-1] == "1 · m"
    assert bars.title.text() == "All models of this audit"
    bars.resize(400, 200)
    qtbot.waitUntil(lambda: bars.title.text().endswith(" of 20 models, best DER first"))
    bars.save(tmp_path / "plot.svg")
    assert b"0.950" in (tmp_path / "plot.svg").read_bytes()
