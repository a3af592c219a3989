"""What is running, its progress, the time left, and a way to stop it."""

from __future__ import annotations

import time

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QGridLayout, QProgressBar, QPushButton, QWidget

from bdshift.text import grouped
from bdshift_gui.i18n import say, tr
from bdshift_gui.jobs.events import Event, Progressed
from bdshift_gui.numbers import duration
from bdshift_gui.session import RunningJob, State
from bdshift_gui.widgets.card import Text

_BAR_WIDTH = 160  # pixels
_BAR_STEPS = 1000


class JobBar(QWidget):
    """``canceled`` is emitted when the user wants the job stopped."""

    canceled = Signal()

    def __init__(self, *, wide: bool = False) -> None:
        """``wide``: the bar is over the words, as wide as there is room."""
        super().__init__()
        grid = QGridLayout(self)
        grid.setContentsMargins(0 if wide else 8, 0, 0, 0)
        grid.setSpacing(8)
        self._bar = QProgressBar()
        self._bar.setTextVisible(False)
        self._text = Text("muted", wrap=wide)
        self._cancel = QPushButton()
        self._cancel.clicked.connect(self.canceled)
        if wide:
            grid.addWidget(self._bar, 0, 0, 1, 2)
            grid.addWidget(self._text, 1, 0)
            grid.addWidget(self._cancel, 1, 1)
            grid.setColumnStretch(0, 1)
        else:
            self._bar.setFixedWidth(_BAR_WIDTH)
            for column, widget in enumerate((self._bar, self._text, self._cancel)):
                grid.addWidget(widget, 0, column)
            grid.setColumnStretch(3, 1)
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
            self._bar.setRange(0, _BAR_STEPS)
            self._bar.setValue(round(event.share * _BAR_STEPS))
            text = _in_words(event)
            if job.keeps and event.stage != job.name:  # which of several it is
                text = f"{say(job.name)} · {text}"
            queue = self._state.queue if self._state.purifying is not None else None
            left = None if queue is None else queue.left(time.monotonic())
            if left is not None:
                text += " · " + tr("{time} for all", time=duration(left))
        if job.cancels and self._state.message is not None:
            text = say(self._state.message)
        elif job.cancels:
            text = tr("Canceling…")
            if job.keeps and job.cancels == 1:
                text = tr("Canceling, keeping the best so far…")
                if event is not None and event.job == job.id and event.keeping:
                    text = tr("Keeping the best so far: {stage}", stage=_in_words(event))
        self._text.show_text(text)


def _in_words(event: Progressed) -> str:
    """Which part and stage runs, how far it is, and the time that is left of it."""
    text = f"{say(event.stage)} {grouped(event.done)} / {grouped(event.total)}"
    if event.between is not None:
        text += f" ({say(event.between)})"
    if event.part is not None:
        text = tr("{number} of {total}: {stage}", number=event.part.number,
                  total=event.part.total, stage=text)  # fmt: skip
    if event.left is None:
        return text
    time = duration(event.left)
    if event.part is None:
        return text + " · " + tr("{time} left", time=time)
    return text + " · " + tr("{time} left of this stage", time=time)
