"""One bar per class, or a dot if there are many: a detector's score, and the line below which it is
flagged; or a table.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np
import pyqtgraph as pg
from numpy.typing import NDArray
from PySide6.QtCore import QPointF, QSignalBlocker, Qt
from PySide6.QtGui import QFontMetrics, QResizeEvent
from PySide6.QtWidgets import QHBoxLayout

from bdshift.text import figure
from bdshift_gui.context import Context
from bdshift_gui.i18n import say, tr
from bdshift_gui.plain import set_tip
from bdshift_gui.session import State
from bdshift_gui.theme import SMALL, Theme, text_font
from bdshift_gui.view import View, view
from bdshift_gui.widgets.card import Text
from bdshift_gui.widgets.choice_box import ChoiceBox
from bdshift_gui.widgets.choices import Choices
from bdshift_gui.widgets.class_scale import ClassScale, scale_of
from bdshift_gui.widgets.class_scores import score_columns, title_of
from bdshift_gui.widgets.class_search import ClassSearch
from bdshift_gui.widgets.class_strip import MAX_BARS, ClassStrip
from bdshift_gui.widgets.plot import PlotCard, Table, name_ticks
from bdshift_gui.widgets.table_rows import Column
from bdshift_gui.widgets.tables import DataTable

if TYPE_CHECKING:
    from bdshift.audit import Audit
    from bdshift.audit.facts import Judged

_WORD = re.compile(r"(?<=.)(?=[_ ])")  # between two words of a name
_MAX_NAMES = 24  # classes whose names fit under the bars
_MAX_FIGURES = 16  # classes whose values fit above them
_BAR = 0.6
_NAME_SHARE = 0.96  # of a bar's place, for its name
_CUT_SHARE = 0.92  # of that, for a name that is cut
_BOX_WIDTH = 112  # pixels of the box where there is no room for more
_AROUND_BOX = 48  # pixels between the box and what is beside it, and around all
_FIGURE_HEIGHT = 22.0  # pixels of a line of figures and the gap below it
_RULE_WIDTH = 78.0  # pixels of the rule's label next to its line
_DOT_HEIGHT = 16.0  # pixels
_ABOVE_DOT = 0.5, 1.3  # where in a label its dot is
_FAR = 10.0  # times the largest value: beyond the axis
_OVER_LINES = 10.0  # of labels; bands are as far below
_MIN_HEIGHT_FOR_FIGURES = 90.0  # pixels; below that, only a flagged dot has one
_MIN_HEIGHT_FOR_UNIT = 140.0  # pixels; below that, an axis has room only for a short name
_AROUND_NAME = 4  # pixels; an axis too short for its name has none: the choice of scores has it


@view
class ClassView(PlotCard, View):
    """Every class with its score from a detector; a click selects one."""

    key = "classes"
    area = "plots"
    place = 10
    reads = ("audit", "selection.class_index")

    def __init__(self, context: Context) -> None:
        super().__init__(context, self._rows)
        self._state = State()
        self.detector = ChoiceBox()
        self.detector.setSizeAdjustPolicy(ChoiceBox.SizeAdjustPolicy.AdjustToContents)
        self.detector.currentIndexChanged.connect(self._choose)
        self._chosen: str | None = None  # by the user, the name of a detector
        self.caption = Text("muted")
        self._measured = QHBoxLayout()  # long names in the corner would leave the title no room
        self._measured.addWidget(self.detector)
        self._measured.addWidget(self.caption, 1)
        self.body.insertLayout(self.body.indexOf(self.view), self._measured)
        self._order: NDArray[np.int64] = np.empty(0, np.int64)
        self._names: list[str] = []  # to be written under the bars
        self.sort = Choices(("index", "value"))
        self.show_as = Choices(("score", "median", "z", "table"))
        self._scale: ClassScale | None = None
        self.search = ClassSearch()
        self.search.found.connect(context.selection.select_class)
        self.corner.addWidget(self.search)
        self._top, self._low, self._count = 1.0, 0.0, 1
        self._drawn: list[pg.GraphicsObject] = []
        self.strip = ClassStrip(self.plot)
        self._many = False  # whether classes are dots, always in the order of their scores
        self.view.setMinimumHeight(94)
        self.plot.vb.sigResized.connect(self._fit)
        for choices in (self.sort, self.show_as):
            self.corner.addWidget(choices)
            choices.chosen.connect(self.redraw)
        self._columns: list[Column] = []
        self.table = DataTable("classes", context.settings)
        self.table.picked.connect(context.selection.select_class)
        self.table.hide()
        self.corner.insertWidget(1, self.table.field, 1)  # below it, there are few rows as it is
        self.body.addWidget(self.table, 1)
        self.plot.showGrid(y=True, alpha=0.25)
        self.plot.setMouseEnabled(False, False)
        self.view.scene().sigMouseClicked.connect(self._clicked)
        self.view.scene().sigMouseMoved.connect(self._moved)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._fit_box()

    def _fit_box(self) -> None:
        """Let the box have what the words beside it leave."""
        beside = self.caption.fontMetrics().horizontalAdvance(self.caption.text()) + _AROUND_BOX
        if not self.sort.isHidden():
            beside += self.sort.sizeHint().width()
        self.detector.setMaximumWidth(max(_BOX_WIDTH, self.width() - beside))

    def paint(self, theme: Theme) -> None:
        """Apply the theme's colors."""
        self.table.paint(theme)
        super().paint(theme)

    def show_state(self, state: State) -> None:
        """Show the scores of ``state``."""
        audit, before = state.original, self._state.original
        if audit is None or before is None or audit.images is not before.images:
            self._chosen = None  # another audit
        self._state = state
        self._offer_detectors()
        self.redraw()

    def _offer_detectors(self) -> None:
        audit = self._state.audit
        judged = () if audit is None else audit.judged
        with QSignalBlocker(self.detector):
            self.detector.clear()
            self.detector.addItems([tr(one.detector.label) for one in judged])
            self.detector.setCurrentIndex(0 if audit is None else self._first_shown(audit))
        self.detector.setVisible(len(judged) > 1)
        if len(judged) > 1:
            self._measured.addWidget(self.sort)
        else:
            self.corner.insertWidget(0, self.sort)
        self.detector.setAccessibleName(tr("Detector"))

    def _first_shown(self, audit: Audit) -> int:
        """What the user chose, else what the finding rests on, else the norms."""
        from bdshift.audit.deciding import deciding

        decides, names = deciding(audit), [one.detector.name for one in audit.judged]
        if self._chosen in names:
            return names.index(self._chosen)
        return 0 if decides is None else names.index(decides.detector.name)

    def _choose(self, place: int) -> None:
        audit = self._state.audit
        if audit is not None and place >= 0:
            self._chosen = audit.judged[place].detector.name
        self.redraw()

    @property
    def _judged(self) -> Judged:
        assert self._state.audit is not None
        return self._state.audit.judged[max(0, self.detector.currentIndex())]

    def _suspected(self) -> tuple[int, ...]:
        """Classes that this detector suspects, if the finding stands by them."""
        assert self._state.audit is not None
        known = self._state.audit.finding.suspected
        return tuple(i for i in self._judged.judgment.suspected if i in known)

    def redraw(self) -> None:
        self.sort.label(
            tr("order:"),
            {"index": (tr("class"), tr("In the network's order.")),
             "value": (tr("value"), tr("Smallest first."))},
        )  # fmt: skip
        state = self._state
        if state.audit is None:
            return
        from bdshift.audit.deciding import rests_on

        detector = self._judged.detector
        self.show_as.label(
            "",
            {"score": (tr(detector.score_label), tr(detector.score_help)),
             "median": (tr("median"),
                        tr("How far each class is from the median of all: small differences "
                           "between the bars are large ones here.")),
             "z": ("z", tr("Standard deviations from the mean of all classes.")),
             "table": (tr("table"), tr("Show the scores as a table."))},
        )  # fmt: skip
        audit = state.audit
        self.title.show_text(title_of(audit, self._judged, self._suspected()))
        rests = rests_on(audit, self._judged)
        self.caption.show_text("" if rests is None else say(rests))
        self._columns = score_columns(audit)
        self.table.show_columns(self._columns, audit.finding.suspected, audit.model)
        picked = state.selection.class_index
        self.table.select(() if picked is None else (picked,))
        self.table.view.setAccessibleName(tr("Scores by class"))
        names = audit.images.class_names
        self._many = len(names) > MAX_BARS
        as_table = self.show_as.now == "table"
        self.table.setVisible(as_table)
        self.table.field.setVisible(as_table)
        self.sort.setVisible(not as_table and not self._many)
        self._fit_box()
        self.view.setVisible(not as_table)
        self.search.setVisible(not as_table and len(names) > _MAX_NAMES)
        self.search.show_names(names)
        if not as_table:
            self._draw(scale_of(self._judged, self.show_as.now))

    def _add(self, item: pg.GraphicsObject) -> None:
        self._drawn.append(item)
        self.plot.addItem(item)

    def _draw(self, scale: ClassScale) -> None:
        state, theme, plot, values = self._state, self.theme, self.plot, scale.values
        assert state.audit is not None
        self._scale = scale
        names, count = state.audit.images.class_names, len(values)
        by_value = self._many or self.sort.now == "value"
        scores = self._judged.evidence.scores
        self._order = np.argsort(scores, kind="stable") if by_value else np.arange(count)
        shown = np.nan_to_num(values[self._order], posinf=np.nan)
        finite = np.isfinite(shown)
        flagged = np.isin(self._order, state.audit.finding.suspected)
        for item in self._drawn:
            plot.removeItem(item)
        self._drawn.clear()
        self.strip.clear()
        few = count <= _MAX_NAMES
        selected = state.selection.class_index
        picked = self._order == (-1 if selected is None else selected)
        self._draw_band(scale)
        if self._many:
            in_order = [names[i] for i in self._order]
            self.strip.show_values(shown, in_order, flagged, picked, theme)
            finite = np.zeros(count, bool)  # no bar, and no figure
        for rows, color in ((finite & ~flagged, theme.bar), (finite & flagged, theme.poisoned)):
            for part, outline in ((rows & ~picked, None), (rows & picked, theme.text)):
                if part.any() and scale.dots:
                    self._add(_dots(np.flatnonzero(part), shown[part], color, outline, count))
                elif part.any():
                    pen = pg.mkPen(outline, width=1.5) if outline and few else pg.mkPen(None)
                    x, height = np.flatnonzero(part), shown[part]
                    self._add(pg.BarGraphItem(x=x, height=height, width=_BAR, brush=color, pen=pen))
        self._draw_values(shown, finite, flagged, scale)
        self._draw_line(scale)
        axis = plot.getAxis("bottom")
        axis.setHeight(36 if few or not by_value else 20)  # with ticks, or without
        self._names = [names[i] for i in self._order] if few else []
        if few:
            self.label_axis("bottom", "")
        else:
            name_ticks(axis, () if by_value else None)
            by_norm = tr("classes, smallest first")
            self.label_axis("bottom", by_norm if by_value else tr("class"))
        line = scale.line if scale.dots and np.isfinite(scale.line) else 0.0
        self._top = max(float(np.nanmax(shown, initial=0.0)), line) or 1.0
        self._low = min(float(np.nanmin(shown, initial=0.0)), line)
        self._count = count
        self._fit()
        self.describe(tr("Scores by class"), self.title.text())

    def _fit(self) -> None:
        """Leave room for a line of figures above the bars, and for the rule's label to their right,
        however small the plot is; and shorten the names to the bars' width.
        """
        width = max(self.plot.vb.width(), 1.0)
        ruled = self._scale is not None and bool(np.isfinite(self._scale.line))
        span = (1 + min(0.4, _RULE_WIDTH / width) * ruled) * (self._count + 0.2)
        self.plot.setXRange(-0.6, span - 0.6, padding=0.01)
        if self._names:
            short = (_short(name, int(_NAME_SHARE * width / span)) for name in self._names)
            name_ticks(self.plot.getAxis("bottom"), enumerate(short))
        if self._scale is not None:
            height = self.plot.vb.height()
            long = height >= _MIN_HEIGHT_FOR_UNIT
            name = self._scale.unit if long else self._scale.short_unit
            length = QFontMetrics(text_font(SMALL)).horizontalAdvance(name) + _AROUND_NAME
            self.label_axis("left", name if length <= height else "")
        if self._scale is not None and self._many:
            self.strip.fit(self._scale.line, span)
            return
        dots = self._scale is not None and self._scale.dots
        needed = _FIGURE_HEIGHT + dots * _DOT_HEIGHT
        share = min(1.0, needed / max(self.plot.vb.height(), 1.0))
        room = share * (self._top - self._low) / (1 - min(0.8, share))
        bottom = self._low - room if self._low < 0 else 0.0
        self.plot.setYRange(bottom, self._top + room, padding=0)

    def _draw_values(
        self, shown: NDArray[np.float64], finite: NDArray[np.bool_], flagged: NDArray[np.bool_],
        scale: ClassScale,
    ) -> None:  # fmt: skip
        if len(shown) > _MAX_FIGURES:
            return
        crowded = scale.dots and self.plot.vb.height() < _MIN_HEIGHT_FOR_FIGURES
        for x in np.flatnonzero(finite & flagged if crowded else finite):
            color = self.theme.poisoned if flagged[x] else self.theme.muted
            anchor = (0.5, 1.0) if shown[x] >= 0 else (0.5, 0.0)
            label = pg.TextItem(figure(shown[x], scale.form), color=color, anchor=anchor)
            if scale.dots:
                label.setText(figure(float(round(shown[x])), scale.form))
                label.setAnchor(_ABOVE_DOT)
            else:  # it may be on the line
                label.fill = pg.mkBrush(self.theme.card)
            label.setFont(text_font(SMALL))
            label.setPos(float(x), float(shown[x]))
            label.setZValue(_OVER_LINES)
            self._add(label)

    def _draw_band(self, scale: ClassScale) -> None:
        """Where a class is flagged, behind the dots."""
        if not (scale.dots or self._many) or not np.isfinite(scale.line):
            return
        known = np.abs(scale.values[np.isfinite(scale.values)]).max(initial=abs(scale.line))
        far = float(_FAR * (known + 1))
        band = pg.LinearRegionItem(
            (scale.line, far if scale.suspicious_above else -far), "horizontal", movable=False,
            pen=pg.mkPen(None), brush=pg.mkBrush(self.theme.poisoned_soft),
        )  # fmt: skip
        band.setZValue(-_OVER_LINES)
        self._add(band)

    def _draw_line(self, scale: ClassScale) -> None:
        line, judgment = scale.line, self._judged.judgment
        if not np.isfinite(line):
            return
        ink = self.theme.poisoned if self._suspected() else self.theme.muted
        pen = pg.mkPen(ink, width=1.2, style=Qt.PenStyle.DashLine)
        self._add(pg.InfiniteLine(line, 0, pen=pen))
        label = pg.TextItem(judgment.rule.line_label, color=ink, anchor=(0, 1))
        set_tip(label, tr("Above this line a class is flagged.") if scale.suspicious_above
            else tr("Below this line a class is flagged."))  # fmt: skip
        label.setFont(text_font(SMALL))
        label.setPos(len(scale.values) - 0.5, line)
        self._add(label)

    def _class_at(self, scene_point: QPointF) -> int | None:
        if self._many:
            nearest = self.strip.place_at(scene_point)
            return None if nearest is None else int(self._order[nearest])
        place = self.plot.vb.mapSceneToView(scene_point)
        column = round(place.x())
        near = abs(place.x() - column) <= 0.5 and 0 <= column < len(self._order)
        return int(self._order[column]) if near else None

    def _clicked(self, event: object) -> None:
        if event.button() != Qt.MouseButton.LeftButton:  # type: ignore[attr-defined]
            return
        index = self._class_at(event.scenePos())  # type: ignore[attr-defined]
        if index is not None:
            self.context.selection.select_class(index)

    def _moved(self, place: QPointF) -> None:
        audit = self._state.audit
        index = None if audit is None else self._class_at(place)
        if audit is not None and self._many:
            self.strip.hover(self.strip.place_at(place))
        if index is None or audit is None:
            set_tip(self.view, "")
            return
        figures = [f"{one.head} {one.text(index)}" for one in self._columns[2:]]
        about = "\n".join([f"{index} {audit.images.class_names[index]}", *figures])
        set_tip(self.view, about)

    def _rows(self) -> Table:
        count = len(self._columns[0]) if self._columns else 0
        rows = [[one.exact(i) for one in self._columns] for i in range(count)]
        return [[one.head for one in self._columns], *rows]


def _dots(
    x: NDArray[np.int64], y: NDArray[np.float64], color: str, outline: str | None, count: int
) -> pg.ScatterPlotItem:
    """Classes as dots; among many they are small."""
    pen = pg.mkPen(outline, width=2) if outline else pg.mkPen(None)
    size = 11 if count <= _MAX_NAMES else 6
    return pg.ScatterPlotItem(x, y, size=size + 3 * bool(outline), brush=color, pen=pen)


def _short(name: str, room: int) -> str:
    """The name under a bar: if too long, on two lines, each elided where it does not fit. The name
    stays as it is, underscores and all.
    """
    metrics, right = QFontMetrics(text_font(SMALL)), Qt.TextElideMode.ElideRight
    fits = metrics.horizontalAdvance(name) <= room
    lines = [name] if fits else _WORD.split(name, 1)
    less = int(_CUT_SHARE * room)  # two cut names beside each other read as one
    return "\n".join(
        one if metrics.horizontalAdvance(one) <= room else metrics.elidedText(one, right, less)
        for one in map(str.strip, lines)
    )
