"""Sets the report's page in type: paragraphs, tables and figures of a text document. Words reach it
as plain text only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from PySide6.QtCore import Qt
from PySide6.QtGui import (
    QColor,
    QTextBlockFormat,
    QTextCharFormat,
    QTextCursor,
    QTextDocument,
    QTextFrameFormat,
    QTextLength,
    QTextTable,
    QTextTableCellFormat,
    QTextTableFormat,
)

from bdshift_gui.printing.figures import FIGURE, WHICH, Drawable, InlineFigures, Photo, Plot
from bdshift_gui.printing.lettering import lettering
from bdshift_gui.printing.page_tree import Element, closed_up

_HEADINGS = {"h1": (23, 0, 2), "h2": (16, 22, 5), "h3": (13.5, 14, 4)}  # size, above, below
_TEXT, _SMALL, _LINE = 12.0, 10.5, 128  # pixels, and percent of a line's height
_SIDES = {"trigger": 98, "looks": 88, "pairs": 66, "thumbs": 46}  # of pictures
_IN_A_ROW = {"looks": 3, "pairs": 4}  # figures beside each other
_MAX_WHOLE = 8  # rows of a table that no end of a page parts
_AROUND = 10  # pixels below a table
_NARROW = {"plane": 0.6}  # share of the width that a drawing there has
_PROPORTIONAL = QTextBlockFormat.LineHeightTypes.ProportionalHeight.value
_SOLID = QTextFrameFormat.BorderStyle.BorderStyle_Solid


@dataclass(frozen=True)
class Style:
    """How words are written: ``ink`` is the name of a color, ``line`` the height of a line in
    percent, 0 for as much as there is on it.
    """

    ink: str = "text"
    size: float = _TEXT
    bold: bool = False
    right: bool = False
    line: int = _LINE
    above: float = 3
    below: float = 3
    sides: int = _SIDES["thumbs"]
    share: float = 1.0


@dataclass
class Together:
    """Positions of what belongs on one page, and what starts another if it is not."""

    first: int
    last: int
    table: QTextTable | None = None


@dataclass
class Typesetter:
    """Fills ``document``, which is ``width`` × ``height`` pixels a page. ``inks`` are the page's
    colors, ``family`` is its font; ``step`` is called before each part.
    """

    document: QTextDocument
    width: float
    height: float
    inks: Mapping[str, str]
    family: str
    step: Callable[[], None]
    together: list[Together] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._figures = InlineFigures(self.document)
        self.document.documentLayout().registerHandler(FIGURE, self._figures)
        self._fresh = True  # the block that the cursor is in is empty and was there before
        self._heads: list[int] = []

    def set(self, body: Element) -> None:
        """The whole page; it is laid out once all of it is there."""
        cursor = QTextCursor(self.document)
        cursor.beginEditBlock()
        self._flow(body.children, cursor, Style(), self.width)
        cursor.endEditBlock()

    # Blocks

    def _flow(
        self, parts: Sequence[Element | str], cursor: QTextCursor, style: Style, width: float
    ) -> None:
        """Parts below each other; words and what stands in a line make paragraphs."""
        line: list[Element | str] = []
        for one in [*parts, Element("end")]:
            if isinstance(one, str) or one.tag in ("strong", "span", "br", "img"):
                line.append(one)
                continue
            if any(not isinstance(part, str) or part.strip() for part in line):
                self._paragraph(line, cursor, style)
            line = []
            self._block(one, cursor, style, width)

    def _block(self, one: Element, cursor: QTextCursor, style: Style, width: float) -> None:
        self.step()
        tag, classes = one.tag, one.classes
        style = self._styled(one, style)
        if tag in _HEADINGS:
            size, above, below = _HEADINGS[tag]
            style = replace(style, size=size, bold=True, above=above, below=below)
            self._paragraph(one.children, cursor, style, leads=True)
        elif tag == "p":
            self._paragraph(one.children, cursor, style)
        elif tag == "svg":
            source = one.children[0]
            assert isinstance(source, str)
            room = style.share * width
            drawn = Plot(source, room, 0.9 * self.height, self.inks, self.family)
            self._start(cursor, replace(style, above=4, below=4, line=0))
            self._figure(cursor, drawn)
        elif tag == "table":
            self._table(one, cursor, style, width)
        elif tag == "dl":
            self._pairs_of_words(one, cursor, style, width)
        elif "finding" in classes:
            self._box(one, cursor, style, width)
        elif classes & _IN_A_ROW.keys():
            [name] = classes & _IN_A_ROW.keys()
            self._grid(one.elements, cursor, style, width, _IN_A_ROW[name])
        elif "neuron" in classes:
            first = cursor.position()
            self._flow(one.children, cursor, replace(style, above=7), width)
            self.together.append(Together(first + 1, cursor.position()))
        elif tag != "end":
            self._flow(one.children, cursor, style, width)

    def _styled(self, one: Element, style: Style) -> Style:
        """How what is in ``one`` is written."""
        classes = one.classes
        if "muted" in classes:
            style = replace(style, ink="muted")
        if "bad" in classes:
            style = replace(style, ink="red")
        for name in classes & _SIDES.keys():
            style = replace(style, sides=max(style.sides, _SIDES[name]))
        for name in classes & _NARROW.keys():
            style = replace(style, share=_NARROW[name])
        return style

    def _start(self, cursor: QTextCursor, style: Style, *, leads: bool = False) -> None:
        """A new paragraph, which ``leads`` what follows and is not left alone by it."""
        form = QTextBlockFormat()
        form.setTopMargin(style.above)
        form.setBottomMargin(style.below)
        if style.line:
            form.setLineHeight(style.line, _PROPORTIONAL)
        if style.right:
            form.setAlignment(Qt.AlignmentFlag.AlignRight)
        if self._fresh:
            cursor.setBlockFormat(form)
        else:
            cursor.insertBlock(form, QTextCharFormat())
        self._fresh = False
        for head in self._heads:
            self.together.append(Together(head, cursor.position()))
        self._heads = [cursor.position()] if leads else []

    def _paragraph(
        self, parts: Sequence[Element | str], cursor: QTextCursor, style: Style, *,
        leads: bool = False,
    ) -> None:  # fmt: skip
        pictures = [one for one in parts if isinstance(one, Element) and one.tag == "img"]
        self._start(cursor, replace(style, line=0) if pictures else style, leads=leads)
        self._words(parts, cursor, style, trim=not pictures)

    def _words(
        self, parts: Sequence[Element | str], cursor: QTextCursor, style: Style, *, trim: bool
    ) -> None:
        """Words and pictures of one line."""
        begun = False
        for one in parts:
            if isinstance(one, str):
                text = closed_up(one)
                text = text.lstrip(" ") if trim and not begun else text
                if text.strip() or begun:
                    cursor.insertText(text, self._form(style))
                    begun = True
            elif one.tag == "img":
                self._figure(cursor, Photo(one.attributes["src"], style.sides, self.inks["line"]))
                cursor.insertText("  ", self._form(replace(style, size=4)))
            elif one.tag == "br":
                cursor.insertText("\u2028", self._form(style))
            else:
                inner = self._styled(one, style)
                bold = style.bold or one.tag == "strong"
                self._words(one.children, cursor, replace(inner, bold=bold), trim=False)
                begun = True

    def _figure(self, cursor: QTextCursor, drawn: Drawable) -> None:
        form = QTextCharFormat()
        form.setObjectType(FIGURE)
        form.setProperty(WHICH, len(self._figures.known))
        self._figures.known.append(drawn)
        cursor.insertText("\ufffc", form)

    def _form(self, style: Style) -> QTextCharFormat:
        form = QTextCharFormat()
        form.setFont(lettering(self.family, style.size, bold=style.bold))
        form.setForeground(QColor(self.inks[style.ink]))
        return form

    # Tables

    def _new_table(
        self, cursor: QTextCursor, rows: int, shares: Sequence[float], width: float, *, pad: float
    ) -> QTextTable:
        """A table without lines, whose columns have these shares of the width; 0: as wide as it
        needs.
        """
        form = QTextTableFormat()
        form.setBorder(0)
        form.setBorderCollapse(True)
        form.setCellSpacing(0)
        form.setCellPadding(pad)
        form.setTopMargin(_AROUND / 2)
        form.setBottomMargin(_AROUND)
        form.setWidth(QTextLength(QTextLength.Type.FixedLength, width))
        fixed, free = QTextLength.Type.PercentageLength, QTextLength.Type.VariableLength
        lengths = [QTextLength(fixed, 100 * one) if one else QTextLength(free, 0) for one in shares]
        form.setColumnWidthConstraints(lengths)
        return cursor.insertTable(rows, len(shares), form)

    def _leave(
        self, cursor: QTextCursor, table: QTextTable, heads: Sequence[int], *, whole: bool
    ) -> None:
        """Go on after a table, which is on one page if it is ``whole``; a paragraph is there
        already. ``heads`` are those that lead the table.
        """
        first = table.firstPosition()
        last = table.lastPosition() if whole else first
        self.together += [Together(head, last) for head in heads]
        self.together.append(Together(first, last, table))
        self._heads = []
        cursor.setPosition(table.lastPosition() + 1)
        self._fresh = True
        cursor.setBlockFormat(QTextBlockFormat())

    def _cell(self, table: QTextTable, row: int, column: int) -> QTextCursor:
        self._fresh = True
        return table.cellAt(row, column).firstCursorPosition()

    def _line_below(self, table: QTextTable, row: int, column: int) -> None:
        cell = table.cellAt(row, column)
        form = QTextTableCellFormat()
        form.setBottomBorder(0.8)
        form.setBottomBorderStyle(_SOLID)
        form.setBottomBorderBrush(QColor(self.inks["line"]))
        cell.setFormat(form)

    def _table(self, one: Element, cursor: QTextCursor, style: Style, width: float) -> None:
        """Rows of the same number of cells; the first column to the left, the others to the
        right.
        """
        rows = list(one.all("tr"))
        columns = max(len(row.elements) for row in rows)
        size = _TEXT if columns <= 4 else _SMALL
        heads, self._heads = self._heads, []
        table = self._new_table(cursor, len(rows), [0.0] * columns, width, pad=3)
        head = table.format()
        if all(cell.tag == "th" for cell in rows[0].elements):
            head.setHeaderRowCount(1)
            table.setFormat(head)
        for y, row in enumerate(rows):
            self.step()
            bad = self._styled(row, style)
            for x, cell in enumerate(row.elements):
                self._line_below(table, y, x)
                ink = "muted" if cell.tag == "th" else bad.ink
                written = Style(
                    ink, size, bold=bad.ink == "red" and ink == "red", right=x > 0,
                    above=0, below=0,
                )  # fmt: skip
                at = self._cell(table, y, x)
                self._start(at, written)
                lines = cell.text.strip().split("\n")
                at.insertText("\u2028".join(lines), self._form(written))
        self._leave(cursor, table, heads, whole=len(rows) <= _MAX_WHOLE)

    def _pairs_of_words(
        self, one: Element, cursor: QTextCursor, style: Style, width: float
    ) -> None:
        """Names and what they stand for."""
        parts = one.elements
        heads, self._heads = self._heads, []
        table = self._new_table(cursor, len(parts) // 2, [0.2, 0.8], width, pad=2)
        for place, part in enumerate(parts):
            self.step()
            written = Style("muted" if part.tag == "dt" else "text", _SMALL, above=0, below=0)
            at = self._cell(table, place // 2, place % 2)
            self._paragraph(part.children, at, written)
        self._leave(cursor, table, heads, whole=False)

    def _box(self, one: Element, cursor: QTextCursor, style: Style, width: float) -> None:
        """The finding, beside a bar in its color."""
        levels = {"backdoored": "red", "inconclusive": "amber"}
        ink = next((levels[name] for name in one.classes & levels.keys()), "accent")
        heads, self._heads = self._heads, []
        table = self._new_table(cursor, 1, [0], width, pad=0)
        form = QTextTableCellFormat()
        form.setLeftBorder(5)
        form.setLeftBorderStyle(_SOLID)
        form.setLeftBorderBrush(QColor(self.inks[ink]))
        form.setPadding(8)
        form.setLeftPadding(14)
        form.setBackground(QColor(self.inks["line"]).lighter(112))
        table.cellAt(0, 0).setFormat(form)
        at = self._cell(table, 0, 0)
        first, *rest = one.elements
        headline = "text" if ink == "accent" else ink
        self._paragraph(first.children, at, Style(headline, 16, bold=True, above=0, below=4))
        self._flow(rest, at, style, width)
        self._leave(cursor, table, heads, whole=True)

    def _grid(
        self, figures: Sequence[Element], cursor: QTextCursor, style: Style, width: float,
        columns: int,
    ) -> None:  # fmt: skip
        """InlineFigures beside each other, each over its caption; every row is whole."""
        for begin in range(0, len(figures), columns):
            self.step()
            row = figures[begin : begin + columns]
            heads, self._heads = self._heads, []
            table = self._new_table(cursor, 1, [1 / columns] * columns, width, pad=3)
            for x, one in enumerate(row):
                at = self._cell(table, 0, x)
                own = self._styled(one, style)
                photos = [part for part in one.elements if part.tag == "img"]
                self._paragraph(photos, at, replace(own, above=0, below=0))
                for part in one.elements:
                    if part.tag == "figcaption":
                        written = replace(self._styled(part, style), size=_SMALL, above=0, below=0)
                        self._paragraph(part.children, at, written)
            self._leave(cursor, table, heads, whole=True)
