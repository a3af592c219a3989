"""Which class folder is which of the network's classes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PySide6.QtCore import Signal
from PySide6.QtWidgets import QHBoxLayout, QPushButton

from bdshift.images.labels import LEFT_OUT
from bdshift.text import grouped
from bdshift_gui.context import Context
from bdshift_gui.dialogs.question import QuestionDialog
from bdshift_gui.i18n import say, tr
from bdshift_gui.jobs.events import sentence_of
from bdshift_gui.numbers import percent
from bdshift_gui.plain import set_tip
from bdshift_gui.tasks.labeling import FolderClasses
from bdshift_gui.widgets.card import Text
from bdshift_gui.widgets.table_rows import Column
from bdshift_gui.widgets.tables import DataTable


class LabelsDialog(QuestionDialog):
    """``chosen`` carries `ScanSettings.labels`: the class index of each folder's name, and of the
    classes' own names, if they are known.
    """

    chosen = Signal(object)

    def __init__(self, context: Context, known: FolderClasses) -> None:
        super().__init__(tr("Classes"), 560, 520, context.ask.parent)
        self._context, self._known = context, known
        self._folders = [name for name, _ in known.folders]
        self._texts = ["" for _ in self._folders]
        column = self.column
        lead = Text("muted")
        lead.show_text(
            tr("For each folder, enter the network's class, 0 to {last}. A folder without one is "
               "left out.",
               last=known.classes - 1)
        )  # fmt: skip
        column.addWidget(lead)
        self.table = DataTable("folders", context.settings)
        column.addWidget(self.table)
        self._error = Text("danger")
        column.addWidget(self._error)
        ways = QHBoxLayout()
        self.file = QPushButton(tr("Class-name file…"))
        self.file.clicked.connect(self._ask_file)
        self.sorted = QPushButton(tr("Sort by name"))
        self.sorted.clicked.connect(self._sort)
        ways.addWidget(self.file)
        ways.addWidget(self.sorted)
        audit = context.state.audit
        proposal = None if audit is None else audit.proposal
        if proposal is not None:
            share = percent(proposal.accuracy)
            self.proposed = QPushButton(tr("Best-fitting order ({share} correct)", share=share))
            set_tip(self.proposed, tr("Share of the predictions that are correct in that order."))
            self.proposed.clicked.connect(lambda: self._set(proposal.of_folder))
            ways.addWidget(self.proposed)
        ways.addStretch(1)
        column.addLayout(ways)
        self.use = self.add_buttons(tr("Use these classes"))
        self.finished.connect(lambda _: context.quick.forget(self))
        self._set(known.order)

    def _set(self, order: Mapping[str, int]) -> None:
        given = [order.get(name, LEFT_OUT) for name in self._folders]
        self._texts = ["" if index == LEFT_OUT else str(index) for index in given]
        counts = np.array([count for _, count in self._known.folders], np.int64)
        columns = [
            Column("folder", tr("folder"), texts=self._folders),
            Column("images", tr("images"), counts, form=lambda value: grouped(int(value))),
            Column("class", tr("class"), texts=self._texts, edit=self.give),
        ]
        if self._known.names:
            columns.append(Column("name", tr("class name"), texts=self._texts, named=self._named))
        self.table.show_columns(columns)
        self._check()

    def _named(self, text: str) -> str:
        """What the class with a number is called."""
        index = int(text[:9]) if text.strip().isdecimal() else LEFT_OUT
        return self._known.names[index] if 0 <= index < len(self._known.names) else "–"

    def give(self, row: int, text: str) -> None:
        """Give a folder a class, by its number; none for ""."""
        self._texts[row] = text.strip()
        self._check()

    def _sort(self) -> None:
        """The first folders, in sorted order, are the classes; those for which none is left are
        left out.
        """
        last = self._known.classes
        self._set({name: i for i, name in enumerate(sorted(self._folders)) if i < last})

    def _ask_file(self) -> None:
        path = self._context.ask.file(tr("Class-name file"))
        if path is not None:
            self.read(path)

    def read(self, path: Path) -> None:
        """Use the order in a class-name file, or say what is wrong with it."""
        names, classes = self._folders, self._known.classes

        def look() -> dict[str, int]:
            from bdshift.images.labels import map_classes

            return dict(zip(names, map_classes(names, classes, path).of_folder, strict=True))

        def failed(error: Exception) -> None:
            self._error.show_text(say(sentence_of(error)))

        self._context.quick.ask(self, look, self._set, failed)

    def order(self) -> dict[str, int] | None:
        """The order in the table; None if two folders have one class, or only one has any."""
        found = {}
        for name, text in zip(self._folders, self._texts, strict=True):
            if text and (not text.isdecimal() or int(text[:9]) >= self._known.classes):
                return None
            found[name] = int(text[:9]) if text else LEFT_OUT
        used = [index for index in found.values() if index != LEFT_OUT]
        return found if len(set(used)) == len(used) > 1 else None

    def _check(self) -> None:
        fine = self.order() is not None
        self.use.setEnabled(fine)
        self._error.show_text(
            "" if fine
            else tr("Every folder needs its own class, from 0 to {last}, or none; at least two "
                    "need one.",
                    last=self._known.classes - 1)
        )  # fmt: skip

    def answer(self) -> None:
        own = {name: i for i, name in enumerate(self._known.names) if name not in self._folders}
        self.chosen.emit({**own, **(self.order() or {})})
