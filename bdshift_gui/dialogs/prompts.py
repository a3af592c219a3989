"""Edit the prompt templates that a CLIP model's head is made of."""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtGui import QTextCursor
from PySide6.QtWidgets import QHBoxLayout, QPlainTextEdit, QPushButton

from bdshift.checkpoints.prompts import PROMPT_SETS, SLOT, check_templates, templates_of
from bdshift.errors import UsageError
from bdshift.jobs import JobContext
from bdshift_gui.context import Context
from bdshift_gui.dialogs.question import QuestionDialog
from bdshift_gui.i18n import say, tr
from bdshift_gui.jobs.events import sentence_of
from bdshift_gui.numbers import percent
from bdshift_gui.plain import lines, set_tip
from bdshift_gui.tasks.prompting import measure
from bdshift_gui.widgets.card import Text


class PromptsDialog(QuestionDialog):
    """``chosen`` carries `ScanSettings.prompts`."""

    chosen = Signal(object)

    def __init__(self, context: Context) -> None:
        super().__init__(tr("Prompt templates"), 560, 520, context.ask.parent)
        self._context, state = context, context.state
        audit = state.audit
        assert audit is not None
        assert audit.model.prompts is not None
        self._prompts = audit.model.prompts
        lead = Text("muted")
        lead.show_text(
            tr("One per line, with {slot} where the class name goes. The model recognizes a class "
               "by the mean of their text features.", slot=SLOT)
        )  # fmt: skip
        self.column.addWidget(lead)
        self.text = QPlainTextEdit("\n".join(self._prompts.templates))
        self.text.setAccessibleName(tr("Prompt templates"))
        self.text.textChanged.connect(self._check)
        self.column.addWidget(self.text, 1)
        sets = QHBoxLayout()
        for name in PROMPT_SETS:
            button = QPushButton(name)
            set_tip(button, tr("Use this known set."))
            button.clicked.connect(lambda _=False, name=name: self._fill(name))
            sets.addWidget(button)
        sets.addStretch(1)
        self.measure = QPushButton(tr("Measure accuracy"))
        set_tip(self.measure, tr("On the clean images, whose features do not change."))
        self.measure.clicked.connect(self._measure)
        sets.addWidget(self.measure)
        self.column.addLayout(sets)
        self._example = Text("muted")
        self._result = Text("plain")
        self._error = Text("danger")
        for one in (self._example, self._result, self._error):
            self.column.addWidget(one)
        self._before = audit.accuracy
        self._can_measure = audit.embedding is not None and audit.images.labeled
        self.use = self.add_buttons(tr("Scan with these"))
        self._job = JobContext()
        self.finished.connect(self._forget)
        self._check()

    @property
    def templates(self) -> tuple[str, ...]:
        """Those in the text field."""
        written = (line.strip() for line in self.text.toPlainText().splitlines())
        return tuple(line for line in written if line)

    def _fill(self, name: str) -> None:
        self._context.quick.ask(
            self, lambda: templates_of(name),
            lambda found: self._replace("\n".join(found)),
            lambda error: self._error.show_text(say(sentence_of(error))),
        )  # fmt: skip

    def _replace(self, text: str) -> None:
        """Put it in place of what is there, which Ctrl+Z brings back."""
        all_of_it = self.text.textCursor()
        all_of_it.select(QTextCursor.SelectionType.Document)
        all_of_it.insertText(text)

    def _forget(self) -> None:
        """Do not wait for an answer about other templates, and let nothing work on it."""
        self._job.cancel()
        self._context.quick.forget(self)

    def _check(self) -> None:
        self._forget()
        self._result.show_text(tr("Accuracy: {now}", now=percent(self._before)))
        try:
            check_templates(self.templates)
            error = ""
        except UsageError as found:
            error = say(found.sentence)
        self._error.show_text(error)
        self._example.show_text(
            "" if error
            else tr("Such as: {example}",
                    example=lines(self.templates[0].replace(SLOT, self._prompts.names[0])))
        )  # fmt: skip
        self.use.setEnabled(not error)
        self.measure.setEnabled(not error and self._can_measure)

    def _measure(self) -> None:
        def done(accuracy: float) -> None:
            self.measure.setEnabled(True)
            self._result.show_text(
                tr("Accuracy: {now}; with these templates: {then}",
                   now=percent(self._before), then=percent(accuracy))
            )  # fmt: skip

        def failed(error: Exception) -> None:
            self.measure.setEnabled(True)
            self._error.show_text(say(sentence_of(error)))

        self.measure.setEnabled(False)
        self._result.show_text(tr("Measuring…"))
        self._job = JobContext()
        look = measure(self._context, self.templates, self._job)
        self._context.quick.ask(self, look, done, failed)

    def answer(self) -> None:
        self.chosen.emit(self.templates)
