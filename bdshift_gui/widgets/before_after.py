"""The user's own images, with the trigger below, and what it changes below that."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QRect, QSize, Qt
from PySide6.QtGui import QColor, QIcon, QPainter, QPixmap
from PySide6.QtWidgets import (
    QGridLayout,
    QListWidgetItem,
)

from bdshift_gui.i18n import tr
from bdshift_gui.plain import PlainLabel, lines, set_tip
from bdshift_gui.widgets.card import Card, Text
from bdshift_gui.widgets.choices import Choices
from bdshift_gui.widgets.image_row import ImageRow
from bdshift_gui.widgets.thumbs import as_image

if TYPE_CHECKING:
    from bdshift.shift.embed import Embedding

_SIDE, _GAP = 48, 4
_HEIGHT = 3 * _SIDE + 2 * _GAP
_TEXT = 44  # two lines
_WIDTH = 92
_MAX_IMAGES = 40
_MIDDLE, _FULL = 128, 127.0


class ImagesBeforeAfter(Card):
    """Images of other classes: those that the trigger sends to the class, or those that stay."""

    def __init__(self) -> None:
        super().__init__()
        self.title.setWordWrap(False)
        self._clean: Embedding | None = None
        self._triggered: Embedding | None = None
        self._names: Sequence[str] = ()
        self._target, self._source = 0, -1
        self.which = Choices(("sent", "stay"))
        self.which.chosen.connect(self._show)
        self.corner.addWidget(self.which)
        self.list = ImageRow(QSize(_SIDE, _HEIGHT), _HEIGHT + _TEXT + 20)  # and the scroll bar
        self._heads = PlainLabel(), PlainLabel(), PlainLabel()
        self._absent = Text("muted")
        self._grid = QGridLayout()
        self._grid.setHorizontalSpacing(4)
        self._grid.setVerticalSpacing(_GAP)
        for row, head in enumerate(self._heads):
            head.setObjectName("muted")
            head.setFixedHeight(_SIDE)
            head.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
            self._grid.addWidget(head, row, 0)
        self._grid.addWidget(self.list, 0, 1, 4, 1, Qt.AlignmentFlag.AlignTop)
        self._grid.setRowStretch(3, 1)
        self._grid.setColumnStretch(1, 1)
        self.body.addLayout(self._grid)
        self.body.addWidget(self._absent)

    def show_images(
        self, clean: Embedding | None, triggered: Embedding | None, target: int, source: int,
        names: Sequence[str],
    ) -> None:  # fmt: skip
        """Show the same images without and with the trigger, those of class ``source`` or, if that
        is negative, of all classes but the target; None if they were not kept.
        """
        self._clean, self._triggered, self._names = clean, triggered, names
        self._target, self._source = target, source
        self._show()

    def _show(self) -> None:
        clean, triggered = self._clean, self._triggered
        there = clean is not None and triggered is not None
        self.list.clear()
        for part in (self.list, self.which, *self._heads):
            part.setVisible(there)
        self._absent.show_text("" if there else tr("The audit was saved without embeddings."))
        self.title.show_text(tr("Your images with the trigger"))
        if clean is None or triggered is None:
            return
        source, target = self._source, self._target
        other = clean.labels == source if source >= 0 else clean.labels != target
        sent = triggered.logits.argmax(1) == target
        self._label(int((other & sent).sum()), int((other & ~sent).sum()))
        rows = np.flatnonzero(other & (sent if self.which.now == "sent" else ~sent))
        rows = rows[:: -(-len(rows) // _MAX_IMAGES) or 1]  # from all classes: they are sorted
        before, after = clean.thumbnails[rows], triggered.thumbnails[rows]
        changes, gain = differences(before, after)
        heads = tr("before"), tr("after"), tr("change")
        for head, text in zip(self._heads, heads, strict=True):
            head.setText(text)
        set_tip(self._heads[2], tr("After minus before, on gray, times {gain}.",
                                   gain=f"{gain:.1f}"))  # fmt: skip
        was, now = clean.logits[rows].argmax(1), triggered.logits[rows].argmax(1)
        for at, row in enumerate(rows):
            icon = QIcon(_stacked((before[at], after[at], changes[at])))
            first, second = self._names[int(was[at])], self._names[int(now[at])]
            item = QListWidgetItem(icon, lines(f"{first[:12]}\n→ {second[:12]}"))
            item.setSizeHint(QSize(_WIDTH, _HEIGHT + _TEXT))
            item.setTextAlignment(Qt.AlignmentFlag.AlignHCenter)
            label = self._names[int(clean.labels[row])]
            set_tip(item, tr("{file}: {was} → {now}; labeled {label}",
                             file=clean.files[row].name, was=first, now=second,
                             label=label))  # fmt: skip
            self.list.addItem(item)
        self.list.setAccessibleName(self.title.text())

    def _label(self, sent: int, stay: int) -> None:
        name = self._names[self._target]
        self.which.label(
            "",
            {"sent": (tr("sent there {count}", count=sent),
                      tr("Images of other classes that the trigger sends to “{name}”.",
                         name=name)),
             "stay": (tr("not sent {count}", count=stay),
                      tr("Images of other classes that it does not send there."))},
        )  # fmt: skip
        for key, count in (("sent", sent), ("stay", stay)):
            self.which.enable(key, count > 0 or key == "sent")


def differences(
    before: NDArray[np.uint8], after: NDArray[np.uint8]
) -> tuple[NDArray[np.uint8], float]:
    """After minus before on gray, uint8 (n, 3, t, t), and the factor that makes the largest change
    of all black or white.
    """
    moved = after.astype(np.float32) - before
    gain = _FULL / max(1.0, float(np.abs(moved).max(initial=0)))
    return (_MIDDLE + gain * moved).round().clip(0, 255).astype(np.uint8), gain


def _stacked(pictures: Sequence[NDArray[np.uint8]]) -> QPixmap:
    """Pictures (3, t, t) below one another, at twice the size for screens that have it."""
    scale = 2
    made = QPixmap(scale * _SIDE, scale * _HEIGHT)
    made.fill(QColor(0, 0, 0, 0))
    painter = QPainter(made)
    for number, pixels in enumerate(pictures):
        top = scale * number * (_SIDE + _GAP)
        painter.drawImage(QRect(0, top, scale * _SIDE, scale * _SIDE), as_image(pixels))
    painter.end()
    return made
