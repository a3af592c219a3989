"""Pages with a table: the shortcuts, and how well every preprocessing did."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import (
    QDialog,
    QPushButton,
    QVBoxLayout,
)

from bdshift.text import figure
from bdshift_gui.action import all_actions
from bdshift_gui.context import Context
from bdshift_gui.i18n import say, tr
from bdshift_gui.menus import shortcut_text
from bdshift_gui.numbers import order_words, percent
from bdshift_gui.widgets.card import Text
from bdshift_gui.widgets.table_rows import Column
from bdshift_gui.widgets.tables import DataTable

if TYPE_CHECKING:
    from bdshift.audit import Audit
    from bdshift.checkpoints.entrant import Trial


def shortcuts_page(context: Context) -> QDialog:
    """Every action that has a shortcut."""
    rows = [[tr(one.text), shortcut_text(one)] for one in all_actions() if one.shortcut]
    rows += [
        [
            tr("Scatter: select one, add, toggle, remove"),
            tr("Click, Shift+click, Ctrl+click, Alt+click"),
        ],
        [tr("Scatter: select many"), tr("drag")],
        [tr("Scatter: zoom, pan"), tr("wheel, middle button")],
    ]
    dialog = QDialog(context.ask.parent)
    dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
    dialog.setWindowTitle(tr("Keyboard shortcuts"))
    dialog.resize(640, 560)
    names, keys = zip(*rows, strict=True)
    table = DataTable("shortcuts", context.settings)
    table.show_columns(
        [Column("action", tr("action"), texts=names), Column("keys", tr("keys"), texts=keys)]
    )
    QVBoxLayout(dialog).addWidget(table)
    return dialog


class RankingPage(QDialog):
    """Every preprocessing that was tried, the chosen one first; ``chosen`` carries the
    normalization of another one, as `parse_normalization` reads it, for another scan, and ``fit``
    is how that one makes pictures square.
    """

    chosen = Signal(str)

    def __init__(self, audit: Audit, context: Context) -> None:
        super().__init__(context.ask.parent)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle(tr("Preprocessing ranking"))
        self.resize(680, 480)
        column = QVBoxLayout(self)
        lead = Text("muted")
        lead.show_text(
            tr(
                "The first one is used. Accuracy decides; ties are broken by the training "
                "statistics in the first batch norm, ties between networks by what code usually "
                "does."
            )
            if audit.images.labeled
            else tr(
                "The first one is used. Without labels, how certain and how varied the predictions "
                "are decides; ties are broken by the training statistics in the first batch norm."
            )
        )
        column.addWidget(lead)
        chosen = audit.trials[0].architecture
        if any(trial.architecture != chosen for trial in audit.trials):
            self.resize(960, 520)
        framings = len({trial.preprocessing.framing for trial in audit.trials})
        names = []
        self._specs: list[tuple[str, str]] = []
        self.fit: str | None = None
        for trial in audit.trials:
            p = trial.preprocessing
            self._specs.append((p.normalization.spec, p.framing.fit))
            fit = f", {say(p.framing.words)}" if framings > 1 else ""
            details = trial.architecture.rpartition(": ")[2]  # if rebuilt, what differs
            other = "" if trial.architecture == chosen else f" · {details}"
            order = order_words(p.order)
            names.append(f"{p.normalization.name}, {order}, {p.size} px{fit}{other}")
        self.table = DataTable("preprocessings", context.settings)
        self.table.show_columns(_columns(names, audit.trials))
        self.table.select([0])
        column.addWidget(self.table)
        self.use = QPushButton(tr("Scan again with the selected preprocessing"))
        self.use.clicked.connect(self._take)
        column.addWidget(self.use)

    def _take(self) -> None:
        for row in self.table.selected():
            normalization, self.fit = self._specs[row]
            self.chosen.emit(normalization)
            self.accept()


def _columns(names: Sequence[str], trials: Sequence[Trial]) -> list[Column]:
    def numbers(key: str, head: str, values: Sequence[float | None]) -> Column:
        array = np.array(values, np.float64)
        return Column(key, head, array, form=lambda value: figure(value, "#.3g"))

    accuracy = np.array([one.accuracy for one in trials])
    return [
        Column("preprocessing", tr("preprocessing"), texts=names),
        Column("accuracy", tr("accuracy"), accuracy, form=percent),
        numbers("loss", tr("loss"), [one.loss for one in trials]),
        numbers("mismatch", tr("batch norm mismatch"), [one.mismatch for one in trials]),
        Column("images", tr("images"), np.array([one.images for one in trials])),
    ]
