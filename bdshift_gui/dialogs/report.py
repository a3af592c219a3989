"""The report before it is written: its pages, its paper, and what is written on it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QEvent, QObject, QSignalBlocker, Qt, QTimer, Slot
from PySide6.QtGui import QTextCursor
from PySide6.QtWidgets import (
    QDialog,
    QHBoxLayout,
    QLineEdit,
    QPlainTextEdit,
    QPushButton,
    QVBoxLayout,
)

from bdshift.jobs import Canceled, JobContext
from bdshift_gui.context import Context
from bdshift_gui.i18n import say, tr
from bdshift_gui.jobs.events import sentence_of
from bdshift_gui.plain import PlainLabel, set_tip
from bdshift_gui.printing.paper import PAPERS, usual_paper
from bdshift_gui.session import State
from bdshift_gui.tasks.reporting import Preview, preview, set_cover, write_report
from bdshift_gui.tasks.writing import suggested
from bdshift_gui.widgets.card import Text
from bdshift_gui.widgets.choice_box import ChoiceBox
from bdshift_gui.widgets.page_stack import PageStack

if TYPE_CHECKING:
    from bdshift.audit.cover import Cover

_PAUSE = 700  # milliseconds after a letter, in which others may follow
_SIDE = 250  # pixels that the fields are wide


class ReportDialog(QDialog):
    """Shows the report as it will be written, and writes it; author and notes are kept in the
    audit once it is left.
    """

    def __init__(self, context: Context) -> None:
        super().__init__(context.ask.parent)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self._context = context
        self.setWindowTitle(tr("Report"))
        self.resize(880, 580)
        row = QHBoxLayout(self)
        self.pages = PageStack()
        self.pages.setAccessibleName(tr("Pages of the report"))
        row.addWidget(self.pages, 1)
        row.addLayout(self._fields(), 0)
        self._pause = QTimer(self)
        self._pause.setSingleShot(True)
        self._pause.setInterval(_PAUSE)
        self._pause.timeout.connect(self._show)
        self._job = JobContext()
        context.ask.parent.installEventFilter(self)
        self.finished.connect(self._leave)
        context.session.changed.connect(self._changed)
        self._show()

    def _fields(self) -> QVBoxLayout:
        """Beside the pages."""
        from bdshift.audit.cover import MAX_AUTHOR

        original = self._context.state.original
        assert original is not None
        column = QVBoxLayout()
        self.paper, self.author, self.notes = ChoiceBox(), QLineEdit(), QPlainTextEdit()
        self.paper.addItems([one.name for one in PAPERS.values()])
        self.paper.setCurrentIndex(list(PAPERS).index(usual_paper()))
        self.paper.currentIndexChanged.connect(self._show)
        self.author.setMaxLength(MAX_AUTHOR)
        self.author.setText(original.cover.author)
        self.author.textChanged.connect(self._typed)
        self.notes.setPlainText(original.cover.notes)
        self._new = 0, 0
        self.notes.document().contentsChange.connect(self._note_change)
        self.notes.textChanged.connect(self._typed)
        for label, field in (
            (tr("Paper"), self.paper), (tr("Author"), self.author), (tr("Notes"), self.notes),
        ):  # fmt: skip
            head = PlainLabel(label)
            head.setObjectName("muted")
            head.setBuddy(field)
            field.setAccessibleName(label)
            field.setFixedWidth(_SIDE)
            column.addWidget(head)
            column.addWidget(field, 1 if field is self.notes else 0)
        set_tip(self.notes, tr("Plain text. It is kept in the audit and shown in every report."))
        self.said, self._error = Text("muted"), Text("danger")
        self.pdf, self.page = QPushButton(tr("Save as PDF…")), QPushButton(tr("Save as HTML…"))
        self.pdf.setObjectName("primary")
        self.pdf.clicked.connect(lambda: self._write(".pdf"))
        self.page.clicked.connect(lambda: self._write(".html"))
        close = QPushButton(tr("Close"))
        close.clicked.connect(self.accept)
        for one in (self.said, self._error, self.pdf, self.page, close):
            if isinstance(one, Text):
                one.setMaximumWidth(_SIDE)
            column.addWidget(one)
        self.pdf.setDefault(True)
        return column

    @Slot(int, int, int)
    def _note_change(self, at: int, _: int, added: int) -> None:
        """Remember where the notes were changed last, and how many units of UTF-16 are new."""
        self._new = at, added

    @Slot()
    def _typed(self) -> None:
        """Show it a moment later. What is too long is cut at once, and said."""
        from bdshift.audit.cover import MAX_NOTES

        length, error = len(self.notes.toPlainText()), ""
        if length > MAX_NOTES:
            self._cut(length - MAX_NOTES)
            error = tr("The notes may have {count:,} characters; the rest was cut.",
                       count=MAX_NOTES)  # fmt: skip
        if error or length < MAX_NOTES:
            self._error.show_text(error)
        self._pause.start()

    def _cut(self, surplus: int) -> None:
        """Leave out so many characters at the end of what was added last. It is taken back, and
        what there is room for is added instead: so it can be undone in one step.
        """
        (at, added), document = self._new, self.notes.document()
        whole = _utf16(self.notes.toPlainText())
        end = min(at + added, document.characterCount() - 1)
        kept = _utf16(whole[2 * at : 2 * end].decode("utf-16-le")[:-surplus])
        wanted = (whole[: 2 * at] + kept + whole[2 * end :]).decode("utf-16-le")
        with QSignalBlocker(self.notes):
            document.undo()  # with all that was typed in one go before it
            now = self.notes.toPlainText()
            head = min(_alike(now, wanted), len(whole[: 2 * at].decode("utf-16-le")))
            tail = _alike(now[head:][::-1], wanted[head:][::-1])
            cursor = QTextCursor(document)
            cursor.setPosition(len(_utf16(now[:head])) // 2)
            last = len(_utf16(now[: len(now) - tail])) // 2
            cursor.setPosition(last, QTextCursor.MoveMode.KeepAnchor)
            cursor.insertText(wanted[head : len(wanted) - tail])
        cursor.setPosition(at + len(kept) // 2)
        self.notes.setTextCursor(cursor)

    @property
    def _cover(self) -> Cover:
        """What is typed."""
        from bdshift.audit.cover import Cover

        return Cover(self.author.text(), self.notes.toPlainText())

    def _keep(self) -> None:
        """Write author and notes on the audit: all views are drawn again."""
        self._pause.stop()
        set_cover(self._context, self._cover)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if event.type() == QEvent.Type.Close and watched is self._context.ask.parent:
            self._keep()  # before the window asks whether to save
        return False

    @Slot(object, object)
    def _changed(self, new: State, old: State) -> None:
        if new.original is not None and new.original is not old.original:
            self._show()

    @Slot()
    def _show(self) -> None:
        """Set the pages again."""
        self._pause.stop()
        self._job.cancel()
        self._job = JobContext()
        self.said.show_text(tr("Setting the pages…"))
        paper = list(PAPERS)[self.paper.currentIndex()]
        run = preview(self._context, paper, self._cover, self._job)
        self._context.quick.ask(self, run, self._shown, self._failed)

    def _shown(self, found: Preview) -> None:
        self.pages.show_pages(found.pages)
        self.said.show_text(
            tr("{count:|page|pages}", count=found.count)
            if found.count == len(found.pages)
            else tr("The first {shown} of {count} pages.", shown=len(found.pages),
                    count=found.count)
        )  # fmt: skip

    def _failed(self, error: Exception) -> None:
        if not isinstance(error, Canceled):
            self.said.show_text("")
            self._error.show_text(say(sentence_of(error)))

    def _write(self, suffix: str) -> None:
        self._keep()
        context, paper = self._context, list(PAPERS)[self.paper.currentIndex()]
        name = suggested(context.state, f"report{suffix}")
        path = context.ask.where(tr("Write a report"), name, (suffix,))
        if path is not None and not context.state.busy:
            self.accept()
            write_report(context, path, paper)

    @Slot()
    def _leave(self) -> None:
        """Keep what was typed; wait for no more pages."""
        self._context.session.changed.disconnect(self._changed)
        self._context.ask.parent.removeEventFilter(self)
        self._keep()
        self._job.cancel()
        self._context.quick.forget(self)


def _utf16(text: str) -> bytes:
    """A text as Qt counts its places: two bytes each."""
    return text.encode("utf-16-le")


def _alike(a: str, b: str) -> int:
    """How many characters both begin with."""
    pairs = enumerate(zip(a, b, strict=False))
    return next((i for i, (one, other) in pairs if one != other), min(len(a), len(b)))
