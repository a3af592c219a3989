"""Everything that shows an audit: the views, and the docks that they stand in."""

from __future__ import annotations

from PySide6.QtCore import QObject, Qt
from PySide6.QtWidgets import (
    QDockWidget,
    QMainWindow,
    QPlainTextEdit,
    QScrollArea,
    QSplitter,
    QVBoxLayout,
    QWidget,
)

from bdshift_gui.i18n import tr
from bdshift_gui.selection import Selection
from bdshift_gui.session import State
from bdshift_gui.theme import Theme
from bdshift_gui.views.agreement import AgreementView
from bdshift_gui.views.cards import ImagesCard, ModelCard
from bdshift_gui.views.classes import ClassView
from bdshift_gui.views.compare import CompareView
from bdshift_gui.views.inspector import InspectorView
from bdshift_gui.views.neuron_table import NeuronTableView
from bdshift_gui.views.runs import RunsView
from bdshift_gui.views.scatter import ScatterView
from bdshift_gui.views.shown_strip import ShownStrip
from bdshift_gui.views.verdict import VerdictView

_OF_AUDIT = ("table", "overlap", "runs")
_LOWER = (*_OF_AUDIT, "log")
_FOUND = ("audit", "shifts", "verdict", "tac")
_READS: dict[type[QWidget], tuple[tuple[str, ...], tuple[str, ...]]] = {
    VerdictView: (("audit", "shifts", "verdict"), ()),
    ModelCard: (("audit", "model", "corrections", "shown"), ()),
    ImagesCard: (("audit", "images", "model"), ()),
    ClassView: (("audit", "shifts", "verdict"), ("class_index",)),
    ScatterView: (_FOUND, ("class_index", "neurons", "primary")),
    InspectorView: ((*_FOUND, "cut", "maps"), ("class_index", "neurons", "primary")),
    NeuronTableView: (_FOUND, ("class_index", "neurons", "primary")),
    RunsView: (("original", "shown", "steps"), ()),
    CompareView: (("original", "comparing"), ()),
    ShownStrip: (("original", "shown", "comparing"), ()),
    AgreementView: (("audit", "shifts", "tac"), ("class_index",)),
}
"""What each view reads of the state and of the selection; it is drawn anew when that changes."""


