"""Every method on one victim, one after another, and all results side by side."""

from __future__ import annotations

from driving import dialog, do, error_text, find, wait
from pytestqt.qtbot import QtBot

from bdshift.audit.unfinished import PurificationRequest
from bdshift.purification import METHODS
from bdshift_gui.dialogs.purify import PurifyDialog
from bdshift_gui.main_window import MainWindow
from bdshift_gui.session import State
from bdshift_gui.tasks.purifying import purify
from bdshift_gui.views.compare import CompareView
from bdshift_gui.widgets.outcome_bars import ModelFigures, OutcomeBars

FAILS = "cut:neurons=99999"


def requests(*methods: str) -> tuple[PurificationRequest, ...]:
    return tuple(PurificationRequest(method, 9, "", 0.2) for method in methods)


def test_every_method_there_is(opened: MainWindow, qtbot: QtBot) -> None:
    do(opened, "purify")
    asked = dialog(qtbot, opened, PurifyDialog)
    offered = [asked.method.itemData(i) for i in range(asked.method.count())]
    assert set(METHODS) | {one.name for one in METHODS.presets()} <= set(offered)
    asked.method.setCurrentIndex(asked.method.findData("every"))
    assert not asked.settings.isVisible(), "each has its own"
    given: list[tuple[PurificationRequest, ...]] = []
    asked.chosen.disconnect()
    asked.chosen.connect(given.append)
    asked.answer()
    assert [one.method for one in given[0]] == [kind().spec for kind in METHODS.kinds()]
    asked.reject()


def test_methods_run_one_after_another_and_one_that_fails_holds_up_none(
    opened: MainWindow, qtbot: QtBot
) -> None:
    purify(opened.context, requests("clp", "fine-tuning:epochs=1", FAILS))
    done = lambda: len(opened.session.state.purifications) == 2  # noqa: E731
    qtbot.waitUntil(done, timeout=120_000)
    qtbot.waitUntil(lambda: opened.session.state.failure is not None, timeout=120_000)
    wait(qtbot, opened)
    names = [made.result.name for made in opened.session.state.purifications]
    assert names == ["clp", "fine-tuning"]
    assert "99999" in error_text(opened), "what failed is said"
    do(opened, "compare")
    view = find(opened, CompareView)
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


def test_a_failure_does_not_hold_up_the_next(opened: MainWindow, qtbot: QtBot) -> None:
    purify(opened.context, requests(FAILS, "clp"))
    wait(qtbot, opened)
    assert [made.result.name for made in opened.session.state.purifications] == ["clp"]
    assert "99999" in error_text(opened), "what failed is still said"


def test_a_queue_says_which_it_is_and_how_long_all_take(opened: MainWindow, qtbot: QtBot) -> None:
    said: list[str] = []

    def hear(new: State, old: State) -> None:
        if new.job is not None:
            said.append(str(new.job.name))

    opened.session.changed.connect(hear)
    purify(opened.context, requests(FAILS, "clp"))
    queue = opened.session.state.queue
    assert queue is not None
    assert (queue.total, queue.done) == (2, 0)
    assert queue.left(queue.began + 10) is None
    wait(qtbot, opened)
    assert said[0].endswith("1 of 2")
    assert said[-1] == "Purifying by clp, 2 of 2"
    queue = opened.session.state.queue
    assert queue is not None
    assert queue.left(queue.began + 10) == 10
    purify(opened.context, requests("clp"))
    assert opened.session.state.queue is None
    wait(qtbot, opened)


def test_cancel_ends_those_that_wait_too(opened: MainWindow, qtbot: QtBot) -> None:
    purify(opened.context, requests("fine-tuning:epochs=50", "clp"))
    assert len(opened.session.state.waiting) == 1
    qtbot.waitUntil(lambda: len(opened.session.state.steps) > 1, timeout=120_000)
    do(opened, "cancel")
    wait(qtbot, opened)
    qtbot.wait(300)
    assert not opened.session.state.busy
    assert not opened.session.state.waiting
    made = opened.session.state.purifications
    assert [one.result.complete for one in made] == [False]


def test_the_best_come_first_and_none_is_left_out_silently(
    window: MainWindow, qtbot: QtBot
) -> None:
    bars = OutcomeBars(window.context)
    qtbot.addWidget(bars)
    bars.resize(400, 600)
    bars.show()
    models = [ModelFigures("original", 0.9, 1.0, None)]
    models += [ModelFigures(f"{n} · m", 0.8, 0.1, n / 20) for n in range(1, 20)]
    bars.show_models(models)
    order = [line.split(",")[0] for line in bars.csv().splitlines()[1:]]
    assert order[:2] == ["original", "19 · m"]
    assert order[-1] == "1 · m"
    assert bars.title.text() == "All models of this audit"
    bars.resize(400, 200)
    qtbot.waitUntil(lambda: bars.title.text().endswith(" of 20 models, best DER first"))
    assert b"0.950" in bars.encoded(".svg")
