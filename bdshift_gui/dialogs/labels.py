"""Which class folder is which of the network's classes."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import (
    QHBoxLayout,
    QHeaderView,
    QPushButton,
    QTableWidget,
    QTableWidgetItem,
)

from bdshift_gui.context import Context
from bdshift_gui.dialogs.question import QuestionDialog
from bdshift_gui.i18n import say, tr
from bdshift_gui.jobs.events import sentence_of
from bdshift_gui.numbers import grouped, percent
from bdshift_gui.plain import lines, set_tip
from bdshift_gui.session import State
from bdshift_gui.widgets.card import Text


class LabelsDialog(QuestionDialog):
    """``chosen`` carries `ScanSettings.labels`: the class index of each folder's name."""

    chosen = Signal(object)

    def __init__(self, context: Context) -> None:
        super().__init__(tr("Classes"), 520, 520, context.ask.parent)
        self._context, state = context, context.state
        self._classes, self._folders, start = _known(state)
        column = self.column
        lead = Text("muted")
        lead.show_text(
            tr("For each folder, enter the network's class, 0 to {last}.",
               last=self._classes - 1)
        )  # fmt: skip
        column.addWidget(lead)
        self.table = QTableWidget(len(self._folders), 3)
        self.table.setHorizontalHeaderLabels([tr("folder"), tr("images"), tr("class")])
        self.table.verticalHeader().hide()
        self.table.setShowGrid(False)
        self.table.horizontalHeader().setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        self._cells: list[QTableWidgetItem] = []
        self._fill(start)
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
        proposal = state.audit.proposal if state.audit is not None else None
        if proposal is not None:
            share = percent(proposal.accuracy)
            self.proposed = QPushButton(tr("Best-fitting order ({share} correct)", share=share))
            set_tip(self.proposed, tr("Share of the predictions that are correct in that order."))
            self.proposed.clicked.connect(lambda: self._set(proposal.of_folder))
            ways.addWidget(self.proposed)
        ways.addStretch(1)
        column.addLayout(ways)
        self.use = self.add_buttons(tr("Use these classes"))
        self.table.itemChanged.connect(self._check)
        self.finished.connect(lambda _: context.quick.forget(self))
        self._check()

    def _fill(self, start: dict[str, int]) -> None:
        for y, (name, count) in enumerate(self._folders):
            for x, text in enumerate((name, grouped(count), str(start.get(name, y)))):
                item = QTableWidgetItem(lines(text))
                if x:
                    side = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
                    item.setTextAlignment(side)
                if x < 2:
                    item.setFlags(item.flags() & ~Qt.ItemFlag.ItemIsEditable)
                self.table.setItem(y, x, item)
            self._cells.append(item)

    def _set(self, order: dict[str, int]) -> None:
        for y, (name, _) in enumerate(self._folders):
            self._cells[y].setText(str(order.get(name, "")))

    def _sort(self) -> None:
        self._set({name: i for i, (name, _) in enumerate(sorted(self._folders))})

    def _ask_file(self) -> None:
        path = self._context.ask.file(tr("Class-name file"))
        if path is not None:
            self.read(path)

    def read(self, path: Path) -> None:
        """Use the order in a class-name file, or say what is wrong with it."""
        names, classes = [name for name, _ in self._folders], self._classes

        def look() -> dict[str, int]:
            from bdshift.images.labels import map_classes

            return dict(zip(names, map_classes(names, classes, path).of_folder, strict=True))

        def failed(error: Exception) -> None:
            self._error.show_text(say(sentence_of(error)))

        self._context.quick.ask(self, look, self._set, failed)

    def order(self) -> dict[str, int] | None:
        """The order in the table; None if it does not give every folder its own class."""
        found = {}
        for y, (name, _) in enumerate(self._folders):
            text = self._cells[y].text().strip()
            if not text.isdecimal() or int(text[:9]) >= self._classes:
                return None
            found[name] = int(text[:9])
        return found if len(set(found.values())) == len(found) else None

    def _check(self) -> None:
        fine = self.order() is not None
        self.use.setEnabled(fine)
        self._error.show_text(
            "" if fine
            else tr("Every folder needs its own class, from 0 to {last}.",
                    last=self._classes - 1)
        )  # fmt: skip

    def answer(self) -> None:
        self.chosen.emit(self.order())


def _known(state: State) -> tuple[int, list[tuple[str, int]], dict[str, int]]:
    """Number of classes, the folders with their counts, and their current order."""
    given = state.corrections.labels
    order = dict(given) if given is not None else {}
    if state.audit is not None:
        images = state.audit.images
        there = [(n, c) for n, c in zip(images.class_names, images.counts, strict=True) if c]
        return len(images.counts), there, {n: images.class_names.index(n) for n, _ in there} | order
    assert state.images is not None
    assert state.model is not None
    folders = list(zip(state.images.collection.folders, state.images.counts, strict=True))
    # A CLIP model has as many classes as there are names.
    return state.model.opened.classes or len(folders), folders, order
