"""What stands beside the field of a setting: a button for its file or color, a slider."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtGui import QColor
from PySide6.QtWidgets import (
    QDoubleSpinBox,
    QHBoxLayout,
    QLineEdit,
    QPushButton,
    QSlider,
    QWidget,
)

from bdshift.setting import Explained
from bdshift_gui.ask import Ask
from bdshift_gui.i18n import tr
from bdshift_gui.widgets.color_button import ColorButton

_STEPS = 100  # of a slider


def with_extras(about: Explained, field: QWidget, ask: Ask) -> QWidget:
    """The field, with what helps to fill it in."""
    if isinstance(field, QLineEdit) and about.widget == "file":
        return _beside(field, _browse(about, field, ask))
    if isinstance(field, QLineEdit) and about.widget == "color":
        return _beside(field, _color(about, field, ask))
    if isinstance(field, QDoubleSpinBox) and about.role == "opacity":
        return _beside(_slider(about, field), field)
    return field


def _beside(first: QWidget, second: QWidget) -> QWidget:
    both = QWidget()
    both.setObjectName("plain")
    row = QHBoxLayout(both)
    row.setContentsMargins(0, 0, 0, 0)
    row.addWidget(first, 1)
    row.addWidget(second)
    return both


def _browse(about: Explained, field: QLineEdit, ask: Ask) -> QPushButton:
    browse = QPushButton(tr("Choose…"))

    def choose() -> None:
        path = ask.file(tr(about.label))
        if path is not None:
            field.setText(str(path))

    browse.clicked.connect(choose)
    return browse


def _color(about: Explained, field: QLineEdit, ask: Ask) -> ColorButton:
    button = ColorButton(tr(about.label), ask)

    def show(text: str) -> None:
        color = QColor(f"#{text}")
        if len(text) == 6 and color.isValid():
            button.show_color(color)

    show(field.text())
    field.textChanged.connect(show)
    button.picked.connect(lambda color: field.setText(color.name()[1:]))
    return button


def _slider(about: Explained, field: QDoubleSpinBox) -> QSlider:
    """From 0 to 1; the field refuses what is too little."""
    slider = QSlider(Qt.Orientation.Horizontal)
    slider.setRange(0, _STEPS)
    slider.setAccessibleName(tr(about.label))

    def show(value: float) -> None:
        slider.setValue(round(_STEPS * value))

    def take(step: int) -> None:
        if step != round(_STEPS * field.value()):  # else the field has set it
            field.setValue(step / _STEPS)

    show(field.value())
    field.valueChanged.connect(show)
    slider.valueChanged.connect(take)
    return slider
