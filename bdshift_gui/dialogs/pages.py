"""Pages with a table: the shortcuts, and how well every preprocessing did."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import (
    QDialog,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from bdshift.text import figure
from bdshift_gui.action import all_actions
from bdshift_gui.i18n import say, tr
from bdshift_gui.menus import shortcut_text
from bdshift_gui.numbers import order_words, percent
from bdshift_gui.widgets.card import Text
from bdshift_gui.widgets.tables import Cell, SmallTable

if TYPE_CHECKING:
    from bdshift.audit import Audit


def _table(heads: list[str], rows: list[list[str]]) -> SmallTable:
    table = SmallTable()
    table.show_rows(heads, [[Cell(text) for text in row] for row in rows])
    return table


def shortcuts_page(parent: QWidget) -> QDialog:
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
    dialog = QDialog(parent)
    dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
    dialog.setWindowTitle(tr("Keyboard shortcuts"))
    dialog.resize(640, 560)
    QVBoxLayout(dialog).addWidget(_table([tr("action"), tr("keys")], rows))
    return dialog


class RankingPage(QDialog):
    """Every preprocessing that was tried, the chosen one first; ``chosen`` carries the
    normalization of another one, as `parse_normalization` reads it, for another scan, and ``fit``
    is how that one makes pictures square.
    """

    chosen = Signal(str)

    def __init__(self, audit: Audit, parent: QWidget) -> None:
        super().__init__(parent)
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
        )
        column.addWidget(lead)
        heads = [
            tr("preprocessing"), tr("accuracy"), tr("loss"), tr("batch norm mismatch"),
            tr("images"),
        ]  # fmt: skip
        chosen = audit.trials[0].architecture
        if any(trial.architecture != chosen for trial in audit.trials):
            self.resize(960, 520)
        framings = len({trial.preprocessing.framing for trial in audit.trials})
        rows = []
        self._specs: list[tuple[str, str]] = []
        self.fit: str | None = None
        for trial in audit.trials:
            p = trial.preprocessing
            self._specs.append((p.normalization.spec, p.framing.fit))
            fit = f", {say(p.framing.words)}" if framings > 1 else ""
            details = trial.architecture.rpartition(": ")[2]  # if rebuilt, what differs
            other = "" if trial.architecture == chosen else f" · {details}"
            rows.append(
                [
                    f"{p.normalization.name}, {order_words(p.order)}, {p.size} px{fit}{other}",
                    percent(trial.accuracy),
                    figure(trial.loss, ".3g"),
                    figure(trial.mismatch, ".3g"),
                    str(trial.images),
                ]
            )
        self.table = _table(heads, rows)
        self.table.selectRow(0)
        column.addWidget(self.table)
        self.use = QPushButton(tr("Scan again with the selected preprocessing"))
        self.use.clicked.connect(self._take)
        column.addWidget(self.use)

    def _take(self) -> None:
        normalization, self.fit = self._specs[self.table.currentRow()]
        self.chosen.emit(normalization)
        self.accept()
