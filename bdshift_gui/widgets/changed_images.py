"""The images that two models classify differently, each with both of its predictions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bdshift_gui.i18n import tr
from bdshift_gui.widgets.card import Card
from bdshift_gui.widgets.choices import Choices
from bdshift_gui.widgets.image_grid import ImageGrid, Shot

if TYPE_CHECKING:
    from bdshift.audit.comparison import Changed, Comparison

_SIDE = 48  # of an image, at least
_MAX_IMAGES = 60  # per kind
_KINDS = ("fixed", "broken", "other")


class ChangedImages(Card):
    """Clean or triggered ones; those that are now right, now wrong, or wrong in another way."""

    def __init__(self) -> None:
        super().__init__()
        self.title.setWordWrap(False)
        self._found: Comparison | None = None
        self._listed: list[Changed] = []
        self.which, self.kind = Choices(("triggered", "clean")), Choices(_KINDS)
        for choices in (self.which, self.kind):
            self.corner.addWidget(choices)
            choices.chosen.connect(self._show)
        self.list = ImageGrid(_SIDE, wrap=False)
        self.body.addWidget(self.list, 1)

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
        changed = self._changed()
        self.list.show_shots(0, self._shot)
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
        of_kind = [one for one in changed if one.kind == self.kind.now]
        every = -(-len(of_kind) // _MAX_IMAGES) or 1  # from all classes: they are sorted
        self._listed = of_kind[::every]
        self.list.show_shots(len(self._listed), self._shot)
        self.list.setAccessibleName(self.title.text())

    def _shot(self, place: int) -> Shot:
        found, one = self._found, self._listed[place]
        assert found is not None
        embedding = found.a.audit.embedding
        if self.which.now == "triggered" and found.tacs is not None:
            embedding = found.tacs[0].triggered
        assert embedding is not None
        names = found.audit.images.class_names
        was, now = names[one.was], names[one.now]
        about = tr("{file}: {was} → {now}; labeled {label}",
                   file=embedding.files[one.row].name, was=was, now=now,
                   label=names[one.label])  # fmt: skip
        return Shot((embedding.thumbnails[one.row],), f"{was}\n→ {now}", about)

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
