"""Questions to the user: files, folders, yes or no. Tests replace them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, TypeVar

from PySide6.QtGui import QColor
from PySide6.QtWidgets import (
    QColorDialog,
    QDialog,
    QFileDialog,
    QInputDialog,
    QMessageBox,
    QWidget,
)

from bdshift_gui.i18n import tr
from bdshift_gui.plain import message_box

Answer = Literal["save", "discard", "stay"]
_Way = TypeVar("_Way", bound=str)


class Ask:
    """Asks in dialogs whose parent is ``parent``."""

    def __init__(self, parent: QWidget) -> None:
        self.parent = parent

    def show(self, dialog: QDialog) -> None:
        """Open one of our dialogs without blocking; it emits its answer itself."""
        dialog.open()

    def file(self, title: str, filters: str = "") -> Path | None:
        """Ask for an existing file; None if the user cancels."""
        path, _ = QFileDialog.getOpenFileName(self.parent, title, "", filters)
        return Path(path) if path else None

    def folder(self, title: str, beside: Path | None = None) -> Path | None:
        """Ask for a folder, first where ``beside`` is; None if the user cancels."""
        start = "" if beside is None else str(beside.parent)
        path = QFileDialog.getExistingDirectory(self.parent, title, start)
        return Path(path) if path else None

    def color(self, title: str, start: QColor) -> QColor | None:
        """Ask for a color; None if the user cancels. Qt's own dialog, which speaks our language."""
        option = QColorDialog.ColorDialogOption.DontUseNativeDialog
        found = QColorDialog.getColor(start, self.parent, title, option)
        return found if found.isValid() else None

    def where(self, title: str, name: str, suffixes: Sequence[str]) -> Path | None:
        """Ask where to save, with one of ``suffixes``, the first by default; confirms before it
        returns an existing file. None if the user cancels.
        """
        filters = [f"{suffix[1:].upper()} (*{suffix})" for suffix in suffixes]
        dialog = QFileDialog(self.parent, title, name, ";;".join(filters))
        dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)

        def suffix() -> str:
            return suffixes[filters.index(dialog.selectedNameFilter())]

        dialog.filterSelected.connect(lambda _: dialog.setDefaultSuffix(suffix()))
        dialog.setDefaultSuffix(suffixes[0])
        chosen = dialog.selectedFiles() if dialog.exec() else []
        dialog.deleteLater()
        if not chosen:
            return None
        path = Path(chosen[0])
        if path.suffix.lower() in suffixes:
            return path
        path = path.with_name(path.name + suffix())  # the dialog did not ask about this one
        question = tr("{name} exists. Replace it?", name=path.name)
        return path if not os.path.lexists(path) or self.confirm(question) else None

    def choice(self, title: str, label: str, choices: Sequence[str]) -> int | None:
        """Ask for one of ``choices`` and return its index; None if the user cancels."""
        text, fine = QInputDialog.getItem(self.parent, title, label, list(choices), 0, False)
        return list(choices).index(text) if fine else None

    def confirm(self, question: str) -> bool:
        """Ask a yes-or-no question."""
        button = QMessageBox.StandardButton
        return message_box(self.parent, question, button.Yes | button.No) == button.Yes

    def save_first(self, question: str) -> Answer:
        """Ask what to do with unsaved work."""
        return self._or_discard(question, QMessageBox.StandardButton.Save, "save")

    def discard(self, question: str) -> bool:
        """Ask whether unsaved work may be lost."""
        button = QMessageBox.StandardButton
        ways = button.Discard | button.Cancel
        return message_box(self.parent, question, ways, button.Cancel) == button.Discard

    def restore(self, question: str) -> Literal["open", "discard", "stay"]:
        """Ask what to do with work that an earlier run has left."""
        return self._or_discard(question, QMessageBox.StandardButton.Open, "open")

    def _or_discard(
        self, question: str, way: QMessageBox.StandardButton, answer: _Way
    ) -> _Way | Literal["discard", "stay"]:
        """Offer ``way``, the default, which returns ``answer``; to discard; and to stay."""
        button = QMessageBox.StandardButton
        ways = way | button.Discard | button.Cancel
        pressed = message_box(self.parent, question, ways, way)
        if pressed == way:
            return answer
        return "discard" if pressed == button.Discard else "stay"

    def tell(self, text: str) -> None:
        """Say why something cannot be done."""
        message_box(
            self.parent, text, QMessageBox.StandardButton.Ok, icon=QMessageBox.Icon.Information
        )

    def about(self, text: str) -> None:
        """Show the About box."""
        message_box(self.parent, text, QMessageBox.StandardButton.Ok, icon=QMessageBox.Icon.NoIcon)
