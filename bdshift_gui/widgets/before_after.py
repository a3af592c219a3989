"""The user's own images, with the trigger below, and what it changes below that."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QGridLayout, QToolButton

from bdshift_gui.i18n import tr
from bdshift_gui.plain import PlainLabel, set_tip
from bdshift_gui.widgets.card import Card, Text
from bdshift_gui.widgets.choices import Choices
from bdshift_gui.widgets.gallery_shots import GalleryShots
from bdshift_gui.widgets.image_grid import GAP, ImageGrid

if TYPE_CHECKING:
    from bdshift.audit.gallery import Gallery

_SIDE = 48  # of a picture, at least
_MAX_IMAGES = 40
_PICTURES = 3


class ImagesBeforeAfter(Card):
    """Images of other classes: those that the trigger sends to the class, or those that stay.
    ``more`` says that the user wants to see all of them.
    """

    more = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.title.setWordWrap(False)
        self._of: Gallery | None = None
        self._names: Sequence[str] = ()
        self.rows: list[int] = []
        self.which = Choices(("sent", "stay"))
        self.which.chosen.connect(self._show)
        self.all = QToolButton()
        self.all.setObjectName("link")
        self.all.clicked.connect(self.more)
        self.corner.addWidget(self.which)
        self.corner.addWidget(self.all)
        self.list = ImageGrid(_SIDE, _PICTURES, wrap=False, stacked=True)
        self.list.opened.connect(self.more)
        self.list.resized.connect(self._align)
        self._heads = PlainLabel(), PlainLabel(), PlainLabel()
        self._absent = Text("muted")
        self._grid = QGridLayout()
        self._grid.setHorizontalSpacing(4)
        self._grid.setVerticalSpacing(GAP)
        for row, head in enumerate(self._heads):
            head.setObjectName("muted")
            head.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
            self._grid.addWidget(head, row, 0)
        self._grid.addWidget(self.list, 0, 1, 4, 1)
        self._grid.setRowStretch(3, 1)
        self._grid.setColumnStretch(1, 1)
        self.body.addLayout(self._grid, 1)
        self.body.addWidget(self._absent)
        self._align()

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._align()

    def _align(self) -> None:
        """The heads are beside their pictures."""
        for head in self._heads:
            head.setFixedHeight(self.list.side)

    def show_gallery(self, of: Gallery | None, names: Sequence[str]) -> None:
        """Show the pass of a trigger; None if the audit has no embeddings."""
        self._of, self._names = of, names
        self._show()

    def _show(self) -> None:
        of = self._of
        for part in (self.list, self.which, self.all, *self._heads):
            part.setVisible(of is not None)
        self._absent.show_text(
            "" if of is not None else tr("The audit was saved without embeddings.")
        )
        self.title.show_text(tr("Your images with the trigger"))
        if of is None:
            self.rows = []
            return
        self._label(len(of.rows("sent")), len(of.rows("stay")))
        self.rows = of.rows(self.which.now)[:_MAX_IMAGES].tolist()
        heads = tr("before"), tr("after"), tr("change")
        for head, text in zip(self._heads, heads, strict=True):
            head.setText(text)
        set_tip(self._heads[2], tr("After minus before, on gray, as clear as it can be made."))
        shots = GalleryShots(of, self.rows, self._names, "change")
        self.list.show_shots(len(self.rows), shots.shot, _PICTURES)
        self.list.setAccessibleName(self.title.text())

    def _label(self, sent: int, stay: int) -> None:
        assert self._of is not None
        name = self._names[self._of.target]
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
        self.all.setText(tr("Show all"))
        set_tip(self.all, tr("Show all images, larger."))
