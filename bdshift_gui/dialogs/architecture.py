"""Which network the weights belong to: what fits best, one that fits, or the user's own. Those that
fit can be measured on all images, and scanned, to see whether the choice matters.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from PySide6.QtCore import Signal
from PySide6.QtWidgets import QButtonGroup, QHBoxLayout, QLineEdit, QPushButton, QRadioButton

from bdshift.checkpoints.users_own import Architecture, OwnNetwork, typed
from bdshift_gui.context import Context
from bdshift_gui.dialogs.question import QuestionDialog
from bdshift_gui.i18n import say, tr
from bdshift_gui.numbers import percent
from bdshift_gui.plain import on_button, set_tip
from bdshift_gui.session import State
from bdshift_gui.tasks.choosing import measure
from bdshift_gui.widgets.card import Text
from bdshift_gui.widgets.job_bar import JobBar
from bdshift_gui.widgets.table_rows import Column
from bdshift_gui.widgets.tables import DataTable

if TYPE_CHECKING:
    from bdshift.audit.candidates import CandidateTable

_MAX_NETWORKS = 10  # to choose from, before they are measured; the likeliest come first
_BEST, _LISTED, _OWN = range(3)


class ArchitectureDialog(QuestionDialog):
    """``chosen`` carries corrections for a scan: ``arch``, a name, the user's own, or None for the
    best, and perhaps ``normalize``. What is offered by name may come from an audit file; only the
    text field makes an `OwnNetwork`. ``state`` is None if no known network fits.
    """

    chosen = Signal(object)

    def __init__(self, context: Context, state: State | None) -> None:
        super().__init__(tr("Architecture"), 680, 240, context.ask.parent)
        self._context = context
        self._told = context.state.failure  # before, and of something else
        now = None if state is None else state.corrections.arch
        fitting = [] if state is None else _fitting(state)
        if isinstance(now, str):
            fitting = list(dict.fromkeys([now, *fitting]))
        self._measured: CandidateTable | None = None
        self._more = len(fitting) - _MAX_NETWORKS
        self.offered: list[dict[str, Any]] = [{"arch": name} for name in fitting[:_MAX_NETWORKS]]
        self._group = QButtonGroup(self)
        self.table = DataTable("candidates", context.settings)
        self.measure, self.each = QPushButton(tr("Measure on all images")), QPushButton()
        self.bar, self.statement, self.conclusion = JobBar(), Text(), Text()
        self.more = Text("muted")
        if fitting:
            self._add_candidates()
        self._offer(_OWN, tr("Your own network"))
        own = now if isinstance(now, OwnNetwork) else OwnNetwork("")
        self.own = QLineEdit(own.spec)
        self.own.setPlaceholderText("package.module:callable")
        self.own.setAccessibleName(tr("Your own network"))
        self.column.addWidget(self.own)
        note = Text("muted")
        note.show_text(
            tr("The code of your own network is imported and run, from the folder where "
               "bdshift-gui was started or from installed packages. No code in the checkpoint is "
               "run.")
        )  # fmt: skip
        self.column.addWidget(note)
        self.use = self.add_buttons(tr("Use this architecture"))
        if fitting:
            self._show_candidates()
        if isinstance(now, str):
            self.choose(now)
        else:
            first = _BEST if fitting and now is None else _OWN
            self._group.button(first).setChecked(True)
        self.own.textChanged.connect(self._check)
        self._group.idClicked.connect(self._check)
        context.session.changed.connect(self._changed)
        self.finished.connect(self._leave)
        self._changed(context.state)
        self.fit()

    def _add_candidates(self) -> None:
        self._offer(_BEST, tr("Whichever classifies the images best"))
        self._offer(_LISTED, tr("One of these"))
        self.table.setMinimumHeight(160)
        self.table.view.setAccessibleName(tr("Architecture"))
        self.table.chosen.connect(self._row_chosen)
        self.each.setText(tr("Scan each"))
        set_tip(self.each, tr("Measures each candidate and scans it, without a search."))
        self.measure.clicked.connect(lambda: measure(self._context, each=False))
        self.each.clicked.connect(lambda: measure(self._context, each=True))
        self.bar.canceled.connect(self._context.cancel)
        self._context.jobs.happened.connect(self.bar.progressed)
        self.finished.connect(lambda: self._context.jobs.happened.disconnect(self.bar.progressed))
        ways = QHBoxLayout()
        ways.addWidget(self.measure)
        ways.addWidget(self.each)
        ways.addStretch(1)
        self.column.addWidget(self.table, 1)
        self.column.addWidget(self.more)
        self.column.addWidget(self.statement)
        self.column.addWidget(self.conclusion)
        self.column.addLayout(ways)
        self.column.addWidget(self.bar)

    def _offer(self, number: int, text: str) -> None:
        button = QRadioButton(on_button(text))
        self._group.addButton(button, number)
        self.column.addWidget(button)

    def choose(self, value: Architecture | None) -> None:
        """Choose as a click would."""
        if isinstance(value, str):
            names = [one["arch"] for one in self.offered]
            self.table.select([names.index(value)])
            self._row_chosen()
        else:
            self._group.button(_BEST if value is None else _OWN).click()

    def _row_chosen(self) -> None:
        self._group.button(_LISTED).setChecked(True)
        self._check()

    @property
    def _now(self) -> dict[str, Any] | None:
        """What is chosen; of the user's own, what is in the text field; None if nothing is."""
        what = self._group.checkedId()
        if what == _OWN:
            own = OwnNetwork(self.own.text().strip())
            return {"arch": own} if own.is_complete else None
        if what == _BEST:
            return {"arch": None}
        return next((self.offered[row] for row in self.table.selected()), None)

    def _changed(self, state: State, _: State | None = None) -> None:
        """Follow the job, and show what it has measured."""
        if self.offered:
            self.bar.show_state(state)
            idle = not state.busy and state.can_scan
            self.measure.setEnabled(idle)
            self.each.setEnabled(idle)
            if state.candidates is not self._measured:
                self._measured = state.candidates
                self._show_candidates()
            self._conclude()
        self._check()

    def _conclude(self) -> None:
        """Say what the table shows; or why there is none, as the bar of that is behind this."""
        failure, found = self._context.state.failure, self._measured
        if failure is not None and failure is not self._told:
            self.conclusion.show_text(say(failure.sentence))
        else:
            said = () if found is None else found.conclusion
            self.conclusion.show_text(" ".join(map(say, said)))

    def _show_candidates(self) -> None:
        found = self._measured
        if found is None:
            self.table.show_columns(_columns([one["arch"] for one in self.offered]))
            self.more.show_text(
                "" if self._more <= 0 else
                tr("and {count:|less likely candidate|less likely candidates}", count=self._more)
            )  # fmt: skip
            return
        from bdshift.reports.candidates_report import name_of_candidate

        before = next((self.offered[row] for row in self.table.wanted), None)
        self.offered = [
            {"arch": one.architecture}
            | ({"normalize": one.preprocessing.normalization.spec} if one.reading else {})
            for one in found.rows
        ]
        ties = found.ties()
        names = [name_of_candidate(one) for one in found.rows]
        accuracies = [one.accuracy for one in found.rows]
        said = ["–" if one.finding is None else say(one.finding.headline) for one in found.rows]
        notes = [
            tr("chosen by the scan") if one.chosen else tr("as good") if i in ties else ""
            for i, one in enumerate(found.rows)
        ]
        self.table.show_columns(_columns(names, accuracies, notes, said), of=found)
        self.more.show_text(
            "" if not found.left_out else
            tr("and {count:|less likely candidate|less likely candidates}", count=found.left_out)
        )  # fmt: skip
        self._conclude()
        if before is not None:
            self.table.select(_alike(before, self.offered))
        else:
            self.table.select([0])
            best = self._group.checkedId() == _BEST
            if best and not found.rows[0].chosen:  # on all images; not what a scan would take
                self._row_chosen()
        self.fit()

    def _check(self) -> None:
        self.own.setEnabled(self._group.checkedId() == _OWN)
        self.use.setEnabled(self._now is not None and not self._context.state.busy)
        if not self.offered:
            return
        row = next(iter(self.table.selected()), None)
        finding = None
        if self._measured is not None and row is not None:
            finding = self._measured.rows[row].finding
        self.statement.show_text(
            "" if finding is None
            else f"{say(finding.headline)}: {say(finding.reasons[0].in_window)}"
        )  # fmt: skip

    def _leave(self) -> None:
        self._context.session.changed.disconnect(self._changed)

    def answer(self) -> None:
        self.chosen.emit(self._now)


