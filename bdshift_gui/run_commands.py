"""What is asked of purifications: one method an action of the table, named by its key."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Slot
from PySide6.QtWidgets import QInputDialog, QMessageBox

from bdshift_gui.dialogs.save import ask_where
from bdshift_gui.i18n import language, tr

if TYPE_CHECKING:
    from bdshift.audit.unfinished import Asked
    from bdshift_gui.main_window import MainWindow


class RunCommands(QObject):
    """The part of `bdshift_gui.commands.Commands` that comes after a verdict."""

    def __init__(self, window: MainWindow) -> None:
        super().__init__(window)
        self._window = window
        self._session, self._selection = window.session, window.selection
        self._auditor = window.auditor

    def purify(self) -> None:
        """Ask how, and purify."""
        from bdshift.audit.unfinished import Unfinished
        from bdshift_gui.dialogs.purify import PurifyDialog

        state = self._session.state
        assert state.original is not None
        before = Unfinished().find(state.original, self._window.cleaner.states)
        dialog = PurifyDialog(state, self._selection.now, before, self._window)
        dialog.chosen.connect(self._purify)
        dialog.open()

    @Slot(object)
    def _purify(self, asked: tuple[Asked, ...]) -> None:
        if self._window.jobs.busy:
            return
        self._window.error.hide()
        assert self._window.work is not None
        self._window.work.docks["runs"].show()
        self._window.work.docks["runs"].raise_()
        self._window.cleaner.purify(asked)

    @property
    def _run(self) -> int:
        """The purification that is chosen, from 1; 0 if there is none."""
        return 0 if self._window.work is None else self._window.work.runs.chosen

    def show_run(self) -> None:
        """Show the chosen purified model, which was scanned again."""
        self._session.update(comparing=None)
        self._auditor.show_side(self._run)

    def show_original(self) -> None:
        """Show the original again."""
        self._session.update(comparing=None)
        self._auditor.show_side(0)

    def compare_run(self) -> None:
        """Put the chosen purified model beside the original."""
        self.compare_sides(0, self._run)

    @Slot(int, int)
    def compare_sides(self, first: int, second: int) -> None:
        """Put any two models beside each other."""
        self._session.update(comparing=(first, second))

    def close_compare(self) -> None:
        """Leave the comparison."""
        self._session.update(comparing=None)

    def export_run(self) -> None:
        """Write the chosen purified model."""
        state, number = self._session.state, self._run
        assert state.original is not None
        forms = {
            tr("As it came"): "as-it-came", tr("Plain state dict"): "state-dict",
            "safetensors": "safetensors", "TorchScript": "torchscript", "ONNX": "onnx",
        }  # fmt: skip
        suffixes = {"safetensors": ".safetensors", "torchscript": ".pt", "onnx": ".onnx"}
        text, fine = QInputDialog.getItem(
            self._window, tr("Export the model"), tr("Form"), list(forms), 0, False
        )
        if not fine:
            return
        form = forms[text]
        suffix = suffixes.get(form, Path(state.original.model.path).suffix or ".pth")
        path = ask_where(self._window, tr("Export the model"), f"cleaned{suffix}", (suffix,))
        if path is not None and self._may_overwrite(path.with_name(path.name + ".json")):
            self._window.cleaner.export_run(number, path, form)

    def export_table(self) -> None:
        """Write the table of all models."""
        title = tr("Export the table")
        path = ask_where(self._window, title, "purifications.csv", (".csv", ".json"))
        if path is not None:
            self._window.cleaner.export_table(path)

    def report(self) -> None:
        """Write the audit as a page."""
        path = ask_where(self._window, tr("Write a report"), "audit.html", (".html",))
        if path is not None:
            self._window.cleaner.report(path, language(), self._run)

    def _may_overwrite(self, path: Path) -> bool:
        """Ask about a file that was not asked about where the path was chosen."""
        if not path.exists():
            return True
        choice = QMessageBox.StandardButton
        question = tr("{name} is there already. Replace it?", name=path.name)
        answer = QMessageBox.question(self._window, "bdshift", question, choice.Yes | choice.No)
        return answer == choice.Yes
