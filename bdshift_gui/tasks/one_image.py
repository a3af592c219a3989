"""One of the audit's images, as the network sees it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from bdshift_gui.session import State

if TYPE_CHECKING:
    from bdshift.audit import Audit
    from bdshift.images.collection import ImageCollection

Pixels = NDArray[np.uint8]


def image_at(state: State, row: int) -> Callable[[], Pixels]:
    """A function that returns the image in ``row`` of the embedding, uint8 (3, s, s): from its file
    if the images are open, else what the audit keeps of it, enlarged; of an audit that keeps none,
    gray. It may read a file.
    """
    audit, collection = state.audit, _collection(state)
    assert audit is not None

    def read() -> Pixels:
        from bdshift.audit.full_size import image_again
        from bdshift.errors import BdshiftError

        side = audit.preprocessing.size
        if audit.embedding is None:
            return np.full((3, side, side), 128, np.uint8)
        small = audit.embedding.thumbnails[row]
        if small.shape[-1] == side:
            return small
        if collection is not None:
            try:
                return image_again(audit, collection, row)
            except (BdshiftError, OSError):  # it was moved: a small one is better than none
                pass
        return _enlarged(small, side)

    return read


def rows_to_show(audit: Audit, most: int) -> range:
    """At most that many rows of the embedding, from all classes; a single one if there is none."""
    count = 1 if audit.embedding is None else len(audit.embedding.files)
    return range(0, count, max(1, -(-count // most)))


def _collection(state: State) -> ImageCollection | None:
    if state.material is not None:
        return state.material.clean.collection
    return None if state.images is None else state.images.collection


def _enlarged(small: Pixels, side: int) -> Pixels:
    import torch
    from torch.nn.functional import interpolate

    pixels = torch.from_numpy(small[None].astype(np.float32))
    return interpolate(pixels, (side, side), mode="bilinear")[0].round().to(torch.uint8).numpy()
