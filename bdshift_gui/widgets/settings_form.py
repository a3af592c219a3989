"""The settings of any class that has them, one field each, as `bdshift.setting` explains them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import MISSING
from types import SimpleNamespace
from typing import Any

from PySide6.QtCore import QSignalBlocker, Qt, Signal
from PySide6.QtWidgets import (
    QAbstractSpinBox,
    QCheckBox,
    QDoubleSpinBox,
    QFormLayout,
    QLineEdit,
    QSpinBox,
    QWidget,
)

from bdshift.registry import Configured
from bdshift.setting import Option, Role, Widget, options_of
from bdshift.spec import write_options
from bdshift_gui.ask import Ask
from bdshift_gui.i18n import tr
from bdshift_gui.widgets.choice_box import ChoiceBox
from bdshift_gui.widgets.field_extras import with_extras
from bdshift_gui.widgets.form_rows import add_row

_MAX_NUMBER = 2**31 - 1  # of a field without an upper limit


class SettingsForm(QWidget):
    """``changed`` is emitted when a field is edited; `text` is what the registry parses."""

    changed = Signal()

    def __init__(self, ask: Ask) -> None:
        super().__init__()
        self.setObjectName("plain")
        self._ask = ask
        self._form = QFormLayout(self)
        self._form.setContentsMargins(0, 0, 0, 0)
        self._kind: type[Configured] | None = None
        self._options: tuple[Option, ...] = ()
        self.fields: dict[str, QWidget] = {}

    def show_kind(
        self, kind: type[Configured], given: Mapping[str, Any], only: Sequence[str] | None = None
    ) -> None:
        """Show the settings of a class, with the values ``given`` or else its defaults; only those
        in ``only``, in that order, unless it is None.
        """
        self._kind = kind
        self._options = options_of(kind) if only is None else options_named(kind, only)
        while self._form.rowCount():
            self._form.removeRow(0)
        self.fields.clear()
        for one in self._options:
            default = "" if one.default is MISSING else one.default
            field = self._make(one, given.get(one.name, default))
            tip = " ".join(filter(None, (tr(one.about.help), tr(one.about.source))))
            label = tr(one.about.label)
            row = with_extras(one.about, field, self._ask)
            beside = add_row(self._form, label, field, tip, row)
            for shown in (beside, row):  # now, so that a dialog can make room for them
                shown.show()
            self.fields[one.name] = field
        self.hide_meaningless()

    def hide_meaningless(self) -> None:
        """Hide settings that the others make meaningless, and those that are painted elsewhere."""
        values = SimpleNamespace(**self.values())
        for row, one in enumerate(self._options):
            if one.about.widget == "drawing":
                self._form.setRowVisible(row, False)
            elif one.about.when is not None:
                self._form.setRowVisible(row, bool(one.about.when(values)))

    def values(self) -> dict[str, Any]:
        """The values in the fields."""
        return {name: _value(field) for name, field in self.fields.items()}

    def set_values(self, values: Mapping[str, Any]) -> None:
        """Fill in some fields; ``changed`` is emitted once, if any of them was another."""
        before = self.values()
        with QSignalBlocker(self):
            for name, value in values.items():
                _fill(self.fields[name], value)
        if self.values() != before:
            self.changed.emit()

    def named(self, role: Role) -> str | None:
        """The setting that means this on an image, if there is one."""
        return next((one.name for one in self._options if one.about.role == role), None)

    def asked_by(self, widget: Widget) -> tuple[str, ...]:
        """The settings that are asked for in this way."""
        return tuple(one.name for one in self._options if one.about.widget == widget)

    def stops(self) -> list[QWidget]:
        """What the tabulator key stops at, from top to bottom."""
        found = []
        for one in self.findChildren(QWidget):
            inner = isinstance(one.parent(), QAbstractSpinBox)
            if one.focusPolicy() & Qt.FocusPolicy.TabFocus and not inner:
                found.append(one)
        return found

    def text(self) -> str:
        """The class with these settings, as text; those that do not apply are left out."""
        assert self._kind is not None
        values = self.values()
        given = SimpleNamespace(**values)
        counting = {
            one.name: values[one.name]
            for one in self._options
            if one.about.when is None or one.about.when(given)
        }
        return write_options(self._kind.name, counting)

    @property
    def missing(self) -> Option | None:
        """The first required setting that is not given."""
        values = self.values()
        return next((one for one in self._options if one.required and not values[one.name]), None)

    def _changed(self) -> None:
        self.hide_meaningless()
        self.changed.emit()

    def _make(self, one: Option, value: Any) -> QWidget:
        about = one.about
        if one.choices:
            choice = ChoiceBox()
            choice.addItems([str(each) for each in one.choices])
            choice.setCurrentText(str(value))
            choice.currentIndexChanged.connect(self._changed)
            return choice
        if one.kind is bool:
            check = QCheckBox()
            check.setChecked(bool(value))
            check.toggled.connect(self._changed)
            return check
        low = -_MAX_NUMBER if about.low is None else about.low
        high = _MAX_NUMBER if about.high is None else about.high
        if one.kind is int:
            count = QSpinBox()
            count.setRange(int(low) + about.above, int(high))
            count.setSingleStep(int(about.step))
            count.setSuffix(f" {about.unit}" if about.unit else "")
            count.setValue(int(value))
            count.valueChanged.connect(self._changed)
            return count
        if one.kind is float:
            number = QDoubleSpinBox()
            number.setDecimals(about.decimals)
            number.setRange(low + 10**-about.decimals * about.above, high)
            number.setSingleStep(about.step)
            number.setSuffix(f" {about.unit}" if about.unit else "")
            number.setValue(float(value))
            number.valueChanged.connect(self._changed)
            return number
        line = QLineEdit(str(value))
        line.setPlaceholderText(tr(about.placeholder))
        line.textChanged.connect(self._changed)
        return line


def options_named(kind: type[Configured], names: Sequence[str]) -> tuple[Option, ...]:
    """Some settings of a class. Raises KeyError if it has none of that name."""
    known = {one.name: one for one in options_of(kind)}
    return tuple(known[name] for name in names)


def _value(field: QWidget) -> Any:
    if isinstance(field, ChoiceBox):
        return field.currentText()
    if isinstance(field, QCheckBox):
        return field.isChecked()
    if isinstance(field, QSpinBox):
        return field.value()
    if isinstance(field, QDoubleSpinBox):
        return round(field.value(), field.decimals())
    assert isinstance(field, QLineEdit)
    return field.text().strip()


def _fill(field: QWidget, value: Any) -> None:
    if isinstance(field, ChoiceBox):
        field.setCurrentText(str(value))
    elif isinstance(field, QCheckBox):
        field.setChecked(bool(value))
    elif isinstance(field, QSpinBox | QDoubleSpinBox):
        field.setValue(value)
    else:
        assert isinstance(field, QLineEdit)
        field.setText(str(value))
