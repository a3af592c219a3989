"""The first thing to see: where to drop a checkpoint and a folder, recent audits, the demo."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QFrame, QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from bdshift_gui.i18n import tr
from bdshift_gui.session import State
from bdshift_gui.widgets.card import Text, look

_RECENT = 4


class WelcomeView(QWidget):
    """``wanted`` carries the key of an action, ``recent_chosen`` the path of an audit."""

    wanted = Signal(str)
    recent_chosen = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        outer = QVBoxLayout(self)
        outer.addStretch(2)
        self._drop = QFrame()
        self._drop.setObjectName("drop")
        self._drop.setFixedWidth(600)
        inside = QVBoxLayout(self._drop)
        inside.setContentsMargins(40, 32, 40, 32)
        inside.setSpacing(12)
        self._heading, self._lead, self._progress = Text("heading"), Text("muted"), Text()
        inside.addWidget(self._heading)
        inside.addWidget(self._lead)
        inside.addWidget(self._progress)
        row = QHBoxLayout()
        row.setSpacing(8)
        self._buttons: dict[str, QPushButton] = {}
        for key in ("open_model", "open_images", "scan", "demo"):
            button = QPushButton()
            button.clicked.connect(lambda _=False, key=key: self.wanted.emit(key))
            self._buttons[key] = button
            row.addWidget(button)
        row.addStretch(1)
        inside.addLayout(row)
        outer.addLayout(_centered(self._drop))
        self._recent_title = Text("muted")
        self._recent = QVBoxLayout()
        box = QWidget()
        box.setFixedWidth(600)
        below = QVBoxLayout(box)
        below.addWidget(self._recent_title)
        below.addLayout(self._recent)
        outer.addLayout(_centered(box))
        self._safe = Text("muted")
        self._safe.setAlignment(Qt.AlignmentFlag.AlignHCenter)
        outer.addWidget(self._safe)
        outer.addStretch(3)

    def hold(self, over: bool) -> None:
        """Whether something is being dragged over the window."""
        look(self._drop, "dropOver" if over else "drop")

    def show_state(self, state: State, recent: list[Path], job: str) -> None:
        """Show what is still missing, or the job that runs."""
        busy = bool(job)
        self._heading.show_text(tr("Does this model carry a backdoor?"))
        self._lead.show_text(
            tr("Everything is there: start the scan.") if state.can_scan and not busy
            else "" if busy
            else tr("Drop a checkpoint and a folder of clean images here: one sub-folder a class, "
                    "a few hundred images in all or more.")
        )  # fmt: skip
        waiting = "…" if busy else "✗"
        opened = [(state.model_path, state.model), (state.images_path, state.images)]
        done = [
            f"{'✓' if found is not None else waiting} {path.name}"
            for path, found in opened
            if path is not None
        ]
        self._progress.show_text("\n".join([*done, f"{job} …"] if job else done))
        words = {
            "open_model": tr("Open model…"), "open_images": tr("Open images…"),
            "scan": tr("Scan"), "demo": tr("Try the demo"),
        }  # fmt: skip
        first = "scan" if state.can_scan else "open_images" if state.model else "open_model"
        for key, button in self._buttons.items():
            button.setText(words[key])
            button.setEnabled(not busy and (key != "scan" or state.can_scan))
            look(button, "primary" if key == first else "")
        while (item := self._recent.takeAt(0)) is not None:
            if (old := item.widget()) is not None:
                old.deleteLater()
        self._recent_title.show_text(tr("Recent audits") if recent else "")
        for path in recent[:_RECENT]:
            button = QPushButton(path.name)
            button.setToolTip(str(path))
            button.setEnabled(path.is_file() and not busy)
            button.clicked.connect(lambda _=False, path=path: self.recent_chosen.emit(path))
            self._recent.addWidget(button)
        self._safe.show_text(tr("No code in a file that you open is ever run."))


def _centered(widget: QWidget) -> QHBoxLayout:
    """In the middle by springs: an alignment would take its height for one line of text."""
    row = QHBoxLayout()
    row.addStretch(1)
    row.addWidget(widget)
    row.addStretch(1)
    return row
