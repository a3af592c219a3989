"""Painting on the image: brush and layer, and the text that is made of it."""

from __future__ import annotations

from PySide6.QtCore import QObject, Signal
from PySide6.QtGui import QKeySequence, QShortcut

from bdshift.errors import BdshiftError
from bdshift.triggers.drawing import drawing_of, drawing_text
from bdshift_gui.context import Context
from bdshift_gui.i18n import say
from bdshift_gui.jobs.events import sentence_of
from bdshift_gui.widgets.paint_layer import PaintLayer
from bdshift_gui.widgets.paint_tools import PaintTools
from bdshift_gui.widgets.trigger_canvas import TriggerCanvas


class Painting(QObject):
    """``written`` carries the text of what is painted, a moment after a stroke; ``began`` tells
    that the last one is no longer it, and ``failed`` why there is none.
    """

    began = Signal()
    written = Signal(str)
    failed = Signal(str)

    def __init__(self, context: Context, canvas: TriggerCanvas, tools: PaintTools) -> None:
        super().__init__(canvas)
        self._quick, self._canvas, self._tools = context.quick, canvas, tools
        self.layer = PaintLayer(1)
        self.unwritten = ""
        """Why what is painted cannot be written, if it cannot."""
        self._text = ""
        self._on = False
        canvas.painted.connect(self._changed)
        tools.brush_changed.connect(self._take_brush)
        canvas.brush = tools.brush
        for asked, change in (
            (tools.undo_asked, self.undo), (tools.redo_asked, self.redo),
            (tools.clear_asked, self._clear),
        ):  # fmt: skip
            asked.connect(change)
        for key, change in (
            ("Ctrl+Z", self.undo), ("Ctrl+Shift+Z", self.redo), ("Ctrl+Y", self.redo),
        ):  # fmt: skip
            QShortcut(QKeySequence(key), canvas.window(), change)

    def show(self, text: str, side: int, opacity: float) -> None:
        """Let what is in ``text`` be painted on; nothing, if that cannot be read."""
        if not self._on or text != self._text or self.layer.side != side:
            self._text = text
            if self.layer.side != side:
                self.layer = PaintLayer(side)
            try:
                self.layer.start_from(drawing_of(text, side))
            except BdshiftError:  # applying the trigger says so
                self.layer.start_from(drawing_of("", side))
            self.unwritten = ""
        self._on = True
        self._canvas.paint_on(self.layer, opacity)
        self._tools.show()
        self._tools.show_layer(self.layer)

    def hide(self) -> None:
        """Let nothing be painted."""
        self._on = False
        self._canvas.paint_on(None, 1)
        self._tools.hide()

    def undo(self) -> None:
        """Undo the last stroke."""
        if self._on and self.layer.can_undo:
            self.layer.undo()
            self._changed()

    def redo(self) -> None:
        """Do again what was undone last."""
        if self._on and self.layer.can_redo:
            self.layer.redo()
            self._changed()

    def _clear(self) -> None:
        self.layer.clear()
        self._changed()

    def _take_brush(self) -> None:
        self._canvas.brush = self._tools.brush
        self._canvas.update()

    def _changed(self) -> None:
        """Write it on another thread: a large one takes a while."""
        self._canvas.show_layer()
        self._tools.show_layer(self.layer)
        self.began.emit()
        pixels = self.layer.pixels.copy()
        self._quick.ask(self, lambda: drawing_text(pixels), self._wrote, self._fail)

    def _wrote(self, text: str) -> None:
        self._text, self.unwritten = text, ""
        self.written.emit(text)

    def forget(self) -> None:
        """Drop what is not written yet: the dialog is closed, or shows something else."""
        self._quick.forget(self)

    def _fail(self, error: Exception) -> None:
        self.unwritten = say(sentence_of(error))
        self.failed.emit(self.unwritten)
