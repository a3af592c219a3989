"""Finds a class by its name, where there are too many to write all of them under the plot."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QStringListModel, Qt, Signal
from PySide6.QtWidgets import QCompleter

from bdshift_gui.i18n import tr
from bdshift_gui.plain import lines
from bdshift_gui.widgets.clearable_field import ClearableField

_WIDTH = 150  # pixels


class ClassSearch(ClearableField):
    """``found`` carries the index of the class whose name was chosen, or typed in part."""

    found = Signal(int)

    def __init__(self) -> None:
        super().__init__()
        self._names: list[str] = []
        self._model = QStringListModel()
        completer = QCompleter(self._model, self)
        completer.setFilterMode(Qt.MatchFlag.MatchContains)
        completer.setCaseSensitivity(Qt.CaseSensitivity.CaseInsensitive)
        completer.activated.connect(self._find)
        self.setCompleter(completer)
        self.setMaximumWidth(_WIDTH)
        self.returnPressed.connect(lambda: self._find(self.text()))

    def show_names(self, names: Sequence[str]) -> None:
        """Search among these."""
        self.setPlaceholderText(tr("Find a class"))
        self.setAccessibleName(tr("Find a class"))
        shown = [lines(name) for name in names]
        if shown != self._names:
            self._names = shown
            self._model.setStringList(shown)

    def _find(self, text: str) -> None:
        """The class of that name, else the first whose name has it in it."""
        wanted = text.casefold()
        alike = [i for i, name in enumerate(self._names) if wanted and wanted in name.casefold()]
        exact = [i for i in alike if self._names[i].casefold() == wanted]
        for index in (exact or alike)[:1]:
            self.found.emit(index)
