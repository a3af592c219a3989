"""What is wanted of the images, and where neurons look in them: parts of the state."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from bdshift.neurons.spatial import MapKind

Which = tuple[str, int]
"""A trigger's text and target, as `bdshift.audit.gallery.Gallery.which`."""


@dataclass(frozen=True)
class GalleryWish:
    """Which images are looked at: of which pass, which of them, in what order, of which class (−1
    for all), and which pictures of each; names as in `bdshift.audit.gallery`.
    """

    which: Which
    only: str = "all"
    order: str = "turns"
    label: int = -1
    parts: str = "both"


@dataclass(frozen=True)
class Heat:
    """Where ``neurons`` look in some images of a pass: float32 (n, h, w), of ``rows``."""

    which: Which
    neurons: tuple[int, ...]
    rows: tuple[int, ...]
    values: NDArray[np.float32]
    kind: MapKind