class Workspace(QObject):
    """``plots`` is for the middle of ``window``; the docks are put around it."""

    def __init__(self, window: QMainWindow) -> None:
        super().__init__(window)
        self._window = window
        self._shown: dict[QWidget, list[object]] = {}
        self._there: dict[str, bool] = {}
        self._told_away: frozenset[str] = frozenset()
        self._away: set[str] = set()
        self.classes, self.scatter = ClassView(), ScatterView()
        self.verdict, self.model_card, self.images_card = VerdictView(), ModelCard(), ImagesCard()
        self.inspector, self.table = InspectorView(), NeuronTableView()
        self.agreement, self.runs = AgreementView(), RunsView()
        self.compare, self.strip = CompareView(), ShownStrip()
        self.compare_page = _scrolled(self.compare)  # where the window is low
        self.log = QPlainTextEdit()
        self.log.setReadOnly(True)
        self.plots = QSplitter(Qt.Orientation.Vertical)
        self.plots.setHandleWidth(12)
        self.plots.addWidget(self.classes)
        self.plots.addWidget(self.scatter)
        self.plots.setSizes([250, 440])
        self.plots.setChildrenCollapsible(False)
        self._make_docks(window)

    def _make_docks(self, window: QMainWindow) -> None:
        cards = QWidget()
        cards.setObjectName("plain")
        column = QVBoxLayout(cards)
        column.setContentsMargins(12, 12, 8, 12)
        column.setSpacing(8)
        for card in (self.verdict, self.model_card, self.images_card):
            column.addWidget(card)
        column.addStretch(1)
        holder = QWidget()
        holder.setObjectName("plain")
        around = QVBoxLayout(holder)
        around.setContentsMargins(4, 12, 12, 12)
        around.addWidget(self.inspector)
        areas = Qt.DockWidgetArea
        self.docks = {
            "audit": self._dock("audit", _scrolled(cards), areas.LeftDockWidgetArea, 280),
            "inspector": self._dock("inspector", _scrolled(holder), areas.RightDockWidgetArea, 304),
            "table": self._dock("table", self.table, areas.BottomDockWidgetArea, 0),
            "overlap": self._dock("overlap", self.agreement, areas.BottomDockWidgetArea, 0),
            "runs": self._dock("runs", self.runs, areas.BottomDockWidgetArea, 0),
            "log": self._dock("log", self.log, areas.BottomDockWidgetArea, 0),
        }
        window.tabifyDockWidget(self.docks["table"], self.docks["overlap"])
        window.tabifyDockWidget(self.docks["overlap"], self.docks["runs"])
        window.tabifyDockWidget(self.docks["runs"], self.docks["log"])
        for name in _LOWER:
            self.docks[name].hide()
        corners = Qt.Corner
        window.setCorner(corners.BottomLeftCorner, areas.LeftDockWidgetArea)
        window.setCorner(corners.BottomRightCorner, areas.RightDockWidgetArea)
        sides = [self.docks["audit"], self.docks["inspector"]]
        window.resizeDocks(sides, [280, 304], Qt.Orientation.Horizontal)

    def _dock(
        self, name: str, content: QWidget, area: Qt.DockWidgetArea, width: int
    ) -> QDockWidget:
        dock = QDockWidget(self._window)
        dock.setObjectName(name)
        dock.setWidget(content)
        if width:
            dock.setTitleBarWidget(QWidget())  # the cards have titles of their own
            content.setFixedWidth(width)
        self._window.addDockWidget(area, dock)
        return dock

    def show_state(self, state: State, now: Selection) -> None:
        """Render what is new in a snapshot. A dock comes and goes with what it shows; while that
        stays, the user opens and closes it.
        """
        self._show_dock("audit", bool(state.audit or state.model or state.images))
        self._show_dock("inspector", state.audit is not None and state.comparing is None)
        if state.comparing is not None:
            self.put_away(*_LOWER)  # to make room
        elif state.audit is None:
            self.put_away(*_OF_AUDIT)  # they would be empty
        else:
            self.put_away()
        of_state = (
            self.verdict, self.model_card, self.images_card, self.runs, self.compare, self.strip,
        )  # fmt: skip
        for view in of_state:
            if self._is_new(view, state, now):
                view.show_state(state)
        of_selection = (self.classes, self.scatter, self.inspector, self.table, self.agreement)
        for plot in of_selection if state.audit is not None else ():
            if self._is_new(plot, state, now):
                plot.show_state(state, now)

    def put_away(self, *names: str) -> None:
        """Put the lower panels ``names`` away, and back those that were put away before and are not
        among them. What the user opens or closes meanwhile stays so.
        """
        for name in frozenset(names) - self._told_away:
            if not self.docks[name].isHidden():
                self._away.add(name)
                self.docks[name].hide()
        for name in self._away.difference(names):
            self._away.discard(name)
            self.docks[name].show()
        self._told_away = frozenset(names)

    def _is_new(self, view: QWidget, state: State, now: Selection) -> bool:
        """Whether anything that ``view`` reads is another thing than when it was last shown."""
        of_state, of_selection = _READS[type(view)]
        parts = [getattr(state, name) for name in of_state]
        parts += [getattr(now, name) for name in of_selection]
        before = self._shown.get(view)
        self._shown[view] = parts
        return before is None or any(a is not b for a, b in zip(parts, before, strict=True))

    def _show_dock(self, name: str, there: bool) -> None:
        if self._there.get(name) is not there:
            self._there[name] = there
            self.docks[name].setVisible(there)

    def allow_corrections(self, on: bool) -> None:
        """Whether what was read can be set right, or purified: not while a job runs."""
        cards = self.model_card.correct, self.images_card.correct, self.images_card.ranking
        for button in (*cards, self.runs.purify):
            button.setEnabled(on)

    def forget(self) -> None:
        """Render the next snapshot whole, docks included, even if it is the same."""
        self._shown.clear()
        self._there.clear()
        self._told_away = frozenset()
        self._away.clear()

    def paint(self, theme: Theme) -> None:
        """Take the theme's colors."""
        for view in (
            self.classes, self.scatter, self.inspector, self.agreement, self.runs, self.compare,
        ):  # fmt: skip
            view.paint(theme)

    def retranslate(self) -> None:
        """Take the texts of the window's language."""
        names = {
            "audit": tr("Audit"), "inspector": tr("Inspector"), "table": tr("Neurons"),
            "overlap": tr("Overlap"), "runs": tr("Purifications"), "log": tr("Log"),
        }  # fmt: skip
        self._shown.clear()
        for key, dock in self.docks.items():
            dock.setWindowTitle(names[key])
        self.log.setAccessibleName(tr("Log"))


def _scrolled(content: QWidget) -> QScrollArea:
    area = QScrollArea()
    area.setObjectName("plain")
    area.setWidget(content)
    area.setWidgetResizable(True)
    area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
    area.viewport().setAutoFillBackground(False)
    return area
