"""One image, large, before and with the trigger; steps to others; tools for painting."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QHBoxLayout, QToolButton, QVBoxLayout, QWidget

from bdshift.triggers.placement import Outline
from bdshift_gui.ask import Ask
from bdshift_gui.i18n import tr
from bdshift_gui.plain import set_tip
from bdshift_gui.widgets.card import Elided, Text
from bdshift_gui.widgets.image_square import ImageSquare, Pixels
from bdshift_gui.widgets.paint_tools import PaintTools
from bdshift_gui.widgets.trigger_canvas import TriggerCanvas


class TriggerStage(QWidget):
    """``stepped`` carries how many images to go on, 1 or −1."""

    stepped = Signal(int)

    def __init__(self, ask: Ask) -> None:
        super().__init__()
        self.setObjectName("plain")
        self.before, self.after = ImageSquare(), TriggerCanvas()
        self.tools = PaintTools(ask)
        self.tools.hide()
        self.hint, self.fit_note = Text("muted"), Text("muted")
        self.which = Elided("muted")
        self.which.setAlignment(Qt.AlignmentFlag.AlignCenter)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        both = QHBoxLayout()
        both.addWidget(self.before, 1)
        both.addWidget(self.after, 1)
        column.addLayout(both)
        steps = QHBoxLayout()
        self.previous = self._step(Qt.ArrowType.LeftArrow, tr("Previous image"), -1)
        self.next = self._step(Qt.ArrowType.RightArrow, tr("Next image"), 1)
        steps.addWidget(self.previous)
        steps.addWidget(self.which, 1)
        steps.addWidget(self.next)
        column.addLayout(steps)
        for widget in (self.tools, self.hint, self.fit_note):
            column.addWidget(widget)
        column.addStretch(1)

    def _step(self, arrow: Qt.ArrowType, name: str, by: int) -> QToolButton:
        button = QToolButton()
        button.setObjectName("link")
        button.setArrowType(arrow)
        button.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        button.setAccessibleName(name)
        set_tip(button, name)
        button.clicked.connect(lambda: self.stepped.emit(by))
        return button

    def show_clean(self, pixels: Pixels, which: str) -> None:
        """Show another image (3, s, s), without the trigger until that is known."""
        self.which.show_text(which)
        self.before.show_pixels(pixels, tr("clean"))
        self.after.show_clean(pixels)

    def show_refused(self, clean: Pixels | None) -> None:
        """Show that there is no trigger, or none that can be applied."""
        self.after.show_pixels(clean, tr("no trigger yet"))
        self.after.show_outline(None, scalable=False)
        self.fit_note.show_text("")

    def show_triggered(self, pixels: Pixels, outline: Outline | None, *, scalable: bool) -> None:
        """Show the image with the trigger, where that is, and whether it can be scaled there."""
        self.after.show_pixels(pixels, tr("triggered"))
        self.after.show_outline(outline, scalable=scalable)
        side = pixels.shape[-1]
        self.fit_note.show_text(
            ""
            if outline is None or max(outline.own) <= side
            else tr("The picture has {width} × {height} pixels, the images {side} × {side}: it is "
                    "scaled to {wide} × {tall}, with its proportions kept.",
                    width=outline.own[1], height=outline.own[0], side=side, wide=outline.width,
                    tall=outline.height)
        )  # fmt: skip

    def show_hint(self, *, movable: bool, scalable: bool, painted: bool) -> None:
        """Say what can be done on the image."""
        hint = ""
        if painted:
            hint = tr("Paint on the right image. By keyboard: arrows move the brush, Space paints.")
        elif movable and scalable:
            hint = tr("Drag the trigger, or its corners to scale it. By keyboard: arrows, + and −.")
        elif movable:
            hint = tr("Drag the trigger. By keyboard: arrows.")
        self.hint.show_text(hint)
        self.after.setAccessibleDescription(hint)
