"""A plot in a card: a title that states the finding, axes in the theme's colors, export."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

import pyqtgraph as pg
from PySide6.QtCore import QBuffer, QRectF, QSize, Qt
from PySide6.QtGui import QAction, QGuiApplication, QImage, QPainter, QResizeEvent
from PySide6.QtSvg import QSvgGenerator
from PySide6.QtWidgets import QHBoxLayout, QMenu

from bdshift.csv_data import csv_text
from bdshift.outputs import Output
from bdshift_gui.context import Context
from bdshift_gui.i18n import tr
from bdshift_gui.plain import as_html, lines
from bdshift_gui.theme import LIGHT, SMALL, Theme, text_font
from bdshift_gui.widgets.card import Card, Text

pg.setConfigOptions(antialias=True)

Table = Sequence[Sequence[object]]


def paint_axes(view: pg.PlotWidget, theme: Theme) -> None:
    """Quiet axes: no ticks, small figures in the muted color."""
    view.setBackground(theme.card)
    for side in ("left", "bottom"):
        axis = view.getPlotItem().getAxis(side)
        axis.setPen(pg.mkPen(theme.border))
        axis.setTextPen(pg.mkPen(theme.muted))
        axis.setStyle(tickLength=0, maxTickLevel=0, tickFont=text_font(SMALL))


_BESIDE = 18  # characters of a class's name that fit beside a small plot


def name_ticks(axis: pg.AxisItem, names: Iterable[tuple[float, str]] | None) -> None:
    """Write names along an axis, each at its value; or the usual numbers for None."""
    named = None if names is None else [[(value, lines(name)) for value, name in names]]
    axis.setTicks(named)


def name_rows(axis: pg.AxisItem, names: Iterable[tuple[float, str]]) -> None:
    """Write names beside the rows of a small plot. Long ones are elided in the middle, because
    names of classes often differ at the end.
    """
    name_ticks(axis, ((value, _elided(name)) for value, name in names))


def _elided(name: str) -> str:
    if len(name) <= _BESIDE:
        return name
    end = (_BESIDE - 1) // 2
    return f"{name[: _BESIDE - 1 - end]}…{name[-end:]}"


def name_curves(plot: pg.PlotItem, curves: Mapping[str, pg.PlotDataItem], theme: Theme) -> None:
    """Add curves to a plot, and a legend that names them."""
    legend = plot.addLegend(offset=(-10, -10), labelTextSize=f"{SMALL}px")
    legend.clear()
    legend.setLabelTextColor(theme.muted)
    legend.setColumnCount(1 if len(curves) < 3 else 4)
    for name, curve in curves.items():
        plot.addItem(curve)
        legend.addItem(curve, as_html(name))


def bare_plot(box: pg.ViewBox | None = None) -> pg.PlotWidget:
    """A plot without frame, buttons and menus. pyqtgraph's menu is a separate window that would
    outlive the plot, so the plot is made its parent.
    """
    view = pg.PlotWidget(viewBox=box or pg.ViewBox(enableMenu=False))
    view.setFrameShape(view.Shape.NoFrame)
    view.hideButtons()
    item = view.getPlotItem()
    item.setMenuEnabled(False)
    item.ctrlMenu.setParent(view, item.ctrlMenu.windowFlags())
    return view


def small_plot(height: int) -> pg.PlotWidget:
    """A small plot next to text, without zoom."""
    view = bare_plot()
    view.setFixedHeight(height)
    view.getPlotItem().setMouseEnabled(False, False)
    view.getPlotItem().setContentsMargins(0, 0, 0, 0)
    return view


class PlotCard(Card):
    """``plot`` is pyqtgraph's; ``table`` returns the rows of the CSV, the header first. A subclass
    draws in `redraw`, in the colors of ``theme``.
    """

    def __init__(
        self, context: Context, table: Callable[[], Table], box: pg.ViewBox | None = None
    ) -> None:
        super().__init__()
        self.context = context
        self._table = table
        self.theme: Theme = LIGHT
        self.view = bare_plot(box)
        self.plot: pg.PlotItem = self.view.getPlotItem()
        self.body.addWidget(self.view, 1)
        self.view.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        self.view.customContextMenuRequested.connect(self._menu)
        self.view.scene().sigMouseClicked.connect(self._double_clicked)

    def paint(self, theme: Theme) -> None:
        """Apply the theme's colors."""
        paint_axes(self.view, theme)
        self.theme = theme
        self.redraw()

    def redraw(self) -> None:
        """Draw what is shown."""

    def reset_view(self) -> None:
        """Show all of it."""
        self.plot.autoRange()

    def _double_clicked(self, event: object) -> None:
        """Leave a zoom."""
        if event.double() and any(self.plot.vb.mouseEnabled()):  # type: ignore[attr-defined]
            self.reset_view()

    def label_axis(self, side: str, text: str) -> None:
        """Label an axis."""
        style = {"color": self.theme.muted, "font-size": f"{SMALL}px"}
        never = [(0.0, 0.0)]  # else pyqtgraph rescales values and adds an SI prefix
        self.plot.getAxis(side).setLabel(as_html(text), siPrefixEnableRanges=never, **style)

    def add_foot(self, *names: str) -> tuple[Text, ...]:
        """Add a legend below the plot, on the right: one label for each style in ``names``."""
        foot = QHBoxLayout()
        foot.setSpacing(12)
        foot.addStretch(1)
        words = tuple(Text(name, wrap=False) for name in names)
        for one in words:
            foot.addWidget(one)
        self.body.addLayout(foot)
        return words

    def describe(self, name: str, summary: str) -> None:
        """Set what a screen reader says about it."""
        self.view.setAccessibleName(name)
        self.view.setAccessibleDescription(summary)

    # Export: pyqtgraph's own SVG fails on Qt 6.11, and its PNG has only one resolution.

    def image(self, scale: int = 2) -> QImage:
        """The plot as an image, at ``scale`` times its resolution on the screen."""
        size = self.view.size() * scale
        image = QImage(size, QImage.Format.Format_ARGB32_Premultiplied)
        image.fill(self.view.backgroundBrush().color())
        painter = QPainter(image)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        self._render(painter, QRectF(0, 0, size.width(), size.height()))
        painter.end()
        return image

    def svg(self) -> bytes:
        """The plot as SVG, with every point as a shape."""
        buffer = QBuffer()
        generator = QSvgGenerator()
        generator.setOutputDevice(buffer)
        size = self.view.size()
        generator.setSize(size)
        generator.setViewBox(QRectF(0, 0, size.width(), size.height()))
        generator.setTitle(self.title.text())
        painter = QPainter(generator)
        self._render(painter, QRectF(0, 0, size.width(), size.height()))
        painter.end()
        return bytes(buffer.data().data())

    def _render(self, painter: QPainter, target: QRectF) -> None:
        items = [one for one in self.view.scene().items() if hasattr(one, "setExportMode")]
        for item in items:
            item.setExportMode(
                True, {"painter": painter, "antialias": True, "resolutionScale": 1.0}
            )
        try:
            self.view.render(painter, target, self.view.rect())
        finally:
            for item in items:
                item.setExportMode(False)

    def csv(self) -> str:
        """The numbers behind the plot."""
        return csv_text(self._table())

    def encoded(self, suffix: str) -> bytes:
        """The plot as SVG, CSV or PNG."""
        if suffix == ".svg":
            return self.svg()
        if suffix == ".csv":
            return self.csv().encode()
        buffer = QBuffer()
        buffer.open(QBuffer.OpenModeFlag.WriteOnly)
        self.image().save(buffer, "PNG")  # type: ignore[call-overload]  # its stub wants bytes, which fail
        return bytes(buffer.data().data())

    def copy(self) -> None:
        """Copy the image to the clipboard."""
        QGuiApplication.clipboard().setImage(self.image())

    def sizeHint(self) -> QSize:
        return QSize(640, 260)

    def minimumSizeHint(self) -> QSize:
        """With room for all lines of the title, which Qt takes for one."""
        found, title = super().minimumSizeHint(), self.title
        more = title.heightForWidth(title.width()) - title.minimumSizeHint().height()
        return QSize(found.width(), found.height() + max(0, more if title.isVisible() else 0))

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self.updateGeometry()  # the title may have more lines now

    def hasHeightForWidth(self) -> bool:
        return False  # the plot takes the room there is, however its title wraps

    def _menu(self, at: object) -> None:
        menu = QMenu(self)
        copy = QAction(tr("Copy image"), menu)
        copy.triggered.connect(self.copy)
        fit = QAction(tr("Show all"), menu)
        fit.triggered.connect(self.reset_view)
        save = QAction(tr("Export plot…"), menu)
        save.triggered.connect(self._ask)
        menu.addActions([copy, save, fit])
        menu.exec(self.view.mapToGlobal(at))
        menu.deleteLater()

    def _ask(self) -> None:
        path = self.context.ask.where(tr("Export plot"), "plot.png", (".png", ".svg", ".csv"))
        if path is not None:
            data, audit = self.encoded(path.suffix.lower()), self.context.state.original
            output = Output(path, overwrite=True, inputs=() if audit is None else audit.inputs)
            self.context.quick.ask(
                ("plot", path), lambda: output.write(data),
                lambda _: self.context.say_written(path),
            )  # fmt: skip
