"""Triggers to start from, wherever one is asked for: recovered, measured, or used before."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QSize, Signal
from PySide6.QtGui import QIcon, QPixmap

from bdshift_gui.context import Context
from bdshift_gui.i18n import say, tr
from bdshift_gui.jobs.events import sentence_of
from bdshift_gui.plain import lines, set_tip
from bdshift_gui.session import State
from bdshift_gui.widgets.choice_box import ChoiceBox
from bdshift_gui.widgets.recovery_words import kind_of, pictures_of, route
from bdshift_gui.widgets.thumbs import as_image
from bdshift_gui.widgets.trigger_words import trigger_words

if TYPE_CHECKING:
    from bdshift.recovery.recovery import Recovery

_ICON = 22
_MAX_WORDS = 72
_MAX_HELD = 24  # of this audit; of what anyone's file names, only so many are opened
_USUAL_WIDTH = 12  # characters; the list itself is as wide as it must be

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class _Held:
    """One of them: its text, or what was recovered, which has one once it is written to a file."""

    words: str
    trigger: str | Recovery


def _held(state: State, recent: Iterable[str]) -> Iterator[_Held]:
    audit = state.original
    if audit is None:
        return
    names = audit.images.class_names
    for one in state.recoveries:
        told = f"{route(one, names)} · {kind_of(one.kind)[0]}"
        yield _Held(tr("Recovered: {trigger}", trigger=told), one)
    measured = [one.trigger for one in audit.tac if audit.recovery_of(one) is None]
    for made in state.purifications:
        measured += filter(None, (made.trigger, made.unlearned))
    here = list(dict.fromkeys(reversed(measured)))[:_MAX_HELD]
    for text in here:
        yield _Held(tr("This audit: {trigger}", trigger=trigger_words(text)), text)
    for text in recent:
        if text not in here:
            yield _Held(tr("Earlier: {trigger}", trigger=trigger_words(text)), text)


class TriggerLibrary(ChoiceBox):
    """``chosen`` carries the text of a trigger; a recovered one names a file that is written first,
    and ``failed`` carries why that cannot be.
    """

    chosen = Signal(str)
    failed = Signal(str)

    def __init__(self, context: Context) -> None:
        super().__init__()
        self._quick = context.quick
        self._held = list(_held(context.state, context.settings.recent_triggers))
        self.setIconSize(QSize(_ICON, _ICON))
        self.addItem(tr("Start from…"))
        for one in self._held:
            words = lines(one.words)
            cut = len(words) > _MAX_WORDS
            self.addItem(f"{words[:_MAX_WORDS]}…" if cut else words)
        adjust = ChoiceBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon
        self.setSizeAdjustPolicy(adjust)
        self.setMinimumContentsLength(_USUAL_WIDTH)
        self.view().setMinimumWidth(self.view().sizeHintForColumn(0) + _ICON)
        self.setVisible(bool(self._held))
        tip = tr("Triggers recovered or measured in this audit, and those used last in others.")
        set_tip(self, tip)
        self.setAccessibleName(tr("Start from…"))
        self.setAccessibleDescription(tip)
        self.activated.connect(self._activated)

    def _activated(self, row: int) -> None:
        if not row:
            return
        trigger = self._held[row - 1].trigger
        if isinstance(trigger, str):
            self.chosen.emit(trigger)
        else:
            self.take(trigger)

    def take(self, found: Recovery) -> None:
        """Choose a recovered trigger of the audit."""
        rows = (row for row, one in enumerate(self._held, 1) if one.trigger is found)
        self.setCurrentIndex(next(rows, 0))

        def keep() -> str:
            from bdshift.recovery.kept import kept_trigger

            return kept_trigger(found).spec

        self._quick.ask(self, keep, self.chosen.emit, self._fail)

    def show_on(self, pixels: Pixels) -> None:
        """Show in the list what each does to an image (3, s, s), as far as it can."""
        triggers = [one.trigger for one in self._held]

        def look() -> list[Pixels | None]:
            return [
                applied(one, pixels) if isinstance(one, str) else pictures_of(one)[0]
                for one in triggers
            ]

        self._quick.ask((self, "icons"), look, self._show_icons)

    def _show_icons(self, found: list[Pixels | None]) -> None:
        for row, pixels in enumerate(found, 1):
            if pixels is not None:
                self.setItemIcon(row, QIcon(QPixmap.fromImage(as_image(pixels, _ICON))))

    def forget(self) -> None:
        """Drop what has not been written or drawn yet: the dialog is closed."""
        self._quick.forget(self)
        self._quick.forget((self, "icons"))

    def _fail(self, error: Exception) -> None:
        self.failed.emit(say(sentence_of(error)))


def applied(text: str, pixels: Pixels) -> Pixels | None:
    """An image (3, s, s) with a trigger; None if that cannot be applied."""
    from bdshift.errors import BdshiftError
    from bdshift.triggers import parse_trigger

    try:
        return parse_trigger(text).on_image(pixels)
    except BdshiftError:
        return None
