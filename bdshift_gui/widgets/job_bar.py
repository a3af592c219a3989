"""What is running, its progress, the time left, and a way to stop it."""

from __future__ import annotations

from time import monotonic as now

from PySide6.QtCore import Signal
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QGridLayout, QProgressBar, QPushButton, QWidget

from bdshift.text import grouped
from bdshift_gui.i18n import say, tr
from bdshift_gui.jobs.events import Event, Progressed
from bdshift_gui.numbers import duration
from bdshift_gui.plain import set_tip
from bdshift_gui.session import RunningJob, State
from bdshift_gui.widgets.card import Text

_BAR_WIDTH = 160  # pixels
_LEAST_TEXT = 24  # pixels
_BAR_STEPS = 1000
_MARGINS = 40  # pixels, around bar, words and button


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
            self._text.setMinimumWidth(_LEAST_TEXT)
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
            event = None
            self._bar.setRange(0, 0)
            texts = [say(job.name) + " …"]
        else:
            self._bar.setRange(0, _BAR_STEPS)
            self._bar.setValue(round(event.share * _BAR_STEPS))
            texts = self._in_words(event, job)
        if job.cancels and self._state.message is not None:
            texts = [say(self._state.message)]
        elif job.cancels and not (job.keeps and job.cancels == 1):
            texts = [tr("Canceling…")]
        elif job.cancels and (event is None or not event.keeping):
            texts = [tr("Canceling, keeping the best so far…")]
        self._text.show_text(next(filter(self._fits, texts), texts[-1]))
        set_tip(self._text, texts[0] if len(texts) > 1 else "")

    def _in_words(self, event: Progressed, job: RunningJob) -> list[str]:
        """Progress in words, and in ever fewer."""
        stage, time = _stage(event), _time(event)
        whole = f"{stage} ({say(event.between)})" if event.between is not None else stage
        texts = [whole + time, stage + time, stage]
        if event.keeping:
            return [tr("Keeping the best so far: {stage}", stage=one) for one in texts]
        queue = self._state.queue if self._state.purifying is not None else None
        left = None if queue is None else queue.left(now())
        if left is not None:
            all_of_them = " · " + tr("{time} for all", time=duration(left))
            texts = [one + all_of_them for one in texts]
        if job.keeps and event.stage != job.name:  # which of several it is
            texts.insert(0, f"{say(job.name)} · {texts[0]}")
        return texts

    def _fits(self, text: str) -> bool:
        if self._text.wordWrap():
            return True
        room = self.width() - self._bar.width() - self._cancel.sizeHint().width() - _MARGINS
        return self._text.fontMetrics().horizontalAdvance(text) <= room

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        if self._state.job is not None:
            self._show(self._state.job)


def _stage(event: Progressed) -> str:
    """Which part and stage runs, and how far it is."""
    stage = f"{say(event.stage)} {grouped(event.done)} / {grouped(event.total)}"
    if event.part is None:
        return stage
    return tr("{number} of {total}: {stage}", number=event.part.number, total=event.part.total,
              stage=stage)  # fmt: skip


def _time(event: Progressed) -> str:
    """The time that is left of the stage, after a dot; "" if it is not known."""
    if event.left is None:
        return ""
    time = duration(event.left)
    if event.part is None:
        return " · " + tr("{time} left", time=time)
    return " · " + tr("{time} left of this stage", time=time)
