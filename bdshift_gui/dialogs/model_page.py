"""Everything that a checkpoint says about itself, for the user to check."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QDialog, QPushButton, QVBoxLayout

from bdshift.text import grouped
from bdshift_gui.context import Context
from bdshift_gui.i18n import say, tr
from bdshift_gui.widgets.card import KeyValueRows, Text
from bdshift_gui.widgets.table_rows import Column
from bdshift_gui.widgets.tables import DataTable

if TYPE_CHECKING:
    from bdshift.checkpoints.describe import Description, LayerRow

_MAX_NAMES = 3  # in a row, before the rest goes into its tooltip
_MAX_IN_TOOLTIP = 60
_MAX_LAYERS = 2000


class ModelPage(QDialog):
    """What was recognized and how, what was ignored, what the pickle names, and every layer;
    ``other_asked`` asks for another model from the same file.
    """

    other_asked = Signal()

    def __init__(self, about: Description, context: Context) -> None:
        super().__init__(context.ask.parent)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle(tr("Checkpoint details"))
        self.resize(760, 600)
        column = QVBoxLayout(self)
        self.rows = KeyValueRows()
        self.rows.show_rows(_rows(about))
        column.addWidget(self.rows)
        for text in _notes(about):
            note = Text("muted")
            note.show_text(text)
            column.addWidget(note)
        self.table = DataTable("layers", context.settings)
        self.table.show_columns(_columns(about.layers[:_MAX_LAYERS]))
        column.addWidget(self.table, 1)
        if about.other_models:
            other = QPushButton(tr("Open another model from this file…"))
            other.clicked.connect(self._other)
            column.addWidget(other)

    def _other(self) -> None:
        self.other_asked.emit()
        self.accept()


def _notes(about: Description) -> list[str]:
    """What code the file holds, and that it was not run."""
    found = []
    if about.foreign_names:
        found.append(
            tr("torch.load would import and run the code that this file references. bdshift read "
               "the file as data; none of that code was run.")
        )  # fmt: skip
    if about.has_program:
        found.append(
            tr("The file contains a program, which was neither examined nor run. Exporting in "
               "the original format keeps it.")
        )  # fmt: skip
    return found


def _rows(about: Description) -> list[tuple[str, str, str]]:
    where = " → ".join(about.wrapper) or tr("the file itself")
    if about.prefix:
        where += f", {about.prefix}…"
    dtypes = ", ".join(f"{grouped(count)} {name}" for name, count in about.dtypes.items())
    known = about.recognized
    fitting = () if known is None else known.architectures
    rows = [
        (tr("File"), f"{grouped(about.size)} B, {about.container}", about.path),
        ("SHA-256", about.sha256, about.sha256),
        (tr("Weights"), where, tr("Where the state dict is in the file.")),
        (tr("Saved class"), about.saved_class, tr("A whole module was saved, not its weights.")),
        (tr("Tensors"),
         tr("{count} with {numbers} values", count=about.tensors,
            numbers=grouped(about.numbers)), dtypes),
        _some(tr("Also in the file"), about.beside),
        _some(tr("Other models"), about.other_models),
        _some(tr("References code"), about.foreign_names),
        _some(tr("Architecture"), fitting[:1]),
        (tr("Recognized by"), "" if known is None else say(known.how), ""),
        _some(tr("Also fits"), fitting[1:]),
        _some(tr("Ignored"), () if known is None else known.ignored),
        _some(tr("Folded"), [f"{count} × {way}" for way, count in about.folded.items()]),
        _some(tr("Class names"), () if known is None else known.class_names),
    ]  # fmt: skip
    return [row for row in rows if row[1]]


def _some(label: str, names: Sequence[str]) -> tuple[str, str, str]:
    rest = len(names) - _MAX_NAMES
    more = tr(" and {count} more", count=rest) if rest > 0 else ""
    return label, ", ".join(names[:_MAX_NAMES]) + more, "\n".join(names[:_MAX_IN_TOOLTIP])


def _columns(layers: Sequence[LayerRow]) -> list[Column]:
    return [
        Column("layer", tr("layer"), texts=[row.path or "–" for row in layers]),
        Column("kind", tr("kind"), texts=[tr(row.kind) for row in layers]),
        Column("shape", tr("shape"), texts=[" × ".join(map(str, row.shape)) for row in layers]),
        Column("parameters", tr("parameters"), np.array([row.numbers for row in layers], np.int64),
               form=lambda value: grouped(int(value))),
    ]  # fmt: skip
