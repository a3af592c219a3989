"""Carries out what the action table lists: one method an action, named by its key."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import Qt, Slot
from PySide6.QtWidgets import QFileDialog, QMessageBox

from bdshift_gui.dialogs.save import ask_where
from bdshift_gui.i18n import tr
from bdshift_gui.run_commands import RunCommands
from bdshift_gui.selection import Mode
from bdshift_gui.session import State
from bdshift_gui.settings import Language, Scheme

if TYPE_CHECKING:
    from bdshift_gui.dialogs.lab import AskedVictim
    from bdshift_gui.main_window import MainWindow


_IMAGE_FILES = (
    "*.zip *.tar *.tar.gz *.tgz *.tar.bz2 *.tar.xz *.npz *.h5 *.hdf5 *.parquet *.csv *.tsv *.bin "
    "*-ubyte *.gz"
)
"""CIFAR's pickled batches have no suffix."""

_STARTING = (
    "open_model",
    "open_images",
    "open_image_file",
    "open_audit",
    "scan",
    "save",
    "demo",
    "lab",
    "purify",
    "export_run",
    "export_table",
    "report",
)
"""Actions that take the last error away."""


class Commands(RunCommands):
    """Asks where the user must say more, and passes on to the auditor and the selection. What is
    started takes the last error away.
    """

    def __init__(self, window: MainWindow, demo_folder: Path) -> None:
        super().__init__(window)
        self._demo_folder, self._undo = demo_folder, window.undo

    @Slot(str)
    def do(self, key: str) -> None:
        """Carry out an action of the table, unless it is off: a button elsewhere may ask for it
        while a job runs.
        """
        if not self._window.actions_[key].isEnabled():
            return
        if key in _STARTING:
            self._window.error.hide()
        getattr(self, key)()

    # File

    @Slot(object)
    def open(self, path: Path) -> None:
        """Open whatever is at ``path``, if nothing runs."""
        self.open_all([path])

    def open_all(self, paths: list[Path]) -> None:
        """Open one after the other, as each job ends, if nothing runs now."""
        if paths and not self._window.jobs.busy and self._may_replace():
            self._window.error.hide()
            self._open_next(paths)

    def _open_next(self, paths: list[Path]) -> None:
        self._auditor.open_path(paths[0])
        if len(paths) > 1:
            self._window.jobs.ended.connect(
                lambda _: self._open_next(paths[1:]), Qt.ConnectionType.SingleShotConnection
            )

    def open_model(self) -> None:
        """Ask for a checkpoint."""
        path, _ = QFileDialog.getOpenFileName(self._window, tr("Open model"))
        if path and self._may_replace():
            self._auditor.open_model(Path(path))

    def open_images(self) -> None:
        """Ask for a folder of images."""
        path = QFileDialog.getExistingDirectory(self._window, tr("Open images"))
        if path and self._may_replace():
            self._auditor.open_images(Path(path))

    def open_image_file(self) -> None:
        """Ask for images in one file: an archive, arrays, a table."""
        title = tr("Open images")
        filters = f"{tr('Image sets')} ({_IMAGE_FILES});;{tr('All files')} (*)"
        path, _ = QFileDialog.getOpenFileName(self._window, title, "", filters)
        if path and self._may_replace():
            self._auditor.open_images(Path(path))

    def open_audit(self) -> None:
        """Ask for an audit file."""
        title = tr("Open audit")
        path, _ = QFileDialog.getOpenFileName(self._window, title, "", "HDF5 (*.h5)")
        if path and self._may_replace():
            self._auditor.open_audit(Path(path))

    def scan(self) -> None:
        """Scan the open model."""
        if self._may_replace():
            self._window.error.hide()
            self._auditor.scan()

    @Slot(str)
    def scan_with(self, normalization: str) -> None:
        """Scan again with another normalization."""
        self._correct(normalize=normalization)

    @Slot()
    def scan_smaller(self) -> None:
        """Scan again with half the batch."""
        self._correct(batch=max(1, self._session.state.corrections.get("batch", 64) // 2))

    @Slot()
    def scan_on_cpu(self) -> None:
        """Scan again on the CPU."""
        self._correct(device="cpu")

    def _correct(self, **settings: Any) -> None:
        """Set something right, and scan with it if all is there for it."""
        if self._window.jobs.busy:
            return
        self._auditor.correct(**settings)
        if self.can_scan:
            self.scan()

    @property
    def can_scan(self) -> bool:
        """Whether a model and images are open, as such or by their audit."""
        return self._session.state.can_scan or self._session.state.audit is not None

    @Slot()
    def correct_model(self) -> None:
        """Ask which architecture it is."""
        from bdshift_gui.dialogs.architecture import ArchitectureDialog

        dialog = ArchitectureDialog(self._session.state, self._window)
        dialog.chosen.connect(lambda arch: self._correct(arch=arch))
        dialog.open()

    @Slot()
    def model_details(self) -> None:
        """Show everything that the checkpoint says of itself."""
        from bdshift_gui.dialogs.model_page import ModelPage

        told = self._session.state.model
        if told is not None:
            page = ModelPage(told, self._window)
            page.other_asked.connect(self.choose_model)
            page.open()

    @Slot()
    def choose_model(self) -> None:
        """Ask which of the models in the file is meant, and open that."""
        from bdshift_gui.dialogs.which_model import WhichModelDialog

        told = self._session.state.model
        names = self._window.error.choices or (told or {}).get("other_models", ())
        dialog = WhichModelDialog(names, self._window)
        dialog.chosen.connect(self._open_which)
        dialog.open()

    @Slot(str)
    def _open_which(self, weights: str) -> None:
        path = self._auditor.tried or self._session.state.model_path
        if path is not None and not self._window.jobs.busy and self._may_replace():
            self._window.error.hide()
            self._auditor.open_model(path, weights=weights)

    @Slot()
    def name_architecture(self) -> None:
        """Ask for the user's own network, for the model that was not recognized."""
        from bdshift_gui.dialogs.architecture import ArchitectureDialog

        dialog = ArchitectureDialog(State(), self._window)
        dialog.chosen.connect(self._open_as)
        dialog.open()

    @Slot(object)
    def _open_as(self, arch: str | None) -> None:
        if self._auditor.tried is not None and not self._window.jobs.busy:
            self._window.error.hide()
            self._auditor.open_model(self._auditor.tried, arch)

    @Slot()
    def correct_labels(self) -> None:
        """Ask which folder is which class."""
        from bdshift_gui.dialogs.labels import LabelsDialog

        dialog = LabelsDialog(self._session.state, self._window)
        dialog.chosen.connect(lambda labels: self._correct(labels=labels))
        dialog.open()

    def demo(self) -> None:
        """Audit the bundled victim."""
        if self._may_replace():
            self._window.error.hide()
            self._auditor.demo(self._demo_folder)

    def lab(self) -> None:
        """Ask for an attack; train a victim with it, and audit that."""
        from bdshift_gui.dialogs.lab import LabDialog, free_folder

        folder = free_folder(Path.home() / "bdshift-lab")
        dialog = LabDialog(self._session.state, folder, self._window)
        dialog.chosen.connect(self._try_attack)
        dialog.open()

    @Slot(object)
    def _try_attack(self, asked: AskedVictim) -> None:
        if not self._window.jobs.busy and self._may_replace():
            self._window.error.hide()
            self._auditor.try_attack(asked)

    def save(self) -> None:
        """Save the audit."""
        path = ask_where(self._window, tr("Save audit"), "audit.h5", (".h5",))
        if path is not None:
            self._auditor.save(path)

    def may_close(self) -> bool:
        """Ask what becomes of an audit that is not saved; False to stay."""
        return self._may_lose(tr("The audit is not saved. Save it before closing?"))

    def _may_replace(self) -> bool:
        """Ask what becomes of purifications that are not saved, as they took a while; False to
        stay. An audit without them is quickly made again.
        """
        if not self._session.state.runs or not self._window.isWindowModified():
            return True
        return self._may_lose(tr("The purifications are not saved. Save the audit first?"))

    def _may_lose(self, question: str) -> bool:
        choice = QMessageBox.StandardButton
        answer = QMessageBox.question(
            self._window, "bdshift", question, choice.Save | choice.Discard | choice.Cancel,
            choice.Save,
        )  # fmt: skip
        if answer == choice.Save:
            self.save()  # and the user asks again once it is written
        elif answer == choice.Discard:
            self._window.cleaner.settled()
        return answer == choice.Discard

    def quit(self) -> None:
        """Close the window."""
        self._window.close()

    # Neurons

    def trigger(self) -> None:
        """Ask for a trigger, and measure TAC."""
        from bdshift_gui.dialogs.trigger import TriggerDialog

        dialog = TriggerDialog(self._session.state, self._window)
        dialog.chosen.connect(self._auditor.measure_tac)
        dialog.open()

    @Slot(object, int)
    def look(self, neurons: tuple[int, ...], count: int) -> None:
        """Show where neurons look, if nothing runs."""
        if not self._window.jobs.busy:
            self._window.error.hide()
            self._auditor.look(neurons, count)

    def select_half(self) -> None:
        """Select the fewest neurons that hold half of the shift."""
        state, index = self._session.state, self._selection.now.class_index
        if state.shifts is not None and index is not None:
            from bdshift.neurons.rankings import half_of

            self._selection.select_neurons(half_of(state.shifts.shift[index]))

    def select_none(self) -> None:
        """Clear the selection."""
        self._selection.select_neurons([])

    @Slot(object, str, object)
    def select(self, neurons: frozenset[int], mode: Mode, primary: int | None) -> None:
        """Change the selection as a plot asks."""
        self._selection.select_neurons(neurons, mode, primary)

    @Slot(object, object)
    def select_rows(self, neurons: frozenset[int], primary: int | None) -> None:
        """Change the selection as the table asks."""
        self._selection.select_neurons(neurons, "replace", primary)

    def undo(self) -> None:
        """Undo the last change of the selection."""
        self._undo.undo()

    def redo(self) -> None:
        """Redo it."""
        self._undo.redo()

    def next(self) -> None:
        """Show the next selected neuron."""
        self.step(1)

    def previous(self) -> None:
        """Show the previous selected neuron."""
        self.step(-1)

    @Slot(int)
    def step(self, by: int) -> None:
        """Go round the selected neurons."""
        chosen, now = sorted(self._selection.now.neurons), self._selection.now.primary
        if now is not None:
            self._selection.show_neuron(chosen[(chosen.index(now) + by) % len(chosen)])

    def next_class(self) -> None:
        """Look at the shift of the next class."""
        self._step_class(1)

    def previous_class(self) -> None:
        """Look at the shift of the previous class."""
        self._step_class(-1)

    def _step_class(self, by: int) -> None:
        shifts, now = self._session.state.shifts, self._selection.now.class_index
        if shifts is not None and now is not None:
            self._selection.select_class((now + by) % len(shifts.l2))

    def export_neurons(self) -> None:
        """Write the selected neurons to a file."""
        from bdshift_gui.dialogs.export import write_selection

        title = tr("Export the selection")
        path = ask_where(self._window, title, "neurons.csv", (".csv", ".json"))
        if path is not None:
            write_selection(path, self._session.state, self._selection.now)

    # View and help

    def palette(self) -> None:
        """Search the actions."""
        from bdshift_gui.dialogs.palette import Palette

        Palette(self._window.actions_, self._window).open()

    def light(self) -> None:
        """Light colors."""
        self._color("light")

    def dark(self) -> None:
        """Dark colors."""
        self._color("dark")

    def system(self) -> None:
        """Colors as the desktop has them."""
        self._color("system")

    def _color(self, scheme: Scheme) -> None:
        self._window.settings.scheme = scheme
        self._window.restyle()

    def en(self) -> None:
        """English."""
        self._speak("en")

    def ja(self) -> None:
        """Japanese."""
        self._speak("ja")

    def _speak(self, language: Language) -> None:
        self._window.settings.language = language
        self._window.retranslate()

    def reset_layout(self) -> None:
        """Put all panels back."""
        self._window.reset_docks()

    def cancel(self) -> None:
        """Stop the job."""
        self._window.jobs.cancel()

    def shortcuts(self) -> None:
        """Show all shortcuts."""
        from bdshift_gui.dialogs.pages import shortcuts_page

        shortcuts_page(self._window.actions_, self._window).open()

    def ranking(self) -> None:
        """Show every preprocessing that was tried."""
        from bdshift_gui.dialogs.pages import RankingPage

        audit = self._session.state.audit
        if audit is not None:
            page = RankingPage(audit, self._window)
            page.chosen.connect(self.scan_with)
            page.open()

    def about(self) -> None:
        """Say version and license."""
        from bdshift import __version__

        text = f"bdshift {__version__}\n" + tr("MIT license")
        QMessageBox.about(self._window, "bdshift", text)
