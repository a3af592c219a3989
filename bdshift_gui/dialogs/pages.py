"""Pages to read: the shortcuts, and how every preprocessing did."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import Qt
from PySide6.QtGui import QKeySequence
from PySide6.QtWidgets import (
    QAbstractItemView,
    QDialog,
    QHeaderView,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from bdshift_gui.actions import ENTRIES, Actions
from bdshift_gui.i18n import tr
from bdshift_gui.numbers import figure, percent
from bdshift_gui.widgets.card import Text

if TYPE_CHECKING:
    from bdshift.audit import Audit


def _page(
    parent: QWidget, title: str, lead: str, heads: list[str], rows: list[list[str]]
) -> QDialog:
    dialog = QDialog(parent)
    dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
    dialog.setWindowTitle(title)
    dialog.resize(640, 460)
    column = QVBoxLayout(dialog)
    if lead:
        text = Text("muted")
        text.show_text(lead)
        column.addWidget(text)
    table = QTableWidget(len(rows), len(heads))
    table.setHorizontalHeaderLabels(heads)
    table.verticalHeader().hide()
    table.setShowGrid(False)
    table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
    table.horizontalHeader().setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
    table.horizontalHeader().setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
    for y, row in enumerate(rows):
        for x, cell in enumerate(row):
            table.setItem(y, x, QTableWidgetItem(cell))
    column.addWidget(table)
    return dialog


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
    return _page(parent, tr("Shortcuts"), "", [tr("action"), tr("keys")], rows)


def ranking_page(audit: Audit, parent: QWidget) -> QDialog:
    """Every preprocessing that was tried, the chosen one first."""
    rows = []
    for trial in audit.trials:
        p = trial.preprocessing
        name = f"{p.normalisation.name}, {p.order.upper()}, {p.size} px"
        mismatch = figure(trial.mismatch, ".3g")
        rows.append(
            [name, percent(trial.accuracy), figure(trial.loss, ".3g"), mismatch, str(trial.images)]
        )
    heads = [
        tr("preprocessing"),
        tr("accuracy"),
        tr("loss"),
        tr("batch norm mismatch"),
        tr("images"),
    ]
    lead = tr(
        "The first is used. Accuracy decides; where it cannot tell two apart, the statistics that "
        "the first batch norm kept from training do. To choose another one, scan with --normalise."
    )
    return _page(parent, tr("Preprocessings tried"), lead, heads, rows)
