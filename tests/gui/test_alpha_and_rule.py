"""α and the rule, changed while a job runs; and that all that is shown is at the α it says."""

from __future__ import annotations

import csv
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from driving import audit_of, do, find, open_paths, wait, wait_well
from pytestqt.qtbot import QtBot

import bdshift.audit
import bdshift.audit.purifying
import bdshift_gui.session
from bdshift.audit.unfinished import PurificationRequest
from bdshift.detect.rule import RULES
from bdshift.detect.rules.paper import Paper
from bdshift.reports.html_report import html_report
from bdshift.setting import Explained, Option, setting
from bdshift.words import words
from bdshift_gui.main_window import MainWindow
from bdshift_gui.pages import ComparisonPage
from bdshift_gui.tasks.measuring import measure_tac
from bdshift_gui.tasks.purifying import purify
from bdshift_gui.tasks.showing import set_alpha, set_rule, show_audit, show_side
from bdshift_gui.toolbar import span
from bdshift_gui.views.compare import CompareView
from bdshift_gui.views.finding import FindingView
from bdshift_gui.views.purifications import PurificationsView
from bdshift_gui.widgets.number_slider import NumberSlider

STRICT = Paper(beta=9.0)


@contextmanager
def held_up(
    monkeypatch: pytest.MonkeyPatch, module: Any, name: str
) -> Iterator[Callable[[], None]]:
    """A function of the library waits, on the worker, until what is yielded is called."""
    go, real = threading.Event(), vars(module)[name]

    def wrapped(*given: Any, **more: Any) -> Any:
        go.wait(20)
        return real(*given, **more)

    with monkeypatch.context() as patch:
        patch.setattr(module, name, wrapped)
        yield go.set
        go.set()


@pytest.fixture
def slow(opened: MainWindow, monkeypatch: pytest.MonkeyPatch) -> MainWindow:
    """A window in which Eq. 4 takes a job."""
    monkeypatch.setattr(bdshift_gui.session, "_QUICK_SECONDS", -1.0)
    return opened


def agree(window: MainWindow, alpha: float, rule: object = None) -> None:
    """Toolbar, finding and audit say the same."""
    state = window.session.state
    assert state.alpha == audit_of(window).shifts.alpha == window.toolbar.alpha._value == alpha
    assert state.rule == audit_of(window).settings.rule
    if rule is not None:
        assert state.rule == rule
        assert find(window, FindingView).rule.now == "paper"


# --- while a job runs


