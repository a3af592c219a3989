"""What the cells of the gallery show: a snapshot, which stays whole whatever is opened next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bdshift_gui.i18n import say
from bdshift_gui.widgets.heat import heated
from bdshift_gui.widgets.image_grid import Pixels, Shot

if TYPE_CHECKING:
    from bdshift.audit.gallery import Gallery
    from bdshift_gui.gallery_wish import Heat


@dataclass(frozen=True)
class GalleryShots:
    """Images ``rows`` of a pass, with the ``parts`` of each that are wanted, and where neurons look
    in them if ``heat`` is given, made as clear as ``opacity`` says.
    """

    of: Gallery
    rows: Sequence[int]
    names: Sequence[str]
    parts: str
    heat: Heat | None = None
    opacity: float = 0.0

    def shot(self, place: int) -> Shot:
        """The cell at a place."""
        row = self.rows[place]
        return self._made(row, self.of.pictures(row, self.parts))

    def made_of(self, row: int, before: Pixels, after: Pixels | None) -> Shot:
        """A cell made of other pictures of the same image."""
        from bdshift.audit.gallery import pictures_of

        return self._made(row, pictures_of(before, after, self.parts))

    def _made(self, row: int, pictures: list[Pixels]) -> Shot:
        from bdshift.audit.gallery import caption, describe

        heat = self.heat
        if heat is not None and row in heat.rows:
            at = 1 if len(pictures) > 1 else 0  # the one of this pass
            own, peak = heat.values[[heat.rows.index(row)]], float(heat.values.max())
            pictures[at] = heated(pictures[at][None], own, self.opacity, peak)[0]
        words = say(caption(self.of, row, self.names)).replace(" → ", "\n→ ")
        return Shot(tuple(pictures), words, say(describe(self.of, row, self.names)))
