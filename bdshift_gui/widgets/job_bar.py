"""What is running, its progress, the time left, and a way to stop it."""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QHBoxLayout, QProgressBar, QPushButton, QWidget

from bdshift_gui.i18n import say, tr
from bdshift_gui.jobs.events import Event, Progressed
from bdshift_gui.numbers import duration, grouped
from bdshift_gui.session import RunningJob, State
from bdshift_gui.widgets.card import Text


class JobBar(QWidget):
    """``canceled`` is emitted when the user wants the job stopped."""

    canceled = Signal()

    def __init__(self) -> None:
        super().__init__()
        row = QHBoxLayout(self)
        row.setContentsMargins(8, 0, 0, 0)
        row.setSpacing(8)
        self._bar = QProgressBar()
        self._bar.setTextVisible(False)
        self._bar.setFixedWidth(160)
        self._text = Text("muted", wrap=False)
        self._cancel = QPushButton()
        self._cancel.clicked.connect(self.canceled)
        for widget in (self._bar, self._text, self._cancel):
            row.addWidget(widget)
        row.addStretch(1)
        self._state = State()
        self._progress: Progressed | None = None
        self.hide()

    def show_state(self, state: State) -> None:
        """Show the running job, if there is one."""
        self._state, job = state, state.job
        self.setVisible(job is not None)
        if job is None:
            return
        keeps = job.keeps and not job.cancels
        self._cancel.setText(tr("Stop and keep the result") if keeps else tr("Cancel"))
        self._cancel.setEnabled(job.can_cancel)
        self._show(job)

    def progressed(self, event: Event) -> None:
        """Show the progress that an event is about, if it is about that."""
        if isinstance(event, Progressed):
            self.progress(event)

    def progress(self, event: Progressed) -> None:
        """Show its progress."""
        self._progress = event
        if self._state.job is not None:
            self._show(self._state.job)

    def _show(self, job: RunningJob) -> None:
        event = self._progress
        if event is None or event.job != job.id:
            self._bar.setRange(0, 0)
            text = say(job.name) + " …"
        else:
            self._bar.setRange(0, max(1, event.total))
            self._bar.setValue(event.done)
            text = f"{say(event.stage)} {grouped(event.done)} / {grouped(event.total)}"
            if job.keeps and event.stage != job.name:  # which of several it is
                text = f"{say(job.name)} · {text}"
            if event.left is not None:
                text += " · " + tr("{time} left", time=duration(event.left))
        if job.cancels and self._state.message is not None:
            text = say(self._state.message)
        elif job.cancels:
            keeping = job.keeps and job.cancels == 1
            text = tr("Canceling, keeping the best so far…") if keeping else tr("Canceling…")
        self._text.show_text(text)
