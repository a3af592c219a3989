"""Where to save: asks once, appends the suffix, never overwrites unasked."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtWidgets import QFileDialog, QWidget


def ask_where(parent: QWidget, title: str, name: str, suffixes: tuple[str, ...]) -> Path | None:
    """A path with one of ``suffixes``, the first by default; None if the user gives up."""
    filters = ";;".join(f"{suffix[1:].upper()} (*{suffix})" for suffix in suffixes)
    dialog = QFileDialog(parent, title, name, filters)
    dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)

    def suffix() -> str:
        return suffixes[filters.split(";;").index(dialog.selectedNameFilter())]

    dialog.filterSelected.connect(lambda _: dialog.setDefaultSuffix(suffix()))
    dialog.setDefaultSuffix(suffixes[0])
    if not dialog.exec():
        return None
    path = Path(dialog.selectedFiles()[0])
    return path if path.suffix.lower() in suffixes else path.with_name(path.name + suffix())
