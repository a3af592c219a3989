"""Which class folder is which of the network's classes."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import (
    QFileDialog,
    QHBoxLayout,
    QHeaderView,
    QPushButton,
    QTableWidget,
    QTableWidgetItem,
    QWidget,
)

from bdshift_gui.dialogs.asking import Asking
from bdshift_gui.i18n import tr
from bdshift_gui.numbers import grouped, percent
from bdshift_gui.session import State
from bdshift_gui.widgets.card import Text


class LabelsDialog(Asking):
    """``chosen`` carries `ScanSettings.labels`: the class index of each folder's name."""

    chosen = Signal(object)

    def __init__(self, state: State, parent: QWidget) -> None:
        super().__init__(tr("Classes"), 520, 520, parent)
        self._classes, self._folders, start = _known(state)
        column = self.column
        lead = Text("muted")
        lead.show_text(
            tr("Which of the network's classes, 0 to {last}, the images of each folder belong to.",
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
        self.sorted = QPushButton(tr("Sorted order"))
        self.sorted.clicked.connect(self._sort)
        ways.addWidget(self.file)
        ways.addWidget(self.sorted)
        proposal = state.audit.proposal if state.audit is not None else None
        if proposal is not None:
            share = percent(proposal.accuracy)
            self.proposed = QPushButton(tr("The order that explains {share}", share=share))
            self.proposed.setToolTip(tr("Share of the predictions that are right in that order."))
            self.proposed.clicked.connect(lambda: self._set(proposal.of_folder))
            ways.addWidget(self.proposed)
        ways.addStretch(1)
        column.addLayout(ways)
        self.use = self.add_buttons(tr("Use them"))
        self.table.itemChanged.connect(self._check)
        self._check()

    def _fill(self, start: dict[str, int]) -> None:
        for y, (name, count) in enumerate(self._folders):
            for x, text in enumerate((name, grouped(count), str(start.get(name, y)))):
                item = QTableWidgetItem(text)
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
        path, _ = QFileDialog.getOpenFileName(self, tr("Class-name file"))
        if path:
            self.read(Path(path))

    def read(self, path: Path) -> None:
        """Take the order of a class-name file, or say what is wrong with it."""
        from bdshift.errors import BdshiftError
        from bdshift.images.labels import map_classes

        names = [name for name, _ in self._folders]
        try:
            found = map_classes(names, self._classes, path)
        except BdshiftError as error:
            self._error.show_text(str(error))
            return
        self._set(dict(zip(names, found.of_folder, strict=True)))

    def order(self) -> dict[str, int] | None:
        """What the table says; None if it does not give every folder a class of its own."""
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
            else tr("Every folder needs a class of its own, from 0 to {last}.",
                    last=self._classes - 1)
        )  # fmt: skip

    def answer(self) -> None:
        self.chosen.emit(self.order())


def _known(state: State) -> tuple[int, list[tuple[str, int]], dict[str, int]]:
    """Number of classes, the folders with their counts, and the order they have now."""
    given = state.corrections.get("labels")
    order = dict(given) if given is not None else {}
    if state.audit is not None:
        images = state.audit.images
        there = [(n, c) for n, c in zip(images.class_names, images.counts, strict=True) if c]
        return len(images.counts), there, {n: images.class_names.index(n) for n, _ in there} | order
    assert state.images is not None
    assert state.model is not None
    return int(state.model["classes"]), list(state.images.counts), order
