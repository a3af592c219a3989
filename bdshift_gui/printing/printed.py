"""The report on paper: pages that can be looked at or written as a PDF file."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QBuffer, QIODevice, QMarginsF, QRectF, QSizeF, Qt
from PySide6.QtGui import (
    QAbstractTextDocumentLayout,
    QColor,
    QImage,
    QPageLayout,
    QPageSize,
    QPainter,
    QPdfWriter,
    QTextCursor,
    QTextDocument,
    QTextFormat,
)

from bdshift.jobs import SILENT, JobContext
from bdshift.text import one_line
from bdshift.words import Language, Sentence
from bdshift_gui.printing.lettering import lettering, with_spaces
from bdshift_gui.printing.page_tree import Element, colors, page_tree
from bdshift_gui.printing.paper import PaperSize
from bdshift_gui.printing.typesetting import Together, Typesetter

_PDF_DPI, _LAYOUT_DPI = 1200, 96
_FOOT_SIZE, _TEXT_SIZE = 10, 12  # pixels
_NEARLY = 0.5  # pixels by which what is on a page may be off, by rounding
_MAX_BREAKS = 100  # page breaks that are moved so that things stay together
_MAX_FOOT = 70  # characters of a name at the foot of a page


class PrintedReport:
    """The report's page, set in type on ``paper`` in the font ``family``. One thread at a time may
    use it.

    Raises `bdshift.jobs.Canceled` if the job is canceled.
    """

    def __init__(
        self, page: str, paper: PaperSize, family: str, language: Language, job: JobContext = SILENT
    ) -> None:
        self.paper, self._family, self._language = paper, family, language
        self._inks = colors(page)
        body = page_tree(page)
        self._name = next(body.all("p")).text.partition(" · ")[0]
        self.title = f"{next(body.all('h1')).text}: {self._name}"
        self._document = _document(paper, family)
        room = self._document.pageSize()
        setter = Typesetter(
            self._document, room.width(), room.height(), self._inks, family, _steps(body, job)
        )
        setter.set(body)
        self._keep_together(setter.together, job)
        self.count = self._document.pageCount()

    def _keep_together(self, all_parts: list[Together], job: JobContext) -> None:
        """Begin a page before what its end would part."""
        moved = 0
        for one in sorted(all_parts, key=lambda one: one.first):
            job.raise_if_canceled()
            parted = self._page_of(one.last) - self._page_of(one.first) == 1
            if parted and moved < _MAX_BREAKS:  # what is longer than a page stays where it is
                self._begin_page(one)
                moved += 1

    def _begin_page(self, one: Together) -> None:
        before = QTextFormat.PageBreakFlag.PageBreak_AlwaysBefore
        if one.table is not None:
            table = one.table.format()
            table.setPageBreakPolicy(before)
            one.table.setFormat(table)
            return
        cursor = QTextCursor(self._document.findBlock(one.first))
        form = cursor.blockFormat()
        form.setPageBreakPolicy(before)
        cursor.setBlockFormat(form)

    def _page_of(self, position: int) -> int:
        """The page that the line at a position begins on, from 0."""
        block = self._document.findBlock(position)
        top = self._document.documentLayout().blockBoundingRect(block).top()
        line = block.layout().lineForTextPosition(position - block.position())
        if line.isValid():
            top += line.y()
        return int((top + _NEARLY) // self._document.pageSize().height())

    def picture(self, number: int, scale: float) -> QImage:
        """A page, counted from 0, at ``scale`` times 96 dpi."""
        sheet = self.paper.sheet
        image = QImage(
            round(sheet.width() * scale), round(sheet.height() * scale),
            QImage.Format.Format_RGB888,
        )  # fmt: skip
        image.fill(QColor("white"))
        painter = QPainter(image)
        hint = QPainter.RenderHint
        painter.setRenderHints(
            hint.Antialiasing | hint.TextAntialiasing | hint.SmoothPixmapTransform
        )
        self._draw(painter, number, scale)
        painter.end()
        return image

    def pdf(self, job: JobContext = SILENT) -> bytes:
        """The pages as a PDF file."""
        buffer = QBuffer()
        buffer.open(QIODevice.OpenModeFlag.WriteOnly)
        writer = QPdfWriter(buffer)
        none, size = QMarginsF(0, 0, 0, 0), QPageSize(self.paper.id)
        writer.setPageLayout(QPageLayout(size, QPageLayout.Orientation.Portrait, none))
        writer.setResolution(_PDF_DPI)
        writer.setTitle(self.title)
        writer.setCreator("bdshift")
        painter = QPainter(writer)
        try:
            for number in range(self.count):
                job.progress("Writing the pages", number, self.count, "pages")
                if number:
                    writer.newPage()
                self._draw(painter, number, _PDF_DPI / _LAYOUT_DPI)
        finally:
            painter.end()
        return with_spaces(bytes(buffer.data().data()))

    def _draw(self, painter: QPainter, number: int, scale: float) -> None:
        inside, high = self.paper.inside, self._document.pageSize().height()
        painter.save()
        painter.scale(scale, scale)
        self._draw_foot(painter, number)
        painter.translate(inside.left(), inside.top() - number * high)
        what = QAbstractTextDocumentLayout.PaintContext()
        page = QRectF(0, number * high, inside.width(), high)
        painter.setClipRect(page)
        what.clip = page.adjusted(0, _NEARLY, 0, -_NEARLY)  # no words that only touch it
        self._document.documentLayout().draw(painter, what)
        painter.restore()

    def _draw_foot(self, painter: QPainter, number: int) -> None:
        painter.setFont(lettering(self._family, _FOOT_SIZE))
        painter.setPen(QColor(self._inks["muted"]))
        align = Qt.AlignmentFlag
        place = Sentence("Page {number} of {count}", {"number": number + 1, "count": self.count})
        name = one_line(self._name)
        name = name if len(name) <= _MAX_FOOT else name[: _MAX_FOOT - 1] + "…"
        said = place.render(self._language)
        painter.drawText(self.paper.foot, align.AlignRight | align.AlignVCenter, said)
        painter.drawText(self.paper.foot, align.AlignLeft | align.AlignVCenter, name)


def _document(paper: PaperSize, family: str) -> QTextDocument:
    document, inside = QTextDocument(), paper.inside
    document.setUndoRedoEnabled(False)
    document.setUseDesignMetrics(True)
    document.setDocumentMargin(0)
    document.setDefaultFont(lettering(family, _TEXT_SIZE))
    document.setPageSize(QSizeF(inside.width(), inside.height()))
    return document


def _steps(body: Element, job: JobContext) -> Callable[[], None]:
    """To be called for each part of the page: tells the progress."""
    total, done = body.count, 0

    def step() -> None:
        nonlocal done
        done += 1
        job.progress("Setting the pages", min(done, total), total, "parts")

    return step