def test_while_tac_is_measured(
    opened: MainWindow, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    with held_up(monkeypatch, bdshift.audit, "add_tac") as go_on:
        measure_tac(opened.context, "badnets:size=2")
        set_alpha(opened.context, 0.2)
        set_rule(opened.context, STRICT)
        go_on()
        wait_well(qtbot, opened)
    agree(opened, 0.2, STRICT)
    original = opened.session.state.original
    assert original is not None
    assert len(audit_of(opened).tac) == len(original.tac) == 2
    assert original.shifts.alpha == 0.1


def test_while_a_purification_runs(
    opened: MainWindow, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    with held_up(monkeypatch, bdshift.audit.purifying, "purify_model") as go_on:
        purify(opened.context, (PurificationRequest("cut:neurons=3", 9, "", 0.2),))
        set_alpha(opened.context, 0.2)
        set_rule(opened.context, STRICT)
        go_on()
        wait_well(qtbot, opened)
    agree(opened, 0.2, STRICT)
    (made,) = opened.session.state.purifications
    assert audit_of(opened).purifications == (made,)
    assert made.rescan.shifts.alpha == 0.1, "as it was asked"


@pytest.mark.slow
def test_while_it_is_scanned_again(
    opened: MainWindow, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = audit_of(opened)
    with held_up(monkeypatch, bdshift.audit, "scan_opened") as go_on:
        do(opened, "scan")
        set_alpha(opened.context, 0.2)
        set_rule(opened.context, STRICT)
        go_on()
        wait_well(qtbot, opened)
    assert audit_of(opened).embedding is not before.embedding
    agree(opened, 0.2, STRICT)


def test_while_the_rescans_are_solved(
    purified: MainWindow, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_alpha(purified.context, 0.2)
    with held_up(monkeypatch, bdshift.audit.purifying, "aligned") as go_on:
        show_side(purified.context, 1)
        set_alpha(purified.context, 0.3)
        set_rule(purified.context, STRICT)
        go_on()
        wait_well(qtbot, purified)
    assert purified.session.state.shown == 1
    agree(purified, 0.3, STRICT)


def test_no_move_is_lost_while_eq_4_is_solved(
    slow: MainWindow, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    with held_up(monkeypatch, bdshift.audit.purifying, "at_alpha") as go_on:
        set_alpha(slow.context, 0.2)
        assert slow.toolbar.alpha.isEnabled(), "it is being dragged"
        slow.toolbar.alpha.moved.emit(0.3)
        slow.toolbar.alpha.moved.emit(0.4)
        set_rule(slow.context, STRICT)
        assert slow.toolbar.alpha._value == 0.4
        go_on()
        wait_well(qtbot, slow)
    agree(slow, 0.4, STRICT)
    with held_up(monkeypatch, bdshift.audit.purifying, "at_alpha"):
        set_alpha(slow.context, 0.5)
        do(slow, "cancel")
    wait(qtbot, slow)
    agree(slow, 0.4)


def test_alpha_waits_for_no_other_job(
    slow: MainWindow, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    with held_up(monkeypatch, bdshift.audit, "add_tac") as go_on:
        measure_tac(slow.context, "badnets:size=2")
        assert not slow.toolbar.alpha.isEnabled()
        set_alpha(slow.context, 0.2)
        agree(slow, 0.1)
        go_on()
        wait_well(qtbot, slow)
    assert slow.toolbar.alpha.isEnabled()


# --- what is shown beside it


def norm_row(window: MainWindow) -> tuple[str, str]:
    rows = find(window, PurificationsView).cards[0]._rows._shown
    found = {key.text(): value.accessibleName() for key, value in rows}
    key = next(key for key in found if key.startswith("L2"))
    return key, found[key].partition(": ")[2]


def cells(view: CompareView) -> list[list[str]]:
    table, columns = view.table, range(view.table.rows.columnCount())
    return [[table.text(row, x) for x in columns] for row in range(table.rows.rowCount())]


def test_cards_table_and_csv_say_their_alpha(
    purified: MainWindow, qtbot: QtBot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key, norms = norm_row(purified)
    assert key == "L2"
    set_alpha(purified.context, 0.2)
    assert norm_row(purified) == ("L2 (α 0.1)", norms)
    do(purified, "compare")
    view = find(purified, CompareView)
    assert "(α = 0.1)" in view.finding.text()
    monkeypatch.setattr(purified.context.ask, "where", lambda *_: tmp_path / "table.csv")
    do(purified, "export_table")
    wait_well(qtbot, purified)
    rows = list(csv.DictReader((tmp_path / "table.csv").read_text().splitlines()))
    assert [
        [f"{float(row['norm']):#.3g}", f"{float(row['z']):.2f}".replace("-", "−"), row["alpha"]]
        for row in rows
    ] == [row[-3:] for row in cells(view)]
    assert norms.startswith(cells(view)[0][-3])
    show_side(purified.context, 1)
    wait_well(qtbot, purified)
    assert norm_row(purified)[0] == "L2", "all are solved for the α that is shown"
    assert norm_row(purified)[1] != norms


def test_the_rule_that_is_shown_judges_all(
    purified: MainWindow, qtbot: QtBot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def flagged() -> list[str]:
        do(purified, "export_table")
        wait_well(qtbot, purified)
        text = (tmp_path / "table.csv").read_text()
        return [row["flagged"] for row in csv.DictReader(text.splitlines())]

    monkeypatch.setattr(purified.context.ask, "where", lambda *_: tmp_path / "table.csv")
    purified.session.update(page=ComparisonPage((0, 2)))
    view = find(purified, CompareView)
    assert view.finding.text().endswith("The scan still flags it.")
    assert view.neurons[0]._flagged
    assert flagged()[0] == flagged()[2] == "True"
    set_rule(purified.context, STRICT)
    assert "flags" not in view.finding.text()
    assert not view.neurons[0]._flagged
    assert set(flagged()) == {"False"}


def test_what_was_not_flagged_is_not_still_flagged(purified: MainWindow) -> None:
    first = purified.session.state.purifications[0].rescan
    assert 9 not in first.finding.suspected, "it helped"
    purified.session.update(page=ComparisonPage((1, 0)))
    assert find(purified, CompareView).finding.text().endswith("The scan flags it.")


def test_two_inconclusive_models_are_not_flagged(purified: MainWindow) -> None:
    original = purified.session.state.original
    assert original is not None
    poor = [
        replace(one, rescan=replace(one.rescan, accuracy=0.2)) for one in original.purifications
    ]
    show_audit(purified.context, replace(original, accuracy=0.2, purifications=tuple(poor)))
    purified.session.update(page=ComparisonPage((0, 2)))
    view = find(purified, CompareView)
    assert "flags" not in view.finding.text()
    assert not view.neurons[0]._flagged


# --- the slider of the threshold


@pytest.mark.parametrize(
    ("about", "default", "expected"),
    [
        (Explained("x", low=0, above=True, high=0.5, decimals=3), 0.05, (0.0125, 0.2)),
        (Explained("x", low=0, above=True, high=0.5, decimals=3), 0.4, (0.1, 0.5)),
        (Explained("x", low=1, high=1e6), 2.0, (1, 8.0)),
        (Explained("x", low=1, above=True, high=1e6, decimals=2), 2.0, (1.01, 8.0)),
        (Explained("x", low=0, high=10, step=0.5), 0.0, (0, 2.0)),
        (Explained("x", step=0.5), -1.0, (-5.0, 3.0)),
    ],
)
def test_a_threshold_stays_within_its_bounds(
    qtbot: QtBot, about: Explained, default: float, expected: tuple[float, float]
) -> None:
    low, high = span(Option("x", float, (), default, about))
    assert (low, high) == pytest.approx(expected)
    slider = NumberSlider("x", 0.01, 1.0, 0.1, logarithmic=True)
    qtbot.addWidget(slider)
    slider.set_range(low, high, default, logarithmic=low > 0)
    slider.show_value(default)
    values: list[float] = []
    slider.moved.connect(values.append)
    slider.moved.connect(slider.show_value)
    for step in (200, 100, 0, 200):
        slider.slider.setValue(step)
    assert values[-2:] == pytest.approx([low, high], rel=1e-2)
    assert all(low <= value <= high for value in values)


def test_a_changed_number_is_said_led_back_and_not_taken_along(
    opened: MainWindow, qtbot: QtBot, clean_twin: Path
) -> None:
    slider, view = opened.toolbar.alpha, find(opened, FindingView)
    assert not slider.reset.isVisible()
    set_alpha(opened.context, 0.5)
    wait_well(qtbot, opened)
    assert slider.reset.isVisible()
    assert "α = 0.5. Usual" in view.cautions.text()
    assert "α = 0.5. Usual" in html_report(audit_of(opened))
    slider.reset.click()
    wait_well(qtbot, opened)
    assert opened.session.state.alpha == 0.1
    assert not slider.reset.isVisible()
    assert "Usual" not in view.cautions.text()
    set_alpha(opened.context, 0.5)
    set_rule(opened.context, Paper(beta=3))
    wait_well(qtbot, opened)
    assert "The rule is paper:beta=3. Usual is" in view.cautions.text()
    open_paths(qtbot, opened, clean_twin)
    state = opened.session.state
    assert (state.alpha, state.rule, state.by_rule) == (0.1, None, False)


@dataclass(frozen=True)
class FromZero(Paper):
    """A rule whose threshold is 0 by default."""

    name = "from-zero"
    label = words("From zero, in the tests", ja="テストのゼロから")
    place = 900

    beta: float = setting(0.0, words("Beta of the tests", ja="テストのβ"), low=0, step=0.5)


@pytest.fixture
def with_zero() -> Iterator[None]:
    """Requested before the window, so that it is created with the rule."""
    RULES.register(FromZero)
    yield
    RULES.forget(FromZero.name)


def test_a_threshold_of_zero_has_a_slider(with_zero: None, opened: MainWindow) -> None:
    slider = opened.toolbar.threshold
    set_rule(opened.context, FromZero())
    for step, beta in ((100, 1.0), (200, 2.0), (0, 0.0)):
        slider.slider.setValue(step)
        assert opened.session.state.rule == FromZero(beta=beta)
    agree(opened, 0.1)
