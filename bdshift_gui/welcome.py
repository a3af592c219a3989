"""The welcome page: where to drop a checkpoint and a folder, recent audits, the demo."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QFrame, QGridLayout, QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from bdshift_gui.actions.correct import LABELS
from bdshift_gui.actions.open_files import OPEN_IMAGES, OPEN_MODEL, open_dropped
from bdshift_gui.actions.scan import SCAN
from bdshift_gui.actions.try_out import DEMO
from bdshift_gui.actions.window import CANCEL
from bdshift_gui.context import Context
from bdshift_gui.i18n import say, tr
from bdshift_gui.plain import on_button, set_tip
from bdshift_gui.session import State
from bdshift_gui.widgets.card import Text, look
from bdshift_gui.widgets.job_bar import JobBar

_MAX_RECENT = 4
_WIDTH = 600  # pixels, where there are as many
_ACTIONS = (OPEN_MODEL, OPEN_IMAGES, LABELS, SCAN, DEMO)


class WelcomeView(QWidget):
    """Shown until there is an audit."""

    def __init__(self, context: Context) -> None:
        super().__init__()
        self._context = context
        outer = QVBoxLayout(self)
        outer.addStretch(2)
        self._drop = QFrame()
        self._drop.setObjectName("drop")
        self._drop.setMaximumWidth(_WIDTH)
        inside = QVBoxLayout(self._drop)
        inside.setContentsMargins(40, 32, 40, 32)
        inside.setSpacing(12)
        self._heading, self._lead, self._progress = Text("heading"), Text("muted"), Text()
        self._lead.setAlignment(Qt.AlignmentFlag.AlignTop)
        self.doubt = Text("danger")
        inside.addWidget(self._heading)
        inside.addWidget(self.doubt)
        self.job = JobBar(wide=True)
        self.job.canceled.connect(lambda: CANCEL.trigger(context))
        context.jobs.happened.connect(self.job.progressed)
        one_place = QGridLayout()  # so that the buttons below do not move
        for widget in (self._lead, self.job):
            policy = widget.sizePolicy()
            policy.setRetainSizeWhenHidden(True)
            widget.setSizePolicy(policy)
            one_place.addWidget(widget, 0, 0)
        inside.addLayout(one_place)
        inside.addWidget(self._progress)
        row = QHBoxLayout()
        row.setSpacing(8)
        self.buttons: dict[str, QPushButton] = {}
        for one in _ACTIONS:
            button = QPushButton()
            button.clicked.connect(lambda _=False, one=one: one.trigger(context))
            self.buttons[one.key] = button
            row.addWidget(button)
        row.addStretch(1)
        inside.addLayout(row)
        outer.addLayout(_centered(self._drop))
        self._recent_title = Text("muted")
        self._recent = QVBoxLayout()
        box = QWidget()
        box.setMaximumWidth(_WIDTH)
        below = QVBoxLayout(box)
        below.addWidget(self._recent_title)
        below.addLayout(self._recent)
        outer.addLayout(_centered(box))
        self._safe = Text("muted")
        self._safe.setAlignment(Qt.AlignmentFlag.AlignHCenter)
        outer.addWidget(self._safe)
        outer.addStretch(3)

    def hold(self, over: bool) -> None:
        """Highlight the drop area while something is dragged over the window."""
        look(self._drop, "dropOver" if over else "drop")

    def show_state(self, state: State) -> None:
        """Show what is still missing, or the running job."""
        focused = self.window().focusWidget()
        ours = focused is None or focused is self or self.isAncestorOf(focused)
        if ours:  # a button that is disabled would pass it on, out of the page
            self.setFocus()
        ready = state.model is not None and state.images is not None
        doubt = state.class_doubt
        self.doubt.show_text("" if doubt is None or state.busy else say(doubt))
        self._heading.show_text(tr("Does this model carry a backdoor?"))
        lead = tr(
            "Drop a checkpoint and a folder of clean images here: one subfolder per class, a few "
            "hundred images or more in total."
        )
        if ready:
            lead = tr("Everything is ready: start the scan.")
        self._lead.show_text("" if state.busy or doubt is not None else lead)
        lines = []
        if state.model_path is not None:
            name = tr("Model: {name}", name=state.model_path.name)
            lines.append(f"{_mark(state, state.model)} {name}")
        if state.images_path is not None:
            name = tr("Images: {name}", name=state.images_path.name)
            lines.append(f"{_mark(state, state.images)} {name}")
        self._progress.show_text("\n".join(lines))
        self.job.show_state(state)
        self.job.setVisible(shows_job(state))
        first = SCAN if ready else OPEN_IMAGES if state.model else OPEN_MODEL
        if doubt is not None:
            first = LABELS
        self.buttons[LABELS.key].setVisible(doubt is not None)
        self.buttons[DEMO.key].setVisible(doubt is None)  # there is room for four
        for one in _ACTIONS:
            button = self.buttons[one.key]
            button.setText(tr(one.text))
            button.setEnabled(one.enabled(state))
            look(button, "primary" if one is first else "")
        if ours:
            stays = focused is not None and focused is not self and focused.isEnabled()
            (focused if stays and focused is not None else self.buttons[first.key]).setFocus()
        while (item := self._recent.takeAt(0)) is not None:
            if (old := item.widget()) is not None:
                old.deleteLater()
        self._recent_title.show_text(tr("Recent audits") if state.recent else "")
        for recent in state.recent[:_MAX_RECENT]:
            button = QPushButton(on_button(recent.path.name))
            set_tip(button, str(recent.path))
            button.setEnabled(recent.exists and not state.busy)
            button.clicked.connect(
                lambda _=False, path=recent.path: open_dropped(self._context, [path])
            )
            self._recent.addWidget(button)
        self._safe.show_text(tr("Code in the files you open is never run."))


def _mark(state: State, found: object) -> str:
    """Whether a path was opened, is being opened, or could not be."""
    return "✓" if found is not None else "…" if state.busy else "✗"


def shows_job(state: State) -> bool:
    """Whether the page tells of the running job; of one that gives way, the status bar does."""
    return state.job is not None and state.busy


def _centered(widget: QWidget) -> QHBoxLayout:
    """Center with stretches: an alignment would size it for a single line of text."""
    row = QHBoxLayout()
    row.addStretch(1)
    row.addWidget(widget, 1000)  # as wide as it may be
    row.addStretch(1)
    return row
