"""A number with its name and a slider, reported live while it is dragged."""

from __future__ import annotations

import math

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QHBoxLayout, QSizePolicy, QSlider, QToolButton, QWidget

from bdshift.text import figure
from bdshift_gui.i18n import tr
from bdshift_gui.plain import PlainLabel, set_tip

_STEPS = 200


class NumberSlider(QWidget):
    """``moved`` carries the number, in plain or logarithmic steps between ``low`` and ``high``.
    While it is another one than the default, a button leads back to that. ``form`` is Python's
    format of the number.
    """

    moved = Signal(float)

    def __init__(
        self, name: str, low: float, high: float, value: float, *, logarithmic: bool = False,
        form: str = "#.2g",
    ) -> None:  # fmt: skip
        super().__init__()
        self.setObjectName("plain")
        self._name, self._low, self._high, self._log = name, low, high, logarithmic
        self._default, self._form = value, form
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        row = QHBoxLayout(self)
        row.setContentsMargins(4, 0, 4, 0)
        row.setSpacing(6)
        self._label = PlainLabel()
        self._label.setObjectName("muted")
        self._label.setMinimumWidth(48)
        self._label.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        self.slider = QSlider(Qt.Orientation.Horizontal)
        self.slider.setRange(0, _STEPS)
        self.slider.setFixedWidth(84)
        self.reset = QToolButton()
        self.reset.setObjectName("link")
        self.reset.clicked.connect(self._back)
        row.addWidget(self._label)
        row.addWidget(self.slider)
        row.addWidget(self.reset)
        self.show_value(value)
        self.slider.valueChanged.connect(self._changed)

    @property
    def value(self) -> float:
        """The number that is shown."""
        return self._value

    def set_range(self, low: float, high: float, default: float, *, logarithmic: bool) -> None:
        """Change the range and the default; `show_value` must follow."""
        self._low, self._high, self._log = low, high, logarithmic
        self._default = default

    def describe(self, name: str, tooltip: str) -> None:
        """Set its name and tooltip."""
        self._name = name
        set_tip(self, tooltip)
        self.slider.setAccessibleName(self._name)
        self.slider.setAccessibleDescription(tooltip)

    def show_value(self, value: float) -> None:
        """Show a number without emitting ``moved``; the slider goes to the nearest step."""
        self._value = value
        self.reset.setVisible(value != self._default)
        self.reset.setText(tr("reset"))
        back = tr("Back to {value}", value=figure(self._default, ".3g"))
        set_tip(self.reset, back)
        self.reset.setAccessibleName(back)
        self._label.setText(f"{self._name} {figure(value, self._form)}")
        self.slider.setValue(self._step_of(value))

    def _back(self) -> None:
        self.moved.emit(self._default)

    def _changed(self, step: int) -> None:
        if step != self._step_of(self._value):  # else it was set by `show_value`
            self.moved.emit(self._value_of(step))

    def _value_of(self, step: int) -> float:
        share = step / _STEPS
        value = self._low + share * (self._high - self._low)
        if self._log:
            value = self._low * (self._high / self._low) ** share
        return min(self._high, max(self._low, float(f"{value:.3g}")))

    def _step_of(self, value: float) -> int:
        value = min(self._high, max(self._low, value))
        share = (value - self._low) / (self._high - self._low)
        if self._log:
            share = math.log(value / self._low) / math.log(self._high / self._low)
        return round(_STEPS * share)
