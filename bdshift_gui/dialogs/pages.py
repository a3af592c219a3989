"""Pages to read: the shortcuts, and how every preprocessing did."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QKeySequence
from PySide6.QtWidgets import (
    QDialog,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from bdshift.text import figure
from bdshift_gui.actions import ENTRIES, Actions
from bdshift_gui.i18n import tr
from bdshift_gui.numbers import order_words, percent
from bdshift_gui.widgets.card import Text
from bdshift_gui.widgets.tables import Cell, SmallTable

if TYPE_CHECKING:
    from bdshift.audit import Audit


def _table(heads: list[str], rows: list[list[str]]) -> SmallTable:
    table = SmallTable()
    table.show_rows(heads, [[Cell(text) for text in row] for row in rows])
    return table


def shortcuts_page(actions: Actions, parent: QWidget) -> QDialog:
    """Every action that has a shortcut."""
    native = QKeySequence.SequenceFormat.NativeText
    rows = [
        [actions[entry.key].text(), actions[entry.key].shortcut().toString(native)]
        for entry in ENTRIES
        if entry.shortcut
    ]
    rows += [
        [tr("Scatter: select one, add, toggle, remove"), "Click, Shift, Ctrl, Alt"],
        [tr("Scatter: select many"), tr("drag")],
        [tr("Scatter: zoom, move"), tr("wheel, middle button")],
    ]
    dialog = QDialog(parent)
    dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
    dialog.setWindowTitle(tr("Shortcuts"))
    dialog.resize(640, 560)
    QVBoxLayout(dialog).addWidget(_table([tr("action"), tr("keys")], rows))
    return dialog


class RankingPage(QDialog):
    """Every preprocessing that was tried, the chosen one first; ``chosen`` carries another one's
    normalization, as `parse_normalization` reads it, to scan again with.
    """

    chosen = Signal(str)

    def __init__(self, audit: Audit, parent: QWidget) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle(tr("Preprocessings tried"))
        self.resize(680, 480)
        column = QVBoxLayout(self)
        lead = Text("muted")
        lead.show_text(
            tr(
                "The first is used. Accuracy decides; where it cannot tell two apart, the "
                "statistics that the first batch norm kept from training do."
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
        rows = []
        self._names = []
        for trial in audit.trials:
            p = trial.preprocessing
            self._names.append(p.normalization.spec)
            details = trial.architecture.rpartition(": ")[2]  # of a rebuilt one, what differs
            other = "" if trial.architecture == chosen else f" · {details}"
            rows.append(
                [
                    f"{p.normalization.name}, {order_words(p.order)}, {p.size} px{other}",
                    percent(trial.accuracy),
                    figure(trial.loss, ".3g"),
                    figure(trial.mismatch, ".3g"),
                    str(trial.images),
                ]
            )
        self.table = _table(heads, rows)
        self.table.selectRow(0)
        column.addWidget(self.table)
        self.use = QPushButton(tr("Scan again with the selected normalization"))
        self.use.clicked.connect(self._take)
        column.addWidget(self.use)

    def _take(self) -> None:
        self.chosen.emit(self._names[self.table.currentRow()])
        self.accept()
