"""Every pair of classes as a square: how one-sided its path is, how near, or how long."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyqtgraph as pg
from numpy.typing import NDArray
from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QColor
from PySide6.QtWidgets import QPushButton

from bdshift.text import figure, one_line
from bdshift.words import Sentence, words
from bdshift_gui.actions.pairs import LOOK_AT_PAIRS, RECOVER_PAIR
from bdshift_gui.context import Context
from bdshift_gui.i18n import language, say, tr
from bdshift_gui.plain import lines, set_tip
from bdshift_gui.session import State
from bdshift_gui.view import View, view
from bdshift_gui.widgets.choice_box import ChoiceBox
from bdshift_gui.widgets.choices import Choices
from bdshift_gui.widgets.plot import PlotCard, Table, name_ticks

if TYPE_CHECKING:
    from bdshift.detect.detectors.pairs import ClassPairs

_MAX_NAMES = 16  # classes whose names fit along the sides
_STRONG = 0.99  # quantile of the sizes that gets the fullest color
_MAX_OUTLINED = 100  # classes of a map whose squares are outlined
_SHADES = 256


@view
class PairsView(PlotCard, View):
    """Rows are sources, columns are targets. A click selects a pair: its target is shown in all
    views, and its trigger can be recovered.
    """

    key = "pairs"
    area = "below"
    place = 30
    title_of_panel = words("Pairs of classes", ja="クラスの組")
    reads = ("audit", "shown", "selection.class_index", "selection.source", "job", "waiting")

    def __init__(self, context: Context) -> None:
        super().__init__(context, self._rows)
        self._state = State()
        self._values: NDArray[np.float64] = np.empty((0, 0))
        self._found: tuple[ClassPairs, NDArray[np.float64], Sentence] | None = None
        self._spoken = ""
        self._ranged = 0  # classes that the axes were set to
        self.worth, self.recover = ChoiceBox(), QPushButton()
        self.worth.setSizeAdjustPolicy(
            ChoiceBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon
        )
        self.worth.setMinimumContentsLength(16)
        self.worth.activated.connect(self._candidate_chosen)
        self.recover.clicked.connect(lambda: RECOVER_PAIR.trigger(context))
        self.look = QPushButton()
        self.look.clicked.connect(lambda: LOOK_AT_PAIRS.trigger(context))
        self.corner.addWidget(self.look)
        self.corner.addWidget(self.worth)
        self.corner.addWidget(self.recover)
        self.quantity = Choices(("directed", "residual", "norm"))
        self.quantity.chosen.connect(self.redraw)
        self.corner.addWidget(self.quantity)
        self._image = pg.ImageItem(axisOrder="row-major")
        self._column = pg.LinearRegionItem(movable=False)
        self._row = pg.LinearRegionItem(orientation="horizontal", movable=False)
        self._map = pg.ScatterPlotItem(pxMode=False, symbol="s", size=0.9, brush=None)
        for item in (self._image, self._column, self._row, self._map):
            self.plot.addItem(item)
        self.plot.invertY(True)
        self.view.setMinimumHeight(180)
        self.view.scene().sigMouseClicked.connect(self._clicked)
        self.view.scene().sigMouseMoved.connect(self._moved)

    def comes_up(self, state: State) -> bool:
        """Once pairs were looked at; of a scan that looks at everything, if one stands out."""
        if state.audit is None:
            return False
        from bdshift.detect.detectors.pairs import ClassPairs

        audit = state.audit
        return any(
            isinstance(one.evidence.record, ClassPairs)
            and bool(one.judgment.suspected or not audit.is_searched)
            for one in audit.judged
        )

    def show_state(self, state: State) -> None:
        """Show the pairs of ``state``."""
        other = state.audit is not self._state.audit
        spoken, self._spoken = self._spoken, language()
        self._state = state
        if other:
            self._found = _pairs_of(state)
        if other or spoken != language():
            self._offer_candidates()
            self.redraw()
        else:
            self._select()

    def _offer_candidates(self) -> None:
        """The pairs to try first: among a thousand classes no square is hit by hand."""
        self.worth.clear()
        self.worth.addItem(tr("Worth trying…"))
        audit, found = self._state.audit, self._found
        if audit is not None and found is not None:
            for source, target in found[0].candidates():
                self.worth.addItem(self._arrow(source, target), (source, target))
        set_tip(
            self.worth,
            tr("The most one-sided pairs, and those nearer than their classes explain. None of "
               "them is suspicious until a trigger is recovered for it."),
        )  # fmt: skip
        self.worth.setAccessibleName(tr("Pairs of classes"))
        self.recover.setText(tr("Recover its trigger"))
        set_tip(self.recover, tr(RECOVER_PAIR.tip))
        self.look.setText(tr(LOOK_AT_PAIRS.text))
        set_tip(self.look, tr(LOOK_AT_PAIRS.tip))

    def _candidate_chosen(self, row: int) -> None:
        pair = self.worth.itemData(row)
        if pair is not None:
            self.context.selection.select_class(pair[1], pair[0])

    def _arrow(self, source: int, target: int) -> str:
        assert self._state.audit is not None
        names = self._state.audit.images.class_names
        return lines(f"{one_line(names[source])} → {one_line(names[target])}")

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
        for part in (self.worth, self.quantity):
            part.setVisible(found is not None)
        if found is None:
            for item in (self._column, self._row, self.recover):
                item.setVisible(False)
            self._values = np.empty((0, 0))
            self._map.setData([], [])
            self.title.show_text(tr("Pairs of classes were not looked at"))
            self._select()
            return
        record, directed, said = found
        statement = say(said)
        self._values = {
            "directed": directed, "residual": record.residual, "norm": record.norm,
        }[self.quantity.now]  # fmt: skip
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
        """Mark the target's column and, of a pair, the source's row; say how far it is apart."""
        found, now = self._found, self._state.selection
        self.look.setVisible(found is None)
        self.look.setEnabled(LOOK_AT_PAIRS.enabled(self._state))
        if found is None:
            return
        for region, index in ((self._column, now.class_index), (self._row, now.source)):
            region.setVisible(index is not None)
            if index is not None:
                soft = QColor(self.theme.text)
                soft.setAlpha(22)
                region.setBrush(soft)
                region.setHoverBrush(soft)
                for line in region.lines:
                    line.setPen(pg.mkPen(self.theme.text))
                region.setRegion((index - 0.5, index + 0.5))
        pair = None
        if now.source is not None and now.class_index is not None:
            pair = now.source, now.class_index
        rows = (row for row in range(self.worth.count()) if self.worth.itemData(row) == pair)
        self.worth.setCurrentIndex(0 if pair is None else next(rows, 0))
        self.recover.setVisible(pair is not None)
        self.recover.setEnabled(RECOVER_PAIR.enabled(self._state))
        statement = say(found[2])
        self.title.show_text(
            statement[:1].upper() + statement[1:]
            if pair is None
            else " · ".join(self._about(*pair))
        )

    def _about(self, source: int, target: int) -> tuple[str, str, str, str]:
        """The pair and its figures."""
        assert self._found is not None
        record, directed, _ = self._found
        pair = source, target
        return (
            self._arrow(source, target), f"L2 {figure(float(record.norm[pair]), '#.3g')}",
            f"R {figure(float(record.residual[pair]), '+.2f')}",
            f"A {figure(float(directed[pair]), '+.2f')}",
        )  # fmt: skip

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
            self.context.selection.select_class(pair[1], pair[0])

    def _moved(self, place: QPointF) -> None:
        pair = None if self._found is None else self.pair_at(place)
        set_tip(self.view, "" if pair is None else "\n".join(self._about(*pair)))

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
    from bdshift.detect.detectors.pairs import ClassPairs

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
