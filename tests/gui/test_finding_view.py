"""For every audit, the window says what its finding says, in both languages."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from driving import do, find
from matrix import MATRIX, second_detector

from bdshift.audit import Audit
from bdshift.audit.finding import LIMITS
from bdshift.words import Language, translate
from bdshift_gui.main_window import MainWindow
from bdshift_gui.tasks.showing import show_audit
from bdshift_gui.views.classes import ClassView
from bdshift_gui.views.finding import FindingView
from bdshift_gui.widgets.card import _breakable


@pytest.fixture(autouse=True)
def _second_detector() -> Iterator[None]:
    with second_detector():
        yield


def says(window: MainWindow, audit: Audit, language: Language) -> None:
    finding, view = audit.finding, find(window, FindingView)
    assert view.title.text() == finding.headline.render(language)
    reasons = [one.sentence.render(language) for one in finding.reasons]
    assert view.reasons.text() == "\n".join(map(_breakable, reasons))
    cautions = [one.sentence.render(language) for one in finding.cautions]
    limits = translate(LIMITS, language)
    assert view.cautions.text() == "\n".join(map(_breakable, [*cautions, limits]))
    assert view.objectName() == {
        "backdoored": "poisoned", "nothing-unusual": "card", "inconclusive": "doubtful",
    }[finding.level]  # fmt: skip


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
            assert (" stand" in bars.title.text() or "less shift" in bars.title.text()) is True
            none = bars.title.text().startswith("None of the ")
            assert none is (not one.judgment.flagged)
        bars.detector.setCurrentIndex(0)
        assert set(classes) <= {i for one in judged for i in one.judgment.flagged}
        assert level == audit.finding.level


def test_every_detector_has_a_column(window: MainWindow, measured_audit: Audit) -> None:
    make, *_ = MATRIX["two detectors agree"]
    show_audit(window.context, make(measured_audit))
    head, *rows = find(window, ClassView)._rows()
    assert list(head) == ["", "class", "L2", "p (Grubbs)", "MAD", "z", "LEN"]
    assert [row[-1] for row in rows].index(5.0) == 9
