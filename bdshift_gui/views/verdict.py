"""The verdict in words, with the figures behind it and what could fool it."""

from __future__ import annotations

import numpy as np
from PySide6.QtCore import Signal

from bdshift.text import figure
from bdshift_gui.i18n import tr
from bdshift_gui.numbers import chance, percent
from bdshift_gui.session import State
from bdshift_gui.widgets.card import Card, Rows, Text, look
from bdshift_gui.widgets.choices import Choices


class VerdictView(Card):
    """``rule_chosen`` carries the key of a rule."""

    rule_chosen = Signal(str)

    def __init__(self) -> None:
        super().__init__()
        self._words = Text()
        self._rows = Rows()
        self._rule = Choices(("grubbs", "mad", "paper"))
        self._rule.chosen.connect(self.rule_chosen)
        self._doubts = Text("muted")
        self._trouble = Text("danger")
        for widget in (self._trouble, self._words, self._rows, self._rule, self._doubts):
            self.body.addWidget(widget)

    def show_state(self, state: State) -> None:
        """Show the verdict of ``state``, or nothing without one."""
        self.setVisible(state.audit is not None)
        if state.audit is None or state.verdict is None or state.shifts is None:
            return
        verdict, names, norms = state.verdict, state.audit.images.class_names, state.shifts.l2
        poisoned = verdict.poisoned
        poisoned = () if state.audit.says_little else poisoned
        look(self.title, "verdictPoisoned" if poisoned else "verdict")
        self.title.show_text(
            tr("Says little") if state.audit.says_little
            else tr("Probably backdoored") if poisoned
            else tr("Nothing unusual found")
        )  # fmt: skip
        look(self, "poisoned" if poisoned else "card")
        rest = [i for i in np.argsort(norms).tolist() if i not in poisoned]
        shown = poisoned[0] if poisoned else rest[0]
        if poisoned:
            text = tr(
                "Every image can be sent to “{name}” by an unusually small shift: L2 {norm}, "
                "all others {other} or more.",
                name=names[shown], norm=figure(norms[shown], "#.3g"),
                other=figure(norms[rest[0]] if rest else None, "#.3g"),
            )  # fmt: skip
            if len(poisoned) > 1:
                others = ", ".join(names[i] for i in poisoned[1:6])
                text += " " + tr("Unusual too: {others}.", others=others)
        else:
            text = tr(
                "No class is reached by an unusually small shift. The smallest, “{name}” with L2 "
                "{norm}, is within what the others show.",
                name=names[shown], norm=figure(norms[shown], "#.3g"),
            )  # fmt: skip
        self._words.show_text(text)
        score = verdict.scores[shown]
        self._rows.show_rows(
            [
                (
                    tr("z-score"),
                    figure(score.z, ".2f"),
                    tr("Distance from the mean of all classes, in standard deviations."),
                ),
                (
                    tr("p (Grubbs, {count} classes)", count=len(norms)),
                    chance(score.grubbs_p),
                    tr("How likely the smallest of so many normal values lies this far below."),
                ),
                (
                    tr("MAD score"),
                    figure(score.mad, ".1f"),
                    tr("The same distance with median and median absolute deviation."),
                ),
            ]
        )  # fmt: skip
        self._rule.label(
            tr("Rule:"),
            {
                "grubbs": (
                    tr("p < 0.05"),
                    tr("One-sided Grubbs test, repeated for several targets."),
                ),
                "mad": ("MAD < −3.5", tr("Median absolute deviation.")),
                "paper": (
                    tr("|z| > β"),
                    tr("The paper's rule. With many classes it is wrong by chance; see β above."),
                ),
            },
        )
        self._rule.choose(verdict.rule)
        doubts = [
            tr("What could fool this? Attacks from one class only, several targets, or evasion.")
        ]
        audit, proposal = state.audit, state.audit.proposal
        own = proposal is not None or audit.says_little  # said in the window's words, prominently
        doubts[:0] = audit.warnings[1:] if own else audit.warnings
        self._doubts.show_text("\n".join(doubts))
        trouble = ""
        if proposal is not None:
            trouble = tr(
                "Clean accuracy is {share}, but another order of the classes explains {other} of "
                "the predictions. Until it is set right under “classes…”, class names are wrong.",
                share=percent(audit.accuracy), other=percent(proposal.accuracy),
            )  # fmt: skip
        elif audit.says_little:
            trouble = tr(
                "Clean accuracy is only {share}: the images are not what this network was trained "
                "on, or are treated wrongly.", share=percent(audit.accuracy),
            )  # fmt: skip
        self._trouble.show_text(trouble)
