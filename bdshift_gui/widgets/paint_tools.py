"""Brush, eraser, and what undoes: the tools for painting on an image."""

from __future__ import annotations

from dataclasses import replace

from PySide6.QtCore import Signal
from PySide6.QtGui import QColor
from PySide6.QtWidgets import QHBoxLayout, QPushButton, QSpinBox, QWidget

from bdshift_gui.ask import Ask
from bdshift_gui.i18n import tr
from bdshift_gui.plain import PlainLabel, set_tip
from bdshift_gui.widgets.color_button import ColorButton
from bdshift_gui.widgets.paint_layer import Brush, PaintLayer

_MAX_BRUSH = 256  # pixels of the image


class PaintTools(QWidget):
    """``brush_changed`` carries a `Brush`; the others tell which button was pressed."""

    brush_changed = Signal(object)
    undo_asked = Signal()
    redo_asked = Signal()
    clear_asked = Signal()

    def __init__(self, ask: Ask) -> None:
        super().__init__()
        self.setObjectName("plain")
        self.brush = Brush()
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        self.color = ColorButton(tr("Brush"), ask)
        self.color.show_color(QColor(*self.brush.color))
        self.diameter = QSpinBox()
        self.diameter.setRange(1, _MAX_BRUSH)
        self.diameter.setValue(self.brush.size)
        self.diameter.setSuffix(" px")
        self.diameter.setAccessibleName(tr("Brush size"))
        set_tip(self.diameter, tr("Diameter of the brush, in pixels of the image."))
        self.eraser = QPushButton(tr("Eraser"))
        self.eraser.setCheckable(True)
        self.undo, self.redo, self.clear = (
            QPushButton(tr("Undo")), QPushButton(tr("Redo")), QPushButton(tr("Clear")),
        )  # fmt: skip
        label = PlainLabel(tr("Brush"))
        label.setBuddy(self.color)
        for widget in (label, self.color, self.diameter, self.eraser):
            row.addWidget(widget)
        row.addStretch(1)
        for button, asked in (
            (self.undo, self.undo_asked), (self.redo, self.redo_asked),
            (self.clear, self.clear_asked),
        ):  # fmt: skip
            row.addWidget(button)
            button.clicked.connect(asked)
        self.color.picked.connect(self._pick)
        self.diameter.valueChanged.connect(
            lambda size: self._change(replace(self.brush, size=size))
        )
        self.eraser.toggled.connect(lambda on: self._change(replace(self.brush, erases=on)))

    def show_layer(self, layer: PaintLayer) -> None:
        """Enable what can be done."""
        self.undo.setEnabled(layer.can_undo)
        self.redo.setEnabled(layer.can_redo)
        self.clear.setEnabled(bool(layer.pixels[..., 3].any()))

    def _pick(self, color: QColor) -> None:
        self.eraser.setChecked(False)
        self._change(replace(self.brush, color=(color.red(), color.green(), color.blue())))

    def _change(self, brush: Brush) -> None:
        self.brush = brush
        self.brush_changed.emit(brush)
