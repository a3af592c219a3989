"""What the audit means, with the figures behind it and its limits."""

from __future__ import annotations

from itertools import zip_longest
from typing import TYPE_CHECKING

from PySide6.QtWidgets import QPushButton, QToolButton, QVBoxLayout, QWidget

from bdshift.detect.rule import RULES, default_rule
from bdshift.text import figure
from bdshift.words import Sentence
from bdshift_gui.action import Action
from bdshift_gui.actions.compare import COMPARE
from bdshift_gui.actions.correct import LABELS
from bdshift_gui.actions.purify import PURIFY
from bdshift_gui.actions.recover import RECOVER
from bdshift_gui.actions.save import REPORT
from bdshift_gui.actions.search import SEARCH, SHOW_EVIDENCE
from bdshift_gui.context import Context
from bdshift_gui.i18n import say, tr
from bdshift_gui.plain import set_tip
from bdshift_gui.session import State
from bdshift_gui.tasks.gallery import show_gallery
from bdshift_gui.tasks.showing import set_rule
from bdshift_gui.view import View, view
from bdshift_gui.widgets.card import Card, KeyValueRows, Text, look
from bdshift_gui.widgets.choices import Choices
from bdshift_gui.widgets.exhibit_part import ExhibitPart

if TYPE_CHECKING:
    from bdshift.audit import Audit
    from bdshift.audit.exhibit import Exhibit
    from bdshift.audit.finding import Finding
    from bdshift.audit.next_step import Step

_STEPS: dict[Step, Action] = {
    "classes": LABELS, "search": SEARCH, "recover": RECOVER, "purify": PURIFY, "compare": COMPARE,
    "report": REPORT,
}  # fmt: skip

CLEAN_MODELS, BY_RULE = "clean-models", "rule"
"""What judges."""

_TITLES = {
    "backdoored": "findingBackdoored",
    "nothing-unusual": "finding",
    "inconclusive": "findingInconclusive",
}
"""Style of the title, by level."""
_FRAMES = {"backdoored": "poisoned", "nothing-unusual": "card", "inconclusive": "doubtful"}


