"""What the audit means, with the figures behind it and its limits."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtWidgets import QPushButton

from bdshift.detect.rule import RULES, default_rule
from bdshift.text import figure
from bdshift.words import Sentence
from bdshift_gui.actions.recover import RECOVER
from bdshift_gui.actions.search import SEARCH, SHOW_EVIDENCE
from bdshift_gui.context import Context
from bdshift_gui.i18n import say, tr
from bdshift_gui.plain import set_tip
from bdshift_gui.session import State
from bdshift_gui.tasks.showing import set_rule
from bdshift_gui.view import View, view
from bdshift_gui.widgets.card import Card, KeyValueRows, Text, look
from bdshift_gui.widgets.choices import Choices

if TYPE_CHECKING:
    from bdshift.audit.finding import Finding

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
    """Renders `Audit.finding`; every sentence comes from there."""

    key = "finding"
    area = "cards"
    place = 10
    reads = ("audit", "original", "job", "waiting", "to_search")

    def __init__(self, context: Context) -> None:
        super().__init__()
        self._context = context
        self.reasons, self.running = Text(), Text("muted")
        self._rows = KeyValueRows()
        self.judge = Choices((CLEAN_MODELS, BY_RULE))
        self.judge.chosen.connect(self._choose_judge)
        self.rule = Choices(tuple(RULES))
        self.rule.chosen.connect(self._choose)
        self.cautions = Text("muted")
        self.search = QPushButton()
        self.search.clicked.connect(lambda: SEARCH.trigger(context))
        self.evidence = QPushButton()
        self.evidence.clicked.connect(lambda: SHOW_EVIDENCE.trigger(context))
        self.recover = QPushButton()
        self.recover.clicked.connect(lambda: RECOVER.trigger(context))
        for widget in (
            self.reasons, self.running, self.search, self.evidence, self.recover, self._rows,
            self.judge, self.rule, self.cautions,
        ):  # fmt: skip
            self.body.addWidget(widget)

    def show_state(self, state: State) -> None:
        """Show the finding, or nothing without an audit."""
        from bdshift.audit.finding import LIMITS

        audit = state.audit
        self.setVisible(audit is not None)
        if audit is None:
            return
        finding = audit.finding
        look(self.title, _TITLES[finding.level])
        look(self, _FRAMES[finding.level])
        self.title.show_text(say(finding.headline))
        self.reasons.show_text("\n\n".join(say(one.sentence) for one in finding.reasons))
        cautions = self._show_running(state, finding)
        waits = not audit.is_searched and not state.to_search
        self.search.setVisible(waits)
        first = waits and not finding.suspected
        look(self.search, "primary" if first else "")  # the next step, until taken
        self.search.setText(tr(SEARCH.text))
        self.search.setEnabled(SEARCH.enabled(state))
        set_tip(self.search, tr(SEARCH.tip))
        self.evidence.setVisible(SHOW_EVIDENCE.enabled(state))
        self.evidence.setText(tr(SHOW_EVIDENCE.text))
        set_tip(self.evidence, tr(SHOW_EVIDENCE.tip))
        look(self.recover, "" if first or state.recoveries else "primary")
        self.recover.setText(tr(RECOVER.text))
        self.recover.setEnabled(RECOVER.enabled(state))
        set_tip(self.recover, tr(RECOVER.tip))
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
        self.cautions.show_text("\n".join([*cautions, tr(LIMITS)]))

    def _show_running(self, state: State, finding: Finding) -> list[str]:
        """Say that the comparison runs, instead of the caution that it did not; return the others,
        in words.
        """
        from bdshift.audit.beside import SECOND_STAGE_NOT_RUN, SECOND_STAGE_RUNS

        left, runs = [], ""
        for one in finding.cautions:
            if one.code == SECOND_STAGE_NOT_RUN and state.to_search:
                runs = say(Sentence(SECOND_STAGE_RUNS, one.values))
            else:
                left.append(say(one.sentence))
        self.running.show_text(runs)
        return left

    def _choose_judge(self, name: str) -> None:
        set_rule(self._context, default_rule(), by_rule=name == BY_RULE)

    def _choose(self, name: str) -> None:
        set_rule(self._context, RULES[name]())
