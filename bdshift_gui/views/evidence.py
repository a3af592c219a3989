"""The evidence beside that of clean models, as rows; clean models like this one; how right p is."""

from __future__ import annotations

from PySide6.QtWidgets import QHBoxLayout, QPushButton, QToolButton, QVBoxLayout, QWidget

from bdshift_gui.actions.close_page import CLOSE_PAGE
from bdshift_gui.context import Context
from bdshift_gui.i18n import language, tr
from bdshift_gui.pages import EvidencePage
from bdshift_gui.plain import set_tip
from bdshift_gui.session import State
from bdshift_gui.theme import Theme
from bdshift_gui.view import View, view
from bdshift_gui.widgets.card import Card, Text
from bdshift_gui.widgets.cell_grid import CellGrid
from bdshift_gui.widgets.evidence_plots import CalibrationPlot, EvidenceStrips

_SHARES = 6, 4, 4, 4, 4, 5, 2  # of the columns of the table
_CURVE_WIDTH = 640  # pixels, at most


@view
class EvidenceView(QWidget, View):
    """Replaces the plots while it is looked at."""

    key = "evidence"
    area = "page"
    place = 30
    reads = ("audit", "page")

    def __init__(self, context: Context) -> None:
        super().__init__()
        self._unfolded = False
        self._state = State()
        self.setObjectName("plain")
        self.heading = Text("finding")
        self.back = QPushButton()
        self.back.clicked.connect(lambda: CLOSE_PAGE.trigger(context))
        head = QHBoxLayout()
        head.addWidget(self.heading, 1)
        head.addWidget(self.back)
        self.listed, self.rows, self.similar = Card(), CellGrid(_SHARES), Text("muted")
        self.listed.body.addWidget(self.rows)
        self.listed.body.addWidget(self.similar)
        self.strips = EvidenceStrips(context)
        self.right, self.sentence = Card(), Text()
        self.fold = QToolButton()
        self.fold.setObjectName("link")
        self.fold.clicked.connect(self._turn)
        self.curve = CalibrationPlot(context)
        self.curve.setMaximumWidth(_CURVE_WIDTH)
        beside = QHBoxLayout()
        beside.addWidget(self.curve, 1)
        beside.addStretch(0)
        self.right.body.addWidget(self.sentence)
        self.right.body.addWidget(self.fold)
        self.right.body.addLayout(beside)
        column = QVBoxLayout(self)
        column.setContentsMargins(4, 0, 4, 0)
        column.setSpacing(8)
        column.addLayout(head)
        for card in (self.listed, self.strips, self.right):
            column.addWidget(card)
        column.addStretch(1)

    def paint(self, theme: Theme) -> None:
        """Apply the theme's colors."""
        self.strips.paint(theme)
        self.curve.paint(theme)

    @classmethod
    def wants_page(cls, state: State) -> bool:
        """While it is looked at, and there is evidence to compare."""
        return (
            isinstance(state.page, EvidencePage)
            and state.audit is not None
            and state.audit.verdict is not None
        )

    def show_state(self, state: State) -> None:
        """Show the audit's evidence."""
        self._state, audit = state, state.audit
        if not self.wants_page(state) or audit is None or audit.verdict is None:
            return
        from bdshift.reports.verdict_rows import evidence_rows, heads, how_right, similar_models
        from bdshift.verdict.clean_models import shipped_table

        rows = evidence_rows(audit, audit.verdict, language())
        self.heading.show_text(tr("Compared with clean models"))
        self.back.setText(tr(CLOSE_PAGE.text))
        set_tip(self.back, tr(CLOSE_PAGE.tip))
        self.listed.title.show_text(tr("Each kind of evidence"))
        self.rows.show_rows(heads(language()), [one.cells for one in rows])
        names = similar_models(audit.verdict, language())
        self.similar.show_text(
            tr("Clean models with the most similar evidence: {names}", names=names)
        )
        suspected = bool(audit.verdict.suspected)
        self.strips.show_rows(rows, suspected=suspected)
        known = shipped_table().calibration
        self.right.title.show_text(tr("How right p is"))
        self.sentence.show_text(how_right(known, language()))
        self.curve.show_calibration(known, audit.verdict.standing.p, suspected=suspected)
        self._fold()

    def _turn(self) -> None:
        self._unfolded = not self._unfolded
        self._fold()

    def _fold(self) -> None:
        word = "▾ " + tr("Hide the curve") if self._unfolded else "▸ " + tr("Show the curve")
        self.fold.setText(word)
        self.curve.setVisible(self._unfolded)
