"""The table of many models, while they are audited and afterward."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

import numpy as np
from PySide6.QtWidgets import QHBoxLayout, QProgressBar, QPushButton, QVBoxLayout, QWidget

from bdshift.text import figure, grouped
from bdshift_gui.action import Action
from bdshift_gui.actions.close_page import CLOSE_PAGE
from bdshift_gui.actions.fleet import (
    AUDIT_AGAIN,
    CONTINUE_FLEET,
    OPEN_ROW,
    PAUSE_FLEET,
    RETRY_FLEET,
    SAVE_TABLE,
)
from bdshift_gui.context import Context
from bdshift_gui.i18n import language, tr
from bdshift_gui.numbers import duration, percent
from bdshift_gui.pages import FleetPage
from bdshift_gui.plain import set_tip
from bdshift_gui.session import State
from bdshift_gui.theme import Theme
from bdshift_gui.view import View, view
from bdshift_gui.widgets.card import Text, look
from bdshift_gui.widgets.table_rows import Column, Index
from bdshift_gui.widgets.tables import DataTable

if TYPE_CHECKING:
    from bdshift.fleet.table import Ranked
    from bdshift.fleet.task import Result
    from bdshift_gui.fleet_shown import FleetShown

_ACTIONS = (
    PAUSE_FLEET, CONTINUE_FLEET, RETRY_FLEET, OPEN_ROW, AUDIT_AGAIN, SAVE_TABLE, CLOSE_PAGE,
)  # fmt: skip
_MAX_STAGES = 3  # of running audits that are named


@view
class FleetView(QWidget, View):
    """Replaces everything else in the middle while it is looked at; there need be no audit."""

    key = "fleet"
    area = "page"
    place = 5
    of_audit = False
    reads = ("fleet", "page", "job", "language", "audit")

    def __init__(self, context: Context) -> None:
        super().__init__()
        self._context = context
        self._rows: tuple[Ranked, ...] | None = None
        self._places: dict[str, int] = {}  # of the rows, by their models
        self._language = ""
        self._folder: Path | None = None
        self.setObjectName("plain")
        self.heading = Text("finding", wrap=False)
        self.lead, self.now = Text("muted"), Text("muted")
        self.bar = QProgressBar()
        self.bar.setTextVisible(False)
        head = QHBoxLayout()
        head.addWidget(self.heading, 1)
        self.buttons: dict[str, QPushButton] = {}
        for one in _ACTIONS:
            button = QPushButton()
            button.clicked.connect(lambda _=False, one=one: one.trigger(context))
            self.buttons[one.key] = button
            head.addWidget(button)
        self.table = DataTable("fleet", context.settings, several=True)
        self.table.chosen.connect(self._choose)
        self.table.view.activated.connect(self._open)
        column = QVBoxLayout(self)
        column.setContentsMargins(4, 0, 4, 0)
        column.setSpacing(8)
        column.addLayout(head)
        for widget in (self.lead, self.bar, self.now):
            column.addWidget(widget)
        column.addWidget(self.table, 1)

    def paint(self, theme: Theme) -> None:
        """Apply the theme's colors."""
        self.table.paint(theme)

    @classmethod
    def wants_page(cls, state: State) -> bool:
        """While it is looked at."""
        return isinstance(state.page, FleetPage) and state.fleet is not None

    def show_state(self, state: State) -> None:
        """Show the rows, and what is being audited."""
        shown = state.fleet
        if shown is None or not isinstance(state.page, FleetPage):
            return
        self.table.view.setAccessibleName(tr("Models"))
        total = max(shown.total, len(shown.found))
        self.heading.show_text(tr("Audits of {count:|model|models}", count=total))
        for one in _ACTIONS:
            self._show_button(one, state)
        self.bar.setVisible(shown.running)
        self.bar.setRange(0, shown.total)
        self.bar.setValue(shown.done)
        self.now.show_text(_what_runs(shown) if shown.running else "")
        if self._rows is not shown.found or self._language != language():
            self._rows, self._language = shown.found, language()
            self._folder = shown.folder
            self._places = {one.row.model: at for at, one in enumerate(shown.found)}
            self._show_rows(shown.found)
        self.table.select({self._places[one] for one in shown.chosen if one in self._places})

    def _show_button(self, one: Action, state: State) -> None:
        button, enabled = self.buttons[one.key], one.enabled(state)
        button.setText(tr(one.text))
        set_tip(button, tr(one.tip))
        button.setEnabled(enabled)
        button.setVisible(enabled or one in (OPEN_ROW, AUDIT_AGAIN, SAVE_TABLE, CLOSE_PAGE))
        look(button, "primary" if one is CONTINUE_FLEET or (one is OPEN_ROW and enabled) else "")
        if one is CLOSE_PAGE and state.audit is None:
            button.setText(tr("Back"))

    def _show_rows(self, found: Sequence[Ranked]) -> None:
        from bdshift.fleet.pages import expected_alarms, summary_of

        said = [summary_of(found, language()), expected_alarms(found).render(language())]
        there = [one for one in said if one] or [tr("No model is audited yet.")]
        self.lead.show_text("\n".join(there))
        flagged = [at for at, one in enumerate(found) if one.row.result.level == "backdoored"]
        self.table.show_columns(_columns(found), flagged, of=self._folder)

    def _choose(self) -> None:
        if self._rows is not None:
            chosen = [self._rows[at].row.model for at in self.table.selected()]
            self._context.selection.choose_models(chosen)

    def _open(self, _: Index) -> None:
        OPEN_ROW.trigger(self._context)


