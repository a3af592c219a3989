"""One bar a class: the length of its shift, the line below which it is flagged; and a table."""

from __future__ import annotations

import numpy as np
import pyqtgraph as pg
from numpy.typing import NDArray
from PySide6.QtCore import QAbstractTableModel, QModelIndex, Qt, Signal
from PySide6.QtGui import QFontMetrics
from PySide6.QtWidgets import QAbstractItemView, QHeaderView, QTableView

from bdshift.text import figure
from bdshift_gui.i18n import tr
from bdshift_gui.numbers import percent
from bdshift_gui.selection import Selection
from bdshift_gui.session import State
from bdshift_gui.widgets.card import plain
from bdshift_gui.widgets.choices import Choices
from bdshift_gui.widgets.plot import PlotCard, Table, small_font

_NAMED = 24  # so many classes have their names under the bars
_VALUED = 16  # and so many their values above
_BAR = 0.6
_FIGURES = 22.0  # pixels of a line of figures and its gap
_RULE = 78.0  # pixels of the rule beside its line
_LOW = 110.0  # pixels of height under which an axis has room for a short name only


class ClassView(PlotCard):
    """``class_chosen`` carries the index of a class that was clicked."""

    class_chosen = Signal(int)

    def __init__(self) -> None:
        super().__init__(self._rows)
        self._state = State()
        self._selection = Selection()
        self._order: NDArray[np.int64] = np.empty(0, np.int64)
        self.sort = Choices(("index", "value"))
        self.show_as = Choices(("l2", "z", "table"))
        self._top, self._low, self._count = 1.0, 0.0, 1
        self.view.setMinimumHeight(110)
        self.plot.vb.sigResized.connect(self._fit)
        for choices in (self.sort, self.show_as):
            self.corner.addWidget(choices)
            choices.chosen.connect(self.redraw)
        self._model = ClassTable(self)
        self.table = QTableView()
        self.table.setModel(self._model)
        self.table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.table.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.table.verticalHeader().hide()
        self.table.setShowGrid(False)
        self.table.horizontalHeader().setSectionResizeMode(QHeaderView.ResizeMode.Stretch)
        self.table.activated.connect(self._row_chosen)
        self.table.clicked.connect(self._row_chosen)
        self.table.hide()
        self.body.addWidget(self.table, 1)
        self.plot.showGrid(y=True, alpha=0.25)
        self.plot.setMouseEnabled(False, False)
        self.view.scene().sigMouseClicked.connect(self._clicked)
        self.view.scene().sigMouseMoved.connect(self._moved)

    def show_state(self, state: State, selection: Selection) -> None:
        """Show the norms of ``state``."""
        self._state, self._selection = state, selection
        self.redraw()

    def _values(self) -> NDArray[np.float64]:
        assert self._state.shifts is not None
        assert self._state.verdict is not None
        if self.show_as.now == "z":
            return np.array([score.z for score in self._state.verdict.scores])
        return self._state.shifts.l2

    def redraw(self) -> None:
        self.sort.label(
            tr("order:"),
            {"index": (tr("class"), tr("In the network's order.")),
             "value": (tr("norm"), tr("The smallest first."))},
        )  # fmt: skip
        self.show_as.label(
            "",
            {"l2": ("L2", tr("Length of the shift to each class.")),
             "z": ("z", tr("Standard deviations from the mean of all classes.")),
             "table": (tr("table"), tr("The same as a table."))},
        )  # fmt: skip
        state = self._state
        if state.audit is None or state.shifts is None or state.verdict is None:
            return
        self.title.show_text(self._finding())
        self._model.show_state(state)
        as_table = self.show_as.now == "table"
        self.table.setVisible(as_table)
        self.view.setVisible(not as_table)
        if not as_table:
            self._draw(self._values())

    def _draw(self, values: NDArray[np.float64]) -> None:
        state, theme, plot = self._state, self.theme, self.plot
        assert state.audit is not None
        assert state.verdict is not None
        names, count = state.audit.images.class_names, len(values)
        by_value = self.sort.now == "value"
        self._order = np.argsort(values, kind="stable") if by_value else np.arange(count)
        shown = np.nan_to_num(values[self._order], posinf=np.nan)
        finite = np.isfinite(shown)
        poisoned = np.isin(self._order, state.verdict.poisoned)
        plot.clear()
        few, wide = count <= _NAMED, max(_BAR, count / 250)  # at least some pixels
        picked = self._order == (
            -1 if self._selection.class_index is None else self._selection.class_index
        )
        for rows, color in ((finite & ~poisoned, theme.bar), (finite & poisoned, theme.poisoned)):
            for part, outline in ((rows & ~picked, None), (rows & picked, theme.text)):
                if part.any():
                    pen = pg.mkPen(outline, width=1.5) if outline and few else pg.mkPen(None)
                    plot.addItem(
                        pg.BarGraphItem(
                            x=np.flatnonzero(part), height=shown[part],
                            width=wide if outline or color != theme.bar else _BAR,
                            brush=color, pen=pen,
                        )
                    )  # fmt: skip
        self._draw_values(shown, finite, poisoned)
        self._draw_line()
        axis = plot.getAxis("bottom")
        axis.setHeight(36)
        if few:
            axis.setTicks([[(x, self._short(names[i], count)) for x, i in enumerate(self._order)]])
            self.label_axis("bottom", "")
        else:
            axis.setTicks([[]] if by_value else None)
            by_norm = tr("classes, the smallest first")
            self.label_axis("bottom", by_norm if by_value else tr("class"))
        self._top = float(np.nanmax(shown, initial=0.0)) or 1.0
        self._low = float(np.nanmin(shown, initial=0.0))
        self._count = count
        self._fit()
        self.describe(tr("Shift norms by class"), self.title.text())

    def _fit(self) -> None:
        """Leave room for a line of figures above the bars, and for the rule to their right, however
        small the plot is.
        """
        right = min(0.4, _RULE / max(self.plot.vb.width(), 1.0)) * (self._count + 0.2)
        self.plot.setXRange(-0.6, self._count - 0.4 + right, padding=0.01)
        low_plot = self.plot.vb.height() < _LOW
        unit = "z" if self.show_as.now == "z" else "L2" if low_plot else tr("L2 of the shift")
        self.label_axis("left", unit)
        share = min(1.0, _FIGURES / max(self.plot.vb.height(), 1.0))
        room = share * (self._top - self._low) / (1 - min(0.8, share))
        low = self._low - room if self._low < 0 else 0.0
        self.plot.setYRange(low, self._top + room, padding=0)

    def _short(self, name: str, count: int) -> str:
        """The name under a bar: broken at a gap where it is long, else cut."""
        room = int(0.92 * self.plot.vb.width() / (count + 1))
        metrics, right = QFontMetrics(small_font()), Qt.TextElideMode.ElideRight
        fits = metrics.horizontalAdvance(name) <= room
        lines = [name] if fits else name.replace("_", " ").split()[:2]
        return "\n".join(metrics.elidedText(one, right, room) for one in lines)

    def _draw_values(
        self, shown: NDArray[np.float64], finite: NDArray[np.bool_], poisoned: NDArray[np.bool_]
    ) -> None:
        if len(shown) > _VALUED:
            return
        for x in np.flatnonzero(finite):
            color = self.theme.poisoned if poisoned[x] else self.theme.muted
            anchor = (0.5, 1.0) if shown[x] >= 0 else (0.5, 0.0)
            label = pg.TextItem(figure(shown[x], "#.3g"), color=color, anchor=anchor)
            label.setFont(small_font())
            label.setPos(float(x), float(shown[x]))
            self.plot.addItem(label)

    def _draw_line(self) -> None:
        from bdshift.shift.verdict import threshold

        state = self._state
        assert state.shifts is not None
        assert state.verdict is not None
        line = threshold(state.shifts.l2, state.verdict.rule, state.beta)
        if self.show_as.now == "z":
            usable = state.shifts.l2[np.isfinite(state.shifts.l2)]
            sigma = float(usable.std())
            line = (line - float(usable.mean())) / sigma if sigma else float("nan")
        if not np.isfinite(line):
            return
        words = {
            "grubbs": "p = 0.05",
            "mad": "MAD = −3.5",
            "paper": f"z = −{figure(state.beta, '.3g')}",
        }[state.verdict.rule]
        ink = self.theme.poisoned if state.verdict.poisoned else self.theme.muted
        pen = pg.mkPen(ink, width=1.2, style=Qt.PenStyle.DashLine)
        self.plot.addItem(pg.InfiniteLine(line, 0, pen=pen))
        label = pg.TextItem(words, color=ink, anchor=(0, 1))
        label.setToolTip(tr("Below this line a class is flagged."))
        label.setFont(small_font())
        label.setPos(len(state.shifts.l2) - 0.5, line)
        self.plot.addItem(label)

    def _finding(self) -> str:
        state = self._state
        assert state.audit is not None
        assert state.shifts is not None
        assert state.verdict is not None
        norms, names = state.shifts.l2, state.audit.images.class_names
        order = [i for i in np.argsort(norms).tolist() if np.isfinite(norms[i])]
        if len(order) < 2:
            return tr("Shift norms by class")
        first, second = order[:2]
        if len(state.verdict.poisoned) > 1:
            return tr(
                "{count} classes are reached by unusually small shifts",
                count=len(state.verdict.poisoned),
            )
        if first in state.verdict.poisoned:
            less = 1 - norms[first] / norms[second]
            return tr(
                "“{name}” needs {less} less shift than any other class",
                name=names[first], less=percent(less, 0),
            )  # fmt: skip
        return tr("All {count} classes need shifts of like length", count=len(norms))

    def _class_at(self, scene_point: object) -> int | None:
        place = self.plot.vb.mapSceneToView(scene_point)
        column = round(place.x())
        near = abs(place.x() - column) <= 0.5 and 0 <= column < len(self._order)
        return int(self._order[column]) if near else None

    def _clicked(self, event: object) -> None:
        index = self._class_at(event.scenePos())  # type: ignore[attr-defined]
        if index is not None:
            self.class_chosen.emit(index)

    def _moved(self, place: object) -> None:
        index = self._class_at(place)
        state = self._state
        if index is None or state.audit is None or state.shifts is None or state.verdict is None:
            self.view.setToolTip("")
            return
        score = state.verdict.scores[index]
        about = (
            f"{index} {state.audit.images.class_names[index]}\n"
            f"L2 {figure(state.shifts.l2[index])}\n"
            f"z {figure(score.z, '.2f')}   MAD {figure(score.mad, '.2f')}   "
            f"p {figure(score.grubbs_p, '.2g')}"
        )
        self.view.setToolTip(plain(about))

    def _row_chosen(self, index: QModelIndex) -> None:
        self.class_chosen.emit(index.row())

    def _rows(self) -> Table:
        return [self._model.head(), *self._model.rows]


