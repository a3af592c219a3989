"""The images that two models classify differently, each with both of its predictions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QSize, Qt
from PySide6.QtGui import QIcon, QPixmap
from PySide6.QtWidgets import QListWidgetItem

from bdshift_gui.i18n import tr
from bdshift_gui.plain import lines, set_tip
from bdshift_gui.widgets.card import Card
from bdshift_gui.widgets.choices import Choices
from bdshift_gui.widgets.image_row import ImageRow
from bdshift_gui.widgets.thumbs import as_image

if TYPE_CHECKING:
    from bdshift.audit.comparison import Changed, Comparison

_SIDE = 48
_ROW_HEIGHT = _SIDE + 44  # an image and two lines
_MAX_IMAGES = 60  # per kind
_KINDS = ("fixed", "broken", "other")


class ChangedImages(Card):
    """Clean or triggered ones; those that are now right, now wrong, or wrong in another way."""

    def __init__(self) -> None:
        super().__init__()
        self.title.setWordWrap(False)
        self._found: Comparison | None = None
        self.which, self.kind = Choices(("triggered", "clean")), Choices(_KINDS)
        for choices in (self.which, self.kind):
            self.corner.addWidget(choices)
            choices.chosen.connect(self._show)
        self.list = ImageRow(QSize(_SIDE, _SIDE), _ROW_HEIGHT + 12)  # and the scroll bar
        self.body.addWidget(self.list)

    def show_comparison(self, found: Comparison) -> None:
        """Show what changed from the first side to the second."""
        self._found = found
        self.which.enable("triggered", found.triggered is not None)
        self.which.enable("clean", found.clean is not None or found.triggered is None)
        self._show()

    def _changed(self) -> tuple[Changed, ...] | None:
        assert self._found is not None
        return self._found.clean if self.which.now == "clean" else self._found.triggered

    def _show(self) -> None:
        self._label()
        self.list.clear()
        changed = self._changed()
        if changed is None:
            self.title.show_text(tr("Changed images need an audit with embeddings"))
            return
        self.title.show_text(
            tr("{count:|triggered image is|triggered images are} classified differently",
               count=len(changed))
            if self.which.now == "triggered"
            else tr("{count:|clean image is|clean images are} classified differently",
                    count=len(changed))
        )  # fmt: skip
        found = self._found
        assert found is not None
        embedding = found.a.audit.embedding
        if self.which.now == "triggered" and found.tacs is not None:
            embedding = found.tacs[0].triggered
        assert embedding is not None
        names = found.audit.images.class_names
        of_kind = [one for one in changed if one.kind == self.kind.now]
        every = -(-len(of_kind) // _MAX_IMAGES) or 1  # from all classes: they are sorted
        for one in of_kind[::every]:
            icon = QIcon(QPixmap.fromImage(as_image(embedding.thumbnails[one.row], _SIDE)))
            item = QListWidgetItem(icon, lines(f"{names[one.was][:11]}\n→ {names[one.now][:11]}"))
            item.setSizeHint(QSize(92, _ROW_HEIGHT))
            item.setTextAlignment(Qt.AlignmentFlag.AlignHCenter)
            set_tip(item, tr("{file}: {was} → {now}; labeled {label}",
                         file=embedding.files[one.row].name, was=names[one.was],
                         now=names[one.now], label=names[one.label]))  # fmt: skip
            self.list.addItem(item)
        self.list.setAccessibleName(self.title.text())

    def _label(self) -> None:
        changed = self._changed() or ()
        counts = {kind: sum(one.kind == kind for one in changed) for kind in _KINDS}
        self.which.label(
            "",
            {"triggered": (tr("triggered"), tr("Triggered images, except those of the target "
                                               "class.")),
             "clean": (tr("clean"), tr("All clean images of the audit, including those that were "
                                       "learned from."))},
        )  # fmt: skip
        self.kind.label(
            "",
            {"fixed": (tr("now correct {count}", count=counts["fixed"]),
                        tr("Wrong before, correct now.")),
             "broken": (tr("now wrong {count}", count=counts["broken"]),
                        tr("Correct before, wrong now.")),
             "other": (tr("still wrong {count}", count=counts["other"]),
                       tr("Wrong before and now, with different predictions."))},
        )  # fmt: skip
