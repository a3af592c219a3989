"""Everything the window can be asked to do, in one table that feeds menus, toolbar, palette."""

from __future__ import annotations

from dataclasses import dataclass

from PySide6.QtCore import QObject, Signal
from PySide6.QtGui import QAction, QKeySequence

from bdshift_gui.i18n import tr


@dataclass(frozen=True)
class Entry:
    """``menu`` is where it stands; ``text`` and ``tip`` are English, and keys of the catalogs."""

    key: str
    menu: str
    text: str
    tip: str
    shortcut: str = ""
    checkable: bool = False


FILE, NEURONS, PURIFY, VIEW, HELP = "File", "Neurons", "Purification", "View", "Help"
MENUS = (FILE, NEURONS, PURIFY, VIEW, HELP)

ENTRIES = (
    Entry("open_model", FILE, "Open model…", "Open a checkpoint; no code in it is run.", "Ctrl+O"),
    Entry("open_images", FILE, "Open images…", "Open a folder of class folders.", "Ctrl+I"),
    Entry("open_image_file", FILE, "Open images in a file…",
          "Open an archive, arrays or a table: zip, tar, npz, HDF5, CIFAR, MNIST, CSV, Parquet.",
          "Ctrl+Shift+I"),
    Entry("open_audit", FILE, "Open audit…", "Open an audit file (.h5).", "Ctrl+Shift+O"),
    Entry("scan", FILE, "Scan", "Find the shift to every class, and judge.", "F5"),
    Entry("save", FILE, "Save audit…", "Save everything found as one .h5 file.", "Ctrl+S"),
    Entry("demo", FILE, "Try the demo", "Audit a model that really is backdoored."),
    Entry("quit", FILE, "Quit", "Close the window.", "Ctrl+Q"),
    Entry("trigger", NEURONS, "Trigger…", "Measure TAC under a trigger you know.", "Ctrl+T"),
    Entry("select_half", NEURONS, "Select the neurons that hold half of the shift",
          "The fewest that do.", "Ctrl+H"),
    Entry("select_none", NEURONS, "Select no neuron", "Clear the selection.", "Ctrl+Shift+A"),
    Entry("undo", NEURONS, "Undo", "Undo the last change of the selection.", "Ctrl+Z"),
    Entry("redo", NEURONS, "Redo", "Redo it.", "Ctrl+Shift+Z"),
    Entry("next", NEURONS, "Next selected neuron", "Show it in the inspector.", "Ctrl+Right"),
    Entry("previous", NEURONS, "Previous selected neuron", "Show it in the inspector.",
          "Ctrl+Left"),
    Entry("next_class", NEURONS, "Next class", "Look at the shift to it.", "Ctrl+Down"),
    Entry("previous_class", NEURONS, "Previous class", "Look at the shift to it.", "Ctrl+Up"),
    Entry("purify", PURIFY, "Purify…", "Take the backdoor out of a copy of the model.", "Ctrl+P"),
    Entry("lab", FILE, "Train a victim…",
          "Poison your own images, train on them, audit the result: would you have caught it?",
          "Ctrl+L"),
    Entry("report", FILE, "Write a report…",
          "The audit as one page to read or print, with the selected purification.", "Ctrl+R"),
    Entry("show_run", PURIFY, "Rescan", "Show the purified model in all views.", "Ctrl+Shift+R"),
    Entry("show_original", PURIFY, "Back to the original", "Show the original in all views."),
    Entry("compare_run", PURIFY, "Compare", "The purified model beside the original.", "Ctrl+D"),
    Entry("close_compare", PURIFY, "Back to the audit", "Leave the comparison."),
    Entry("export_run", PURIFY, "Export the model…",
          "Write the selected purified model, verified, in the form it came in or another.",
          "Ctrl+E"),
    Entry("export_table", PURIFY, "Export the table…",
          "The original and all purifications as CSV or JSON."),
    Entry("export_neurons", NEURONS, "Export the selection…",
          "The selected neurons as CSV or JSON."),
    Entry("palette", VIEW, "Find an action…", "Search everything the window can do.",
          "Ctrl+Shift+P"),
    Entry("light", VIEW, "Light", "Light colors.", checkable=True),
    Entry("dark", VIEW, "Dark", "Dark colors.", checkable=True),
    Entry("system", VIEW, "As the desktop", "Colors as the desktop has them.", checkable=True),
    Entry("en", VIEW, "English", "Language of the window.", checkable=True),
    Entry("ja", VIEW, "日本語", "Language of the window.", checkable=True),
    Entry("reset_layout", VIEW, "Reset the layout", "Put all panels back."),
    Entry("cancel", VIEW, "Cancel", "Stop what is running.", "Esc"),
    Entry("shortcuts", HELP, "Shortcuts", "All shortcuts on one page.", "F1"),
    Entry("about", HELP, "About bdshift", "Version and license."),
)  # fmt: skip


class Actions(QObject):
    """The table as QActions; ``asked`` carries the key of the one that was triggered."""

    asked = Signal(str)

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self._actions: dict[str, QAction] = {}
        for entry in ENTRIES:
            action = QAction(self)
            action.setObjectName(entry.key)
            action.setCheckable(entry.checkable)
            if entry.shortcut:
                action.setShortcut(QKeySequence(entry.shortcut))
            action.triggered.connect(self._triggered)
            self._actions[entry.key] = action
        self.retranslate()

    def __getitem__(self, key: str) -> QAction:
        return self._actions[key]

    def retranslate(self) -> None:
        """Take the texts of the window's language."""
        for entry in ENTRIES:
            action = self._actions[entry.key]
            action.setText(tr(entry.text))
            keys = action.shortcut().toString(QKeySequence.SequenceFormat.NativeText)
            action.setToolTip(tr(entry.tip) + (f"  ({keys})" if keys else ""))

    def _triggered(self) -> None:
        self.asked.emit(self.sender().objectName())
