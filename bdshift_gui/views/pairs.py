"""Every pair of classes as a square: how one-sided its path is, how near, or how long."""

from __future__ import annotations

import numpy as np
import pyqtgraph as pg
from numpy.typing import NDArray
from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QColor

from bdshift.detect.detectors.pairs import ClassPairs
from bdshift.text import figure, one_line
from bdshift.words import Sentence, words
from bdshift_gui.context import Context
from bdshift_gui.i18n import say, tr
from bdshift_gui.plain import set_tip
from bdshift_gui.session import State
from bdshift_gui.view import View, view
from bdshift_gui.widgets.choices import Choices
from bdshift_gui.widgets.plot import PlotCard, Table, name_ticks

_MAX_NAMES = 16  # classes whose names fit along the sides
_STRONG = 0.99  # quantile of the sizes that gets the fullest color
_MAX_OUTLINED = 100  # classes of a map whose squares are outlined
_SHADES = 256


@view
class PairsView(PlotCard, View):
    """Rows are sources, columns are targets; a click selects the target."""

    key = "pairs"
    area = "below"
    place = 30
    title_of_panel = words("Pairs of classes", ja="クラスの組")
    reads = ("audit", "selection.class_index")

    def __init__(self, context: Context) -> None:
        super().__init__(context, self._rows)
        self._state = State()
        self._values: NDArray[np.float64] = np.empty((0, 0))
        self._found: tuple[ClassPairs, NDArray[np.float64], Sentence] | None = None
        self._ranged = 0  # classes that the axes were set to
        self.quantity = Choices(("directed", "residual", "norm"))
        self.quantity.chosen.connect(self.redraw)
        self.corner.addWidget(self.quantity)
        self._image = pg.ImageItem(axisOrder="row-major")
        self._column = pg.LinearRegionItem(movable=False)
        self._map = pg.ScatterPlotItem(pxMode=False, symbol="s", size=0.9, brush=None)
        for item in (self._image, self._column, self._map):
            self.plot.addItem(item)
        self.plot.invertY(True)
        self.view.setMinimumHeight(180)
        self.view.scene().sigMouseClicked.connect(self._clicked)
        self.view.scene().sigMouseMoved.connect(self._moved)

    def comes_up(self, state: State) -> bool:
        """Once pairs were looked at."""
        return state.audit is not None and any(
            isinstance(one.record, ClassPairs) for one in state.audit.evidence
        )

    def show_state(self, state: State) -> None:
        """Show the pairs of ``state``."""
        other = state.audit is not self._state.audit
        self._state = state
        if other:
            self._found = _pairs_of(state)
        self.redraw()

    def redraw(self) -> None:
        self.quantity.label(
            "",
            {"directed": ("A", tr("How much shorter the path is one way than the other, in robust "
                                  "deviations: an attack is directed.")),
             "residual": ("R", tr("The log norm less the medians of its row and column: how near "
                                  "two classes are.")),
             "norm": ("L2", tr("Length of the shortest shift from the source to the target."))},
        )  # fmt: skip
        found = self._found
        self._image.setVisible(found is not None)
        self._column.setVisible(found is not None)
        if found is None:
            self._values = np.empty((0, 0))
            self._map.setData([], [])
            self.title.show_text(tr("Pairs of classes were not looked at"))
            return
        record, directed, said = found
        statement = say(said)
        self._values = {
            "directed": directed, "residual": record.residual, "norm": record.norm,
        }[self.quantity.now]  # fmt: skip
        self.title.show_text(statement)
        self._paint_squares()
        self._outline(record)
        self._select()
        self.describe(tr("Pairs of classes"), statement)
        self.label_axis("bottom", tr("target"))
        self.label_axis("left", tr("source"))
        self._name_sides()

    def _paint_squares(self) -> None:
        """Low values in the color of what is suspicious, high ones in the accent's."""
        values, low = self._values, self.quantity.now == "norm"
        finite = values[np.isfinite(values)]
        middle = float(np.median(finite)) if low and len(finite) else 0.0
        away = np.nan_to_num(values - middle, posinf=0.0, neginf=0.0)
        top = float(np.quantile(np.abs(away), _STRONG)) or 1.0
        table = np.array(
            [_blend(self.theme.card, self.theme.poisoned, share) for share in _steps(True)]
            + [_blend(self.theme.card, self.theme.accent, share) for share in _steps(False)],
            dtype=np.ubyte,
        )
        self._image.setLookupTable(table)
        self._image.setImage(away, levels=(-top, top), autoLevels=False)
        count = len(values)
        self._image.setRect(QRectF(-0.5, -0.5, count, count))
        if self._ranged != count:
            self._ranged = count
            self.plot.setXRange(-0.5, count - 0.5, padding=0.02)
            self.plot.setYRange(-0.5, count - 0.5, padding=0.02)

    def _outline(self, record: ClassPairs) -> None:
        """The map, if it stands out."""
        audit = self._state.audit
        assert audit is not None
        stands_out = any(
            one.evidence.record is record and one.judgment.suspected for one in audit.judged
        )
        targets = record.map.targets
        rows = np.flatnonzero(targets >= 0)
        if not stands_out or len(rows) > _MAX_OUTLINED:
            rows = rows[:0]
        self._map.setData(targets[rows], rows, pen=pg.mkPen(self.theme.text, width=1.5))

    def _select(self) -> None:
        index = self._state.selection.class_index
        self._column.setVisible(index is not None)
        if index is not None:
            soft = QColor(self.theme.text)
            soft.setAlpha(22)
            self._column.setBrush(soft)
            self._column.setHoverBrush(soft)
            for line in self._column.lines:
                line.setPen(pg.mkPen(self.theme.muted))
            self._column.setRegion((index - 0.5, index + 0.5))

    def _name_sides(self) -> None:
        audit = self._state.audit
        assert audit is not None
        names = audit.images.class_names
        for side in ("left", "bottom"):
            axis = self.plot.getAxis(side)
            if len(names) > _MAX_NAMES:
                name_ticks(axis, None)
            elif side == "left":
                name_ticks(axis, enumerate(names))
            else:
                name_ticks(axis, ((i, str(i)) for i in range(len(names))))

    def pair_at(self, scene_point: QPointF) -> tuple[int, int] | None:
        """Source and target under the pointer."""
        if not self.plot.vb.sceneBoundingRect().contains(scene_point):
            return None
        place = self.plot.vb.mapSceneToView(scene_point)
        source, target = round(place.y()), round(place.x())
        count = len(self._values)
        if 0 <= source < count and 0 <= target < count and source != target:
            return source, target
        return None

    def _clicked(self, event: object) -> None:
        if event.button() != Qt.MouseButton.LeftButton:  # type: ignore[attr-defined]
            return
        pair = self.pair_at(event.scenePos())  # type: ignore[attr-defined]
        if pair is not None:
            self.context.selection.select_class(pair[1])

    def _moved(self, place: QPointF) -> None:
        pair, found = self.pair_at(place), self._found
        if pair is None or found is None or self._state.audit is None:
            set_tip(self.view, "")
            return
        record, directed, _ = found
        source, target = (one_line(self._state.audit.images.class_names[i]) for i in pair)
        set_tip(
            self.view,
            f"{source} → {target}\nL2 {figure(float(record.norm[pair]), '#.3g')}\n"
            f"R {figure(float(record.residual[pair]), '+.2f')}\n"
            f"A {figure(float(directed[pair]), '+.2f')}",
        )

    def _rows(self) -> Table:
        found, audit = self._found, self._state.audit
        head = ["source", "target", "norm", "R", "A"]
        if found is None or audit is None:
            return [head]
        record, directed, _ = found
        names, count = audit.images.class_names, len(directed)
        return [
            head,
            *(
                (names[i], names[j], record.norm[i, j], record.residual[i, j], directed[i, j])
                for i in range(count)
                for j in range(count)
                if i != j
            ),
        ]


def _pairs_of(state: State) -> tuple[ClassPairs, NDArray[np.float64], Sentence] | None:
    """What the detector of pairs kept, A, and what it says."""
    if state.audit is None:
        return None
    for one in state.audit.judged:
        record, directed = one.evidence.record, one.evidence.pairs
        if isinstance(record, ClassPairs) and directed is not None:
            said = one.pairs(state.audit.images.class_names)
            return record, directed, said or Sentence("")
    return None


def _steps(falling: bool) -> NDArray[np.float64]:
    found = np.linspace(0, 1, _SHADES // 2)
    return found[::-1] if falling else found


def _blend(ground: str, color: str, share: float) -> tuple[int, int, int]:
    """A mix of two colors."""
    one, two = QColor(ground).getRgb(), QColor(color).getRgb()
    red, green, blue = (
        round(a + share * (b - a))
        for a, b in zip(one[:3], two[:3], strict=True)  # type: ignore[index]
    )
    return red, green, blue
