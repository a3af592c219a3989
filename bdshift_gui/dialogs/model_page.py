"""Everything that a checkpoint says of itself, for a person to check."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QDialog, QPushButton, QVBoxLayout, QWidget

from bdshift_gui.i18n import tr
from bdshift_gui.numbers import grouped
from bdshift_gui.widgets.card import Rows, Text
from bdshift_gui.widgets.tables import Cell, SmallTable

_FEW = 3  # names in a row, before the rest goes into its tooltip
_MOST_LAYERS = 2000


class ModelPage(QDialog):
    """What was recognized and how, what was ignored, what the pickle names, and every layer;
    ``other_asked`` to open another model of the same file.
    """

    other_asked = Signal()

    def __init__(self, told: Mapping[str, Any], parent: QWidget) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle(tr("What the checkpoint holds"))
        self.resize(760, 600)
        column = QVBoxLayout(self)
        self.rows = Rows()
        self.rows.show_rows(_rows(told))
        column.addWidget(self.rows)
        for text in _notes(told):
            note = Text("muted")
            note.show_text(text)
            column.addWidget(note)
        self.table = SmallTable()
        heads = [tr("layer"), tr("kind"), tr("shape"), tr("numbers")]
        self.table.show_rows(heads, [_layer(row) for row in told["layers"][:_MOST_LAYERS]])
        column.addWidget(self.table, 1)
        if told["other_models"]:
            other = QPushButton(tr("Open another model of this file…"))
            other.clicked.connect(self._other)
            column.addWidget(other)

    def _other(self) -> None:
        self.other_asked.emit()
        self.accept()


def _notes(told: Mapping[str, Any]) -> list[str]:
    """What of the file is code, and became of it."""
    found = []
    if told["foreign_names"]:
        found.append(
            tr("torch.load would import and run the code that it names. bdshift read it as "
               "data: none of it was run.")
        )  # fmt: skip
    if told["has_program"]:
        found.append(
            tr("The file holds a program, which was neither looked at nor run. Exported as it "
               "came, it keeps that.")
        )  # fmt: skip
    return found


def _rows(told: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    where = " → ".join(told["wrapper"]) or tr("the file itself")
    if told["prefix"]:
        where += f", {told['prefix']}…"
    dtypes = ", ".join(f"{count} {name}" for name, count in told["dtypes"].items())
    fitting = told["architectures"]
    rows = [
        (tr("File"), f"{grouped(told['bytes'])} B, {told['format']}", told["path"]),
        ("SHA-256", told["sha256"], told["sha256"]),
        (tr("Weights"), where, tr("Where the state dict lies in the file.")),
        (tr("Saved class"), told["saved_class"], tr("A whole module was saved, not its weights.")),
        (tr("Tensors"),
         tr("{count} with {numbers} numbers", count=told["tensors"],
            numbers=grouped(told["numbers"])), dtypes),
        _some(tr("Beside it"), told["beside"]),
        _some(tr("Other models"), told["other_models"]),
        _some(tr("Names code"), told["foreign_names"]),
        _some(tr("Architecture"), fitting[:1]),
        (tr("Recognized by"), told.get("recognized_by", ""), ""),
        _some(tr("What else fits"), fitting[1:]),
        _some(tr("Ignored"), told["ignored"]),
        _some(tr("Folded"), [f"{count} × {way}" for way, count in told["folded"].items()]),
        _some(tr("Class names"), told.get("class_names", [])),
    ]  # fmt: skip
    return [row for row in rows if row[1]]


def _some(label: str, names: list[str]) -> tuple[str, str, str]:
    more = tr(" and {count} more", count=len(names) - _FEW) if len(names) > _FEW else ""
    return label, ", ".join(names[:_FEW]) + more, "\n".join(names[:60])


def _layer(row: Mapping[str, Any]) -> list[Cell]:
    shape = " × ".join(map(str, row["shape"]))
    return [
        Cell(row["path"] or "–"),
        Cell(row["kind"]),
        Cell(shape),
        Cell(grouped(row["numbers"]), float(row["numbers"])),
    ]