def _what_runs(shown: FleetShown) -> str:
    parts = [f"{grouped(shown.done)} / {grouped(shown.total)}"] if shown.total else []
    if shown.left is not None:
        parts.append(tr("{time} left", time=duration(shown.left)))
    for path, stage in [*shown.stages.items()][:_MAX_STAGES]:
        name = Path(path).name
        if stage is None:
            parts.append(name)
        else:
            doing = stage.stage.render(language())
            parts.append(f"{name}: {doing} {grouped(stage.done)} / {grouped(stage.total)}")
    return " · ".join(parts) or tr("Listing the models…")


def _columns(found: Sequence[Ranked]) -> list[Column]:
    from bdshift.fleet.pages import level_of

    results = [one.row.result for one in found]
    spoken = language()
    numbers = {
        "p": ([one.p for one in results], _short),
        "q": ([one.q for one in found], _short),
        "accuracy": ([one.accuracy for one in results], percent),
        "seconds": ([one.seconds for one in results], _short),
    }
    heads: Mapping[str, tuple[str, str]] = {
        "p": (
            "p",
            tr(
                "Share of clean models with evidence at least as strong; of a scan without "
                "searches, of norms as extreme, if those are normal."
            ),
        ),
        "q": ("q", tr("Share of false alarms to expect among all models whose q is no larger.")),
        "accuracy": ("ACC", tr("Accuracy on the clean images.")),
        "seconds": (tr("Seconds"), tr("How long the audit took.")),
    }
    families = ["" if one.family < 0 else str(one.family + 1) for one in found]
    return [
        Column("model", tr("Model"), texts=[Path(one.row.model).name for one in found],
               tips=[one.row.model for one in found]),
        Column("finding", tr("Finding"), texts=[level_of(one, spoken) for one in found],
               tips=[one.reason.render(spoken) for one in results],
               values=np.arange(len(found)),
               tip=tr("Sorted by what to look at first. Rest the mouse on a cell for the reason.")),
        Column("class", tr("Class"), texts=[
            one.target_name if one.level == "backdoored" else "" for one in results
        ]),
        *(
            Column(key, heads[key][0], np.array(values, dtype=np.float64), form=form,
                   tip=heads[key][1])
            for key, (values, form) in numbers.items()
        ),
        *_norms(results),
        Column("family", tr("Family"), texts=families,
               tip=tr("Models of one family have weights so near that they come from one base.")),
        Column("architecture", tr("Architecture"), texts=[one.architecture for one in results]),
    ]  # fmt: skip


def _norms(results: Sequence[Result]) -> list[Column]:
    """A row's norms as bars, sorted by how far the smallest is below the others; no column if no
    row has any.
    """
    bars = [one.norms if all(map(_is_norm, one.norms)) else () for one in results]
    if not any(bars):
        return []
    ratios = [min(one) / median(one) if one and median(one) else math.nan for one in bars]
    marked = [one.target if one.level == "backdoored" else -1 for one in results]
    return [
        Column(
            "norms", tr("Norms"), np.array(ratios), form=_short, bars=bars, marked=marked,
            tip=tr("Of the shift to each class. Sorted by the smallest, in percent of the median."),
            tips=[_smallest(one) for one in ratios],
        )
    ]  # fmt: skip


def _is_norm(value: float) -> bool:
    """Whether a number of a file, which may be anyone's, can be drawn as one."""
    return 0 <= value < math.inf


def _smallest(ratio: float) -> str:
    if math.isnan(ratio):
        return ""
    return tr("The smallest norm is {share} of the median.", share=percent(ratio))


def _short(value: float) -> str:
    return figure(value, ".3g")
