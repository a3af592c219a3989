"""What changed from one audit to a later one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QDialog, QFrame, QPushButton, QScrollArea, QVBoxLayout, QWidget

from bdshift_gui.i18n import language, say, tr
from bdshift_gui.widgets.card import Card, Text
from bdshift_gui.widgets.table_rows import Column
from bdshift_gui.widgets.tables import DataTable

if TYPE_CHECKING:
    from bdshift.audit.since import Since
    from bdshift_gui.context import Context

_ROW = 30  # pixels of a table's row


class SincePage(QDialog):
    """A card for each part, and the table of classes."""

    def __init__(self, since: Since, context: Context) -> None:
        from bdshift.reports.since_report import since_sections

        super().__init__(context.ask.parent)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle(tr("Changes between two audits"))
        self.resize(820, 580)
        self.table = DataTable("since", context.settings)
        outer = QVBoxLayout(self)
        area, inside = QScrollArea(), QWidget()
        area.setObjectName("plain")
        area.setFrameShape(QFrame.Shape.NoFrame)
        area.setWidgetResizable(True)
        inside.setObjectName("plain")
        column = QVBoxLayout(inside)
        self.cards = []
        for section in since_sections(since):
            card = Card()
            card.title.show_text(tr(section.title))
            for one in section.sentences:
                text = Text()
                text.show_text(say(one))
                card.body.addWidget(text)
            column.addWidget(card)
            self.cards.append(card)
        column.addWidget(self._classes(since))
        column.addStretch(1)
        area.setWidget(inside)
        outer.addWidget(area)
        close = QPushButton(tr("Close"))
        close.clicked.connect(self.accept)
        outer.addWidget(close, 0, Qt.AlignmentFlag.AlignRight)

    def _classes(self, since: Since) -> Card:
        from bdshift.reports.since_table import since_table

        made, card = since_table(since, language()), Card()
        self.table.setAccessibleName(tr("Classes by name"))
        numbers = np.array(made.numbers, np.float64).reshape(len(made.rows), len(made.heads))
        self.table.show_columns(
            [
                Column(str(at), head, None if np.isnan(values).all() else values,
                       [row[at] for row in made.rows])
                for at, (head, values) in enumerate(zip(made.heads, numbers.T, strict=True))
            ],
            [row for row, marked in enumerate(made.suspected) if marked],
        )  # fmt: skip
        self.table.setMinimumHeight(_ROW * (len(made.rows) + 1) + 12)
        card.title.show_text(tr("Classes by name"))
        card.body.addWidget(self.table)
        more = Text("muted")
        more.show_text(made.more)
        card.body.addWidget(more)
        card.setVisible(bool(made.rows))
        return card
