"""The settings of a method, one field each, in sane ranges and explained."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, get_args, get_type_hints

from PySide6.QtCore import Signal
from PySide6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QDoubleSpinBox,
    QFormLayout,
    QLineEdit,
    QSpinBox,
    QWidget,
)

from bdshift_gui.i18n import tr


@dataclass(frozen=True)
class _Range:
    low: float
    high: float
    step: float
    decimals: int = 0


_RANGES = {
    "epochs": _Range(1, 500, 1),
    "batch": _Range(8, 1024, 8),
    "rate": _Range(0.0001, 1, 0.005, 4),
    "scale": _Range(0.1, 10, 0.5, 2),
    "tolerance": _Range(0, 0.5, 0.01, 3),
    "u": _Range(0.1, 20, 0.5, 2),
    "iterations": _Range(10, 100_000, 100),
    "epsilon": _Range(0.01, 2, 0.1, 2),
    "alpha": _Range(0, 1, 0.1, 2),
    "threshold": _Range(0, 1, 0.05, 2),
    "unlearn_rate": _Range(0.00001, 1, 0.0001, 5),
    "unlearn_epochs": _Range(1, 1000, 1),
    "loss_scale": _Range(0.01, 10, 0.1, 2),
    "neuron_share": _Range(0.001, 1, 0.05, 3),
    "weight_share": _Range(0.001, 1, 0.1, 3),
    "radius": _Range(0.001, 10, 0.01, 3),
    "uphill": _Range(0, 1, 0.1, 2),
    "rho": _Range(0, 100, 0.5, 2),
    "smoothing": _Range(0, 0.9, 0.05, 2),
    "inner": _Range(1, 10_000, 10),
    "inner_rate": _Range(0.0001, 10, 0.05, 4),
}


class SettingsForm(QWidget):
    """`text` is the method as `bdshift.purify.parse_method` reads it."""

    changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("plain")
        self._form = QFormLayout(self)
        self._form.setContentsMargins(0, 0, 0, 0)
        self._name = ""
        self.fields: dict[str, QWidget] = {}

    def show_method(self, method: Any) -> None:
        """Show the settings of a method as they are; a cut of given neurons has only those."""
        self._name = method.name
        while self._form.rowCount():
            self._form.removeRow(0)
        self.fields.clear()
        words, kinds = _words(), get_type_hints(type(method))
        for field in fields(method):
            value = getattr(method, field.name)
            if field.name == "neurons" and not value:
                continue
            if field.name in ("ranking", "tolerance") and getattr(method, "neurons", False):
                continue
            widget = self._make(field.name, value, get_args(kinds[field.name]))
            label, tip = words[field.name]
            widget.setToolTip(tip)
            widget.setAccessibleName(label)
            widget.setAccessibleDescription(tip)
            self._form.addRow(label, widget)
            self._form.labelForField(widget).setToolTip(tip)
            self.fields[field.name] = widget

    def text(self) -> str:
        """The method with the settings that are shown."""
        values = {name: _value(widget) for name, widget in self.fields.items()}
        listed = ",".join(f"{name}={value}" for name, value in values.items())
        return f"{self._name}:{listed}" if listed else self._name

    def _make(self, name: str, value: object, choices: tuple[str, ...]) -> QWidget:
        if choices:
            choice = QComboBox()
            choice.addItems(choices)
            choice.setCurrentText(str(value))
            choice.currentIndexChanged.connect(self.changed)
            return choice
        if isinstance(value, bool):
            check = QCheckBox()
            check.setChecked(value)
            check.toggled.connect(self.changed)
            return check
        if isinstance(value, int):
            count = QSpinBox()
            count.setRange(int(_RANGES[name].low), int(_RANGES[name].high))
            count.setValue(value)
            count.valueChanged.connect(self.changed)
            return count
        if isinstance(value, float):
            number, span = QDoubleSpinBox(), _RANGES[name]
            number.setDecimals(span.decimals)
            number.setRange(span.low, span.high)
            number.setSingleStep(span.step)
            number.setValue(value)
            number.valueChanged.connect(self.changed)
            return number
        line = QLineEdit(str(value))
        line.setPlaceholderText(tr("all layers") if name == "tune_from" else "")
        line.textChanged.connect(self.changed)
        return line


def _value(widget: QWidget) -> object:
    if isinstance(widget, QComboBox):
        return widget.currentText()
    if isinstance(widget, QCheckBox):
        return widget.isChecked()
    if isinstance(widget, QSpinBox):
        return widget.value()
    if isinstance(widget, QDoubleSpinBox):
        return round(widget.value(), widget.decimals())
    assert isinstance(widget, QLineEdit)
    return widget.text().strip()


def _words() -> dict[str, tuple[str, str]]:
    """Label and explanation of every setting."""
    return _rivals_words() | {
        "epochs": (tr("Epochs"), tr("Passes over the images that are learned from.")),
        "rate": (tr("Learning rate"), tr("Of SGD with momentum 0.9. The paper takes 0.01.")),
        "batch": (tr("Batch"), tr("Images in one step.")),
        "cosine": (tr("Falling rate"), tr("The rate falls to zero, instead of staying.")),
        "scale": (
            tr("Length of the shift"),
            tr("Times its own. A trigger may move images farther than the shift does; 2 holds "
               "longer."),
        ),
        "head_first": (
            tr("Head first"),
            tr("Solve the last layer alone before: a second, sometimes enough, sometimes nothing."),
        ),
        "tolerance": (
            tr("Accuracy to give"),
            tr("Share of held-out images that may be lost for it."),
        ),
        "tune_from": (
            tr("Tune from layer"),
            tr("The layers before it stay as they are and run only once, which is faster: layer3, "
               "say. Not every backdoor goes away so."),
        ),
        "keep": (
            tr("Keep"),
            tr("reach: the epoch after which the class is hardest to reach; last: the last one."),
        ),
        "neurons": (tr("Neurons"), tr("Those that are selected, joined by +.")),
        "ranking": (
            tr("Ranking"),
            tr("Which neurons go first: those of the largest shift, of the largest head weight, or "
               "the least active."),
        ),
    }  # fmt: skip


def _rivals_words() -> dict[str, tuple[str, str]]:
    return {
        "u": (tr("Deviations"), tr("Channels so many above their layer's mean are cut.")),
        "form": (tr("Form"), tr("With its known faults mended, or as its authors published it.")),
        "iterations": (tr("Iterations"), tr("Updates of the masks.")),
        "epsilon": (tr("Largest change"), tr("How far weights are moved to find what gives way.")),
        "alpha": (tr("Weight of clean"), tr("Of the loss without that change.")),
        "threshold": (
            tr("Threshold"),
            tr("Channels are cut whose mask is not above it. 0: as many as accuracy allows."),
        ),
        "unlearn_rate": (tr("Unlearning rate"), tr("Of SGD uphill, away from the clean task.")),
        "unlearn_epochs": (tr("Unlearning epochs"), tr("At most.")),
        "loss_scale": (tr("Scale of the loss"), tr("While masks learn the clean task again.")),
        "neuron_share": (tr("Neurons"), tr("Share that is touched: those that changed most.")),
        "weight_share": (tr("Weights"), tr("Share of their weights that is set to zero.")),
        "radius": (tr("Radius"), tr("How far uphill a part of the gradient is taken.")),
        "uphill": (tr("Uphill part"), tr("Of the gradient.")),
        "rho": (
            tr("Sharpness radius ρ"),
            tr("2 for CIFAR-10, 8 for GTSRB in BackdoorBench; 0: none."),
        ),
        "smoothing": (tr("Label smoothing"), tr("Share of a label that is spread over all.")),
        "inner": (tr("Inner updates"), tr("Of the shift, in each epoch.")),
        "inner_rate": (tr("Inner rate"), tr("Of Adam on the shift.")),
    }
