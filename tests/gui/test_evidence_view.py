"""The page of the evidence says what the report says."""

from __future__ import annotations

import html

import pytest
from driving import do, find
from matrix import MATRIX

from bdshift.audit import Audit
from bdshift.reports.html_report import html_report
from bdshift.reports.verdict_rows import how_right
from bdshift.verdict.clean_models import shipped_table
from bdshift.words import Language
from bdshift_gui.main_window import MainWindow
from bdshift_gui.pages import RecoveryPage
from bdshift_gui.tasks.showing import show_audit
from bdshift_gui.views.evidence import EvidenceView
from bdshift_gui.views.finding import FindingView


@pytest.fixture
def evidence(window: MainWindow, measured_audit: Audit) -> EvidenceView:
    """The page, open."""
    make, *_ = MATRIX["it stands out beside clean models"]
    show_audit(window.context, make(measured_audit))
    button = find(window, FindingView).evidence
    assert button.isVisible()
    button.click()
    found = find(window, EvidenceView)
    assert found.isVisible()
    return found


def test_there_is_no_page_without_a_comparison(opened: MainWindow) -> None:
    assert not find(opened, FindingView).evidence.isVisible()
    do(opened, "show_evidence")
    assert not find(opened, EvidenceView).isVisible()


@pytest.mark.parametrize("language", ["en", "ja"])
def test_it_has_what_the_report_has(
    window: MainWindow, evidence: EvidenceView, language: Language
) -> None:
    do(window, language)
    audit = window.session.state.audit
    assert audit is not None
    page = html.unescape(html_report(audit, language))
    shown = evidence.rows.texts()
    assert len(shown) == 4, "heads, all kinds, two of them"
    for row in shown[1:]:
        assert "".join(f"<td>{text}</td>" for text in row) in page
    for text in shown[0]:
        assert f">{text}</th>" in page
    assert evidence.similar.text() in page
    assert evidence.sentence.text() == how_right(shipped_table().calibration, language)
    assert evidence.sentence.text() in page
    do(window, "en")


def test_every_clean_model_is_a_dot(window: MainWindow, evidence: EvidenceView) -> None:
    audit = window.session.state.audit
    assert audit is not None
    assert audit.verdict is not None
    head, *rows = evidence.strips._rows_as_table()
    assert head == ["kind", "strength", "clean models"]
    assert [len(str(row[2]).split()) for row in rows] == [audit.verdict.standing.models] * 3


def test_the_curve_is_folded(window: MainWindow, evidence: EvidenceView) -> None:
    assert not evidence.curve.isVisible()
    evidence.fold.click()
    assert evidence.curve.isVisible()
    known = shipped_table().calibration
    assert len(evidence.curve._rows_as_table()) == 1 + len(known.left_out) + len(known.held_out)
    evidence.back.click()
    assert not evidence.isVisible()
    do(window, "show_evidence")
    assert evidence.curve.isVisible(), "as it was left"
    window.session.update(page=RecoveryPage(0))
    assert not evidence.isVisible(), "a search that is watched comes first"
