"""Rows of a form: a label, a field, and what both are about."""

from __future__ import annotations

from PySide6.QtWidgets import QFormLayout, QWidget

from bdshift_gui.plain import set_tip


def add_row(
    form: QFormLayout, label: str, field: QWidget, tip: str, shown: QWidget | None = None
) -> QWidget:
    """Add a ``field`` below the others, or what it is ``shown`` in, with a ``tip`` on it and on its
    label, and with both for a screen reader. Returns the label.
    """
    row = field if shown is None else shown
    form.addRow(label, row)
    beside = form.labelForField(row)
    for one in (field, beside):
        set_tip(one, tip)
    field.setAccessibleName(label)
    field.setAccessibleDescription(tip)
    return beside