def _columns(
    names: Sequence[str],
    accuracies: Sequence[float] = (),
    notes: Sequence[str] = (),
    findings: Sequence[str] = (),
) -> list[Column]:
    """The columns that are known."""
    found = [Column("architecture", tr("architecture"), texts=names)]
    if accuracies:
        found += [
            Column("accuracy", tr("accuracy"), np.array(accuracies), form=percent),
            Column("choice", tr("choice"), texts=notes),
            Column("finding", tr("quick finding"), texts=findings),
        ]
    return found


def _alike(one: dict[str, Any], offered: Sequence[dict[str, Any]]) -> list[int]:
    """The row of the same network, under the same normalization if there are several."""
    same = [row for row, other in enumerate(offered) if other["arch"] == one["arch"]]
    normalize = one.get("normalize")
    exact = [row for row in same if offered[row].get("normalize") == normalize]
    return (exact or same)[:1]


def _fitting(state: State) -> list[str]:
    """Names of the networks that the weights fit."""
    if state.model is not None and state.model.description.recognized is not None:
        return list(state.model.description.recognized.architectures)
    if state.audit is None:
        return []
    tried = dict.fromkeys(trial.architecture for trial in state.audit.trials)
    return [name for name in tried if not isinstance(typed(name), OwnNetwork)]
