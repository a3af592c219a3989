"""What a trigger does to an image, found on another thread, since that may read files."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QObject, Signal

from bdshift.triggers import parse_trigger
from bdshift.triggers.placement import Outline
from bdshift_gui.i18n import say
from bdshift_gui.jobs.events import sentence_of
from bdshift_gui.jobs.quick import QuickPool

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Seen:
    """An image (3, s, s) with a trigger, and where that is; ``last`` is false if another question
    came meanwhile, whose answer follows.
    """

    pixels: Pixels
    outline: Outline | None
    last: bool = True


class TriggerLook(QObject):
    """``seen`` carries a `Seen`, ``failed`` why there is none. Of what is asked while the answer to
    an earlier question is found, only the last is: a picture of a camera takes a while.
    """

    seen = Signal(object)
    failed = Signal(str)

    def __init__(self, quick: QuickPool, parent: QObject) -> None:
        super().__init__(parent)
        self._quick = quick
        self._looking = False
        self._next: tuple[str, Pixels] | None = None

    def ask(self, text: str, clean: Pixels) -> None:
        """Apply the trigger with this text to an image (3, s, s)."""
        if self._looking:
            self._next = text, clean
            return
        self._looking = True

        def look() -> tuple[Pixels, Outline | None]:
            trigger = parse_trigger(text)
            return trigger.on_image(clean), trigger.outline(*clean.shape[1:])

        self._quick.ask(self, look, self._answer, self._fail)

    def drop(self) -> None:
        """Forget what was asked."""
        self._quick.forget(self)
        self._looking, self._next = False, None

    def _answer(self, found: tuple[Pixels, Outline | None]) -> None:
        self.seen.emit(Seen(*found, last=not self._go_on()))

    def _fail(self, error: Exception) -> None:
        if not self._go_on():
            self.failed.emit(say(sentence_of(error)))

    def _go_on(self) -> bool:
        """Go on with what was asked last, if anything was."""
        self._looking = False
        asked, self._next = self._next, None
        if asked is not None:
            self.ask(*asked)
        return asked is not None
