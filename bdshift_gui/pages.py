"""What can be shown instead of the plots: one page at a time, a part of the state."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bdshift_gui.gallery_wish import GalleryWish


@dataclass(frozen=True)
class Page:
    """The base of all pages."""


@dataclass(frozen=True)
class ComparisonPage(Page):
    """Two models side by side, numbered as in `State.shown`."""

    pair: tuple[int, int]


@dataclass(frozen=True)
class RecoveryPage(Page):
    """A recovered trigger, from 1; 0 for what the running search finds."""

    number: int


@dataclass(frozen=True)
class EvidencePage(Page):
    """The evidence beside clean models."""


@dataclass(frozen=True)
class MultiplesPage(Page):
    """The curves of the chosen purification's task vector."""


@dataclass(frozen=True)
class PurificationsPage(Page):
    """All purifications."""


@dataclass(frozen=True)
class GalleryPage(Page):
    """The images, as ``wish`` says."""

    wish: GalleryWish


@dataclass(frozen=True)
class FleetPage(Page):
    """The table of many models."""