class ClassTable(QAbstractTableModel):
    """Index, name, norm and scores of each class."""

    def __init__(self, parent: ClassView) -> None:
        super().__init__(parent)
        self.rows: list[tuple[int, str, float, float, float, float]] = []

    def head(self) -> list[str]:
        """Names of the columns."""
        return ["", tr("class"), "L2", "z", "MAD", tr("p (Grubbs)")]

    def show_state(self, state: State) -> None:
        """Take the figures of ``state``."""
        assert state.audit is not None
        assert state.shifts is not None
        assert state.verdict is not None
        self.beginResetModel()
        self.rows = [
            (i, name, float(state.shifts.l2[i]), score.z, score.mad, score.grubbs_p)
            for i, (name, score) in enumerate(
                zip(state.audit.images.class_names, state.verdict.scores, strict=True)
            )
        ]
        self.endResetModel()

    def rowCount(self, parent: object = None) -> int:
        return len(self.rows)

    def columnCount(self, parent: object = None) -> int:
        return 6

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = 0) -> object:
        if role == Qt.ItemDataRole.DisplayRole and orientation == Qt.Orientation.Horizontal:
            return self.head()[section]
        return None

    def data(self, index: object, role: int = 0) -> object:
        value = self.rows[index.row()][index.column()]  # type: ignore[attr-defined]
        if role == Qt.ItemDataRole.DisplayRole:
            return figure(value) if isinstance(value, float) else str(value)
        if role == Qt.ItemDataRole.TextAlignmentRole and isinstance(value, float):
            return int(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        return None