@view
class FindingView(Card, View):
    """Renders `Audit.finding`, from which every sentence comes, and the next step. What it rests on
    is folded away.
    """

    key = "finding"
    area = "cards"
    place = 10
    reads = ("audit", "original", "job", "waiting", "to_search", "recovery")

    def __init__(self, context: Context) -> None:
        super().__init__()
        self._context = context
        self.statement, self.reasons, self.running = Text(), Text(), Text("muted")
        self.of_norms, self._rows = Text("muted"), KeyValueRows()
        self.judge = Choices((CLEAN_MODELS, BY_RULE))
        self.judge.chosen.connect(self._choose_judge)
        self.rule = Choices(tuple(RULES))
        self.rule.chosen.connect(self._choose)
        self.cautions = Text("muted")
        self.why_next = Text("muted")
        self.next, self.search, self.evidence = QPushButton(), QPushButton(), QPushButton()
        self._next: Action = RECOVER
        self._of: tuple[object, ...] = ()
        self._exhibit: Exhibit | None = None
        self.next.clicked.connect(lambda: self._next.trigger(context))
        self.search.clicked.connect(lambda: SEARCH.trigger(context))
        self.evidence.clicked.connect(lambda: SHOW_EVIDENCE.trigger(context))
        self.picture, self.shows = ExhibitPart(), Text("muted")
        self.picture.clicked.connect(self._show_images)
        self.fold = QToolButton()
        self.fold.setObjectName("link")
        self.fold.clicked.connect(self._toggle)
        self.limits = Text("muted")
        self.details = QWidget()
        self.details.setObjectName("plain")
        self.details.hide()
        inner = QVBoxLayout(self.details)
        inner.setContentsMargins(0, 0, 0, 0)
        inner.setSpacing(4)
        for part in (self.of_norms, self._rows, self.judge, self.rule, self.limits):
            inner.addWidget(part)
        for widget in (
            self.statement, self.picture, self.shows, self.running, self.why_next, self.next,
            self.search, self.evidence, self.reasons, self.cautions, self.fold, self.details,
        ):  # fmt: skip
            self.body.addWidget(widget)

    def show_state(self, state: State) -> None:
        """Show the finding, or nothing without an audit."""
        audit = state.audit
        self.setVisible(audit is not None)
        if audit is None:
            return
        from bdshift.audit.exhibit import exhibit
        from bdshift.audit.finding import LIMITS

        finding = audit.finding
        look(self.title, _TITLES[finding.level])
        look(self, _FRAMES[finding.level])
        self.title.show_text(say(finding.headline))
        first, *others = [say(one.in_window) for one in finding.reasons]
        self.statement.show_text(first)
        self.reasons.show_text("\n\n".join(others))
        of = _shown_from(audit)
        if any(a is not b for a, b in zip_longest(of, self._of)):  # another α shows the same
            self._of, self._exhibit = of, exhibit(audit)
        self.picture.show_exhibit(self._exhibit)
        self.shows.show_text("" if self._exhibit is None else say(self._exhibit.sentence))
        cautions = self._show_running(state, finding)
        self.cautions.show_text("\n".join(cautions))
        self._show_next(state)
        self._show_fold()
        self.of_norms.show_text(
            "" if audit.verdict is None
            else tr("The norms alone, which the verdict does not rest on:")
        )  # fmt: skip
        shown, statistics = audit.most_suspicious, audit.judgment.statistics
        self._rows.show_rows(
            [
                (tr(kind.column), figure(float(statistics[kind.name][shown]), kind.form),
                 tr(kind.column_help))
                for kind in RULES.kinds()
            ]
        )  # fmt: skip
        self.judge.label(
            tr("Judged by:"),
            {CLEAN_MODELS: (tr("clean models"), tr("Compares the evidence with that against clean "
                                                   "models.")),
             BY_RULE: (tr("a rule"), tr("Compares the classes by their norms."))},
        )  # fmt: skip
        compared = audit.verdict or audit.under(default_rule(), by_rule=False).verdict
        self.judge.setVisible(compared is not None)
        self.judge.choose(BY_RULE if audit.verdict is None else CLEAN_MODELS)
        self.rule.setVisible(audit.verdict is None)
        self.rule.label(
            tr("Rule:"),
            {kind.name: (kind().line_label, tr(kind.summary)) for kind in RULES.kinds()},
        )
        rule = audit.settings.rule
        self.rule.label_one(rule.name, rule.line_label)
        self.rule.choose(rule.name)
        self.limits.show_text(tr(LIMITS))

    def _show_next(self, state: State) -> None:
        """The next step as the main button, and the ways that lead elsewhere."""
        from bdshift.audit.next_step import WHY, next_step

        original = state.original if state.shown else state.audit
        assert original is not None
        step = next_step(original)
        self._next = _STEPS[step]
        there = not (step == "search" and state.to_search)
        waits = tr(
            "You need not do anything meanwhile: the search runs by itself, and may change what "
            "comes next."
        )
        why = waits if state.to_search else tr(WHY[step])
        self.why_next.show_text(why if there else "")
        self.next.setVisible(there)
        page_has_one = state.recovery is not None  # at most one button is highlighted
        look(self.next, "" if page_has_one or state.to_search else "primary")
        to_add = not original.is_searched and not state.to_search and step != "search"
        self.search.setVisible(to_add)
        self.evidence.setVisible(SHOW_EVIDENCE.enabled(state))
        for button, one in (
            (self.next, self._next), (self.search, SEARCH), (self.evidence, SHOW_EVIDENCE),
        ):  # fmt: skip
            button.setText(tr(one.text))
            button.setEnabled(one.enabled(state))
            set_tip(button, tr(one.tip))

    def _show_images(self) -> None:
        shown = self._exhibit
        if shown is not None:
            show_gallery(self._context, shown.which)

    def _toggle(self) -> None:
        self.details.setVisible(self.details.isHidden())
        self._show_fold()

    def _show_fold(self) -> None:
        folded = self.details.isHidden()
        self.fold.setText(("▸ " if folded else "▾ ") + tr("Details and limits"))
        self.fold.setAccessibleName(tr("Details and limits"))

    def _show_running(self, state: State, finding: Finding) -> list[str]:
        """Say that the comparison runs, instead of the caution that it did not; return the others,
        in words.
        """
        from bdshift.audit.beside import (
            SECOND_STAGE_NOT_RUN,
            SECOND_STAGE_RUNS,
            SECOND_STAGE_TOO_LARGE,
        )

        left, runs = [], ""
        if state.to_search:
            runs = tr("Triggers are being searched for in the images.")
        for one in finding.cautions:
            left_out = one.code in (SECOND_STAGE_NOT_RUN, SECOND_STAGE_TOO_LARGE)
            if left_out and state.to_search:
                runs = say(Sentence(SECOND_STAGE_RUNS, one.values))
            else:
                left.append(say(one.in_window))
        self.running.show_text(runs)
        return left

    def _choose_judge(self, name: str) -> None:
        set_rule(self._context, default_rule(), by_rule=name == BY_RULE)

    def _choose(self, name: str) -> None:
        set_rule(self._context, RULES[name]())


def _shown_from(audit: Audit) -> tuple[object, ...]:
    """What the picture of why depends on: not the norms, nor who judges, but who is suspected."""
    searched, suspected = audit.evidence[1:], audit.finding.suspected
    return audit.embedding, audit.tac, audit.recoveries, *searched, *suspected
