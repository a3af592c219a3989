"""For every audit, the window says what its finding says, in both languages."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pyqtgraph as pg
import pytest
from driving import dialog, do, find, wait_well
from matrix import MATRIX, Lengths, second_detector
from pytestqt.qtbot import QtBot
from quick import shorten_searches
from recovered import made_recovery

from bdshift.audit import Audit, with_recovery
from bdshift.audit.deciding import deciding
from bdshift.audit.facts import Judged
from bdshift.audit.finding import LIMITS
from bdshift.audit.next_step import WHY, next_step
from bdshift.audit.reference import with_reference
from bdshift.detect.detectors.pairs import Pairs
from bdshift.detect.rule import RULES
from bdshift.detect.rules.paper import Paper
from bdshift.words import Language, translate
from bdshift_gui.actions.search import REFERENCE, SEARCH
from bdshift_gui.dialogs.recover import RecoverDialog
from bdshift_gui.main_window import MainWindow
from bdshift_gui.tasks import searching
from bdshift_gui.tasks.showing import like, set_alpha, set_rule, show_audit
from bdshift_gui.views.classes import ClassView
from bdshift_gui.views.finding import FindingView
from bdshift_gui.views.inspector import InspectorView
from bdshift_gui.views.scatter import ScatterView
from bdshift_gui.widgets.card import _breakable


@pytest.fixture(autouse=True)
def _second_detector() -> Iterator[None]:
    with second_detector():
        yield


def says(window: MainWindow, audit: Audit, language: Language) -> None:
    finding, view = audit.finding, find(window, FindingView)
    assert view.title.text() == finding.headline.render(language)
    reasons = [one.in_window.render(language) for one in finding.reasons]
    assert view.statement.text() == _breakable(reasons[0])
    assert view.reasons.text() == "\n\n".join(map(_breakable, reasons[1:]))
    cautions = [one.in_window.render(language) for one in finding.cautions]
    assert view.cautions.text() == "\n".join(map(_breakable, cautions))
    assert view.limits.text() == _breakable(translate(LIMITS, language))
    step = next_step(audit)
    assert view.why_next.text() == translate(WHY[step], language)
    assert view.objectName() == {
        "backdoored": "poisoned", "nothing-unusual": "card", "inconclusive": "doubtful",
    }[finding.level]  # fmt: skip


def marked(bars: ClassView) -> set[int]:
    """Classes whose bars are red."""
    poisoned = bars.theme.poisoned
    drawn = [one.opts for one in bars.plot.items if isinstance(one, pg.BarGraphItem)]
    return {int(bars._order[x]) for one in drawn if one["brush"] == poisoned for x in one["x"]}


def agrees(bars: ClassView, audit: Audit, one: Judged) -> None:
    """The chart of a detector says and marks nothing that the finding does not."""
    title, level = bars.title.text(), audit.finding.level
    suspected = set(one.judgment.suspected) if level == "backdoored" else set()
    assert marked(bars) == set(audit.finding.suspected)
    assert suspected <= marked(bars)
    if level == "inconclusive":
        assert title.startswith(f"{one.detector.score_label} from ")
        assert "stand" not in title
    elif not suspected and level == "backdoored":
        assert title.startswith("No class stands out here; suspected ")
        assert all(f"“{audit.images.class_names[i]}”" in title for i in audit.finding.suspected)
    elif not suspected:
        assert title == f"None of the {audit.model.classes} classes stands out"
    elif len(suspected) > 1:
        assert title == f"{len(suspected)} classes stand out"
    else:
        assert title.startswith(f"“{audit.images.class_names[suspected.pop()]}” ")


def other_views_agree(window: MainWindow, audit: Audit) -> None:
    """The other views mark the selected class only if the finding suspects it; selected neurons
    have a hue of their own either way.
    """
    index = window.session.state.selection.class_index
    suspected = index in audit.finding.suspected
    assert find(window, ScatterView)._chosen.objectName() == "selected"
    weights = find(window, InspectorView)._weights
    (drawn,) = [i for i in weights.view.getPlotItem().items if isinstance(i, pg.BarGraphItem)]
    assert (weights._theme.poisoned in drawn.opts["brushes"]) == suspected


def test_a_detector_whose_high_scores_are_suspicious_has_its_own_words(
    window: MainWindow, measured_audit: Audit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Lengths, "short", "“{name}” is long, the next is {less:.0%} shorter")
    make, *_ = MATRIX["two detectors agree"]
    show_audit(window.context, make(measured_audit))
    bars = find(window, ClassView)
    bars.detector.setCurrentIndex(1)
    assert bars.title.text() == "“speed_80” is long, the next is 78% shorter"


def test_the_chart_begins_with_what_the_finding_rests_on(
    window: MainWindow, measured_audit: Audit
) -> None:
    make, *_ = MATRIX["it stands out beside clean models"]
    audit = make(measured_audit)
    show_audit(window.context, audit)
    bars = find(window, ClassView)
    decides = deciding(audit)
    assert decides is not None
    assert decides.detector.name == "mask", "not the norms"
    assert bars.detector.currentText() == "Mask and pattern"
    assert bars.caption.text() == "The finding rests on this evidence."
    bars.detector.setCurrentIndex(0)
    assert bars.caption.text() == "The finding rests on other evidence: Mask and pattern."
    do(window, "ja")
    assert bars.caption.text() == "判定の根拠は別の証拠です：マスクとパターン"
    do(window, "en")
    set_rule(window.context, RULES.parse("mad"), by_rule=False)
    assert bars.detector.currentIndex() == 0, "the user's choice stays with the audit"
    quiet, *_ = MATRIX["nothing stands out beside clean models"]
    show_audit(window.context, quiet(measured_audit))
    assert bars.detector.currentText() == "Embedding shift", "nothing decides: the norms"
    assert bars.caption.isHidden()
    show_audit(window.context, replace(audit, images=replace(audit.images)))
    assert bars.detector.currentText() == "Mask and pattern"


def test_another_p_than_the_verdicts_is_called_what_it_is(
    opened: MainWindow, qtbot: QtBot, measured_audit: Audit
) -> None:
    make, *_ = MATRIX["it stands out beside clean models"]
    view, inspector = find(opened, FindingView), find(opened, InspectorView)

    def statistics() -> set[str]:
        keys = {key.text() for key, _ in inspector._cut_rows._shown if not key.isHidden()}
        return {one for one in keys if one.startswith("p ")}

    show_audit(opened.context, make(measured_audit))
    qtbot.waitUntil(lambda: statistics() == {"p of the norms"}, timeout=20_000)
    assert view.of_norms.text() == "The norms alone, which the verdict does not rest on:"
    show_audit(opened.context, measured_audit)
    qtbot.waitUntil(lambda: statistics() == {"p (Grubbs)"}, timeout=20_000)
    assert not view.of_norms.text(), "there it decides"


@pytest.mark.parametrize(
    ("kind", "name"),
    [("only the second finds it", "lengths"), ("nothing unusual", None),
     ("backdoored", "shift"), ("evidence of one kind alone", "shift"),
     ("only a recovered trigger finds it", None)],
)  # fmt: skip
def test_what_a_finding_rests_on(measured_audit: Audit, kind: str, name: str | None) -> None:
    make, *_ = MATRIX[kind]
    found = deciding(make(measured_audit))
    assert (found and found.detector.name) == name


@pytest.mark.slow
def test_every_kind_of_audit(window: MainWindow, measured_audit: Audit) -> None:
    for make, level, classes, _ in MATRIX.values():
        audit = make(measured_audit)
        show_audit(window.context, audit)
        says(window, audit, "en")
        do(window, "ja")
        says(window, audit, "ja")
        do(window, "en")
        assert window.session.state.selection.class_index == audit.most_suspicious
        bars, judged = find(window, ClassView), audit.judged
        assert bars.detector.isVisible() == (len(judged) > 1)
        for number, one in enumerate(judged):
            bars.detector.setCurrentIndex(number)
            agrees(bars, audit, one)
        bars.detector.setCurrentIndex(0)
        other_views_agree(window, audit)
        shown = {i for one in judged for i in one.judgment.flagged}
        assert set(classes) <= shown | {one.target for one in audit.recoveries}
        assert level == audit.finding.level


def test_who_judges_can_be_chosen(window: MainWindow, measured_audit: Audit) -> None:
    view = find(window, FindingView)
    show_audit(window.context, measured_audit)
    view.fold.click()
    assert not view.judge.isVisible()  # nothing to compare with clean models
    make, *_ = MATRIX["evidence of one kind alone"]
    audit = make(measured_audit)
    show_audit(window.context, audit)
    assert (view.judge.now, view.title.text()) == ("clean-models", "Inconclusive")
    assert view.judge.isVisible()
    assert not view.rule.isVisible()
    assert not window.toolbar._threshold_shown.isVisible()
    view.judge._buttons["rule"].click()
    assert view.title.text() == "Probably backdoored"
    assert view.rule.isVisible()
    assert window.toolbar._threshold_shown.isVisible()
    assert window.session.state.by_rule
    view.judge._buttons["clean-models"].click()
    assert view.title.text() == "Inconclusive"
    assert not window.session.state.by_rule
    assert view.judge.now == "clean-models"


def test_it_leads_from_step_to_step(opened: MainWindow, qtbot: QtBot) -> None:
    view, session = find(opened, FindingView), opened.session
    measured = session.state.original
    assert measured is not None

    def leads_to(audit: Audit) -> tuple[str, str]:
        show_audit(opened.context, audit)
        assert view.next.isVisible()
        return view.why_next.text().removeprefix("Next: ")[:7], view.next.text()

    assert leads_to(replace(measured, tac=())) == ("recover", "Recover trigger…")
    assert leads_to(measured) == ("remove ", "Purify…")
    failed = replace(measured, tac=(replace(measured.tac[0], asr=0.001),))
    assert leads_to(with_recovery(failed, made_recovery(failed))) == ("remove ", "Purify…")
    assert leads_to(failed) == ("recover", "Recover trigger…")
    assert "sends 0.1% of the images" in view.reasons.text()
    assert "it does not work for that class" in view.reasons.text()
    view.next.click()
    dialog(qtbot, opened, RecoverDialog).reject()


def test_what_the_finding_rests_on_is_folded_away(opened: MainWindow) -> None:
    view = find(opened, FindingView)
    assert not view.details.isVisible()
    view.fold.click()
    assert view.details.isVisible()
    assert view.limits.text().startswith("A finding is evidence")
    assert view.fold.text().startswith("▾")
    view.fold.click()
    assert not view.limits.isVisible()


def test_searches_can_be_added(
    opened: MainWindow, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    shorten_searches(monkeypatch)
    view, session = find(opened, FindingView), opened.session
    assert view.search.isVisible()
    assert (view.search.objectName(), view.next.objectName()) == ("", "primary")
    alpha = session.state.alpha
    set_alpha(opened.context, 0.2)
    view.search.click()
    wait_well(qtbot, opened)
    found = session.state.audit
    assert found is not None
    assert session.state.original is not None
    assert found.verdict is not None
    assert found.shifts.alpha == 0.2
    assert session.state.original.shifts.alpha == alpha
    assert session.state.original.is_searched
    assert not view.search.isVisible()
    assert any(one.name == Pairs.name for one in found.evidence)
    assert opened.work is not None
    assert opened.work.docks["pairs"].isHidden(), "no pair stands out"
    assert view.judge.now == "clean-models"
    assert not SEARCH.enabled(session.state)


def test_a_clean_model_can_be_compared_with(
    window: MainWindow, qtbot: QtBot, measured_audit: Audit, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[Path, object]] = []
    make, *_ = MATRIX["a reference explains it"]
    made = make(measured_audit)

    def add(audit: Audit, material: object, path: Path, **given: object) -> Audit:
        asked.append((path, material))
        return with_reference(audit, made.reference)

    monkeypatch.setattr("bdshift.audit.reference.add_reference", add)
    monkeypatch.setattr(searching, "material_of", lambda state: lambda job: state.material)
    show_audit(window.context, measured_audit)
    assert not REFERENCE.enabled(window.session.state), "nothing was searched for"
    show_audit(window.context, with_reference(made, None))
    view = find(window, FindingView)
    assert view.title.text() == "Probably backdoored"
    window.context.ask.file = lambda title, filters="": Path("twin.pth")  # type: ignore[method-assign]
    REFERENCE.trigger(window.context)
    wait_well(qtbot, window)
    assert [path for path, _ in asked] == [Path("twin.pth")]
    state = window.session.state
    assert state.original is not None
    assert state.audit is state.original
    assert state.original.reference is made.reference
    says(window, made, "en")


def test_every_detector_has_a_column(window: MainWindow, measured_audit: Audit) -> None:
    make, *_ = MATRIX["two detectors agree"]
    show_audit(window.context, make(measured_audit))
    head, *rows = find(window, ClassView)._rows()
    assert list(head) == ["", "class", "L2", "p (Grubbs)", "MAD", "z", "LEN"]
    assert [row[-1] for row in rows].index(5.0) == 9


def test_what_is_saved_is_judged_as_it_is_shown(measured_audit: Audit) -> None:
    """Under other preprocessings, too."""
    reading = replace(measured_audit, embedding=None, tac=())
    audit = replace(measured_audit, readings=(reading,))
    shown = audit.under(Paper())
    saved = like(audit, shown)
    assert saved.readings[0].settings.rule == Paper()
    assert saved.finding == shown.finding
