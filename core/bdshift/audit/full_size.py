"""The audit's images as the network sees them, read again from the folder, for audits whose kept
thumbnails are smaller.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from bdshift.audit.records import Audit
from bdshift.errors import InputError
from bdshift.files import KeptPath, usable
from bdshift.images.collection import ImageCollection, open_images
from bdshift.images.decode import decode_image
from bdshift.shift.thumbnails import THUMBNAIL, shrink
from bdshift.triggers import Trigger

_ROUNDING = 1  # of a thumbnail that was made on another device


def image_again(audit: Audit, collection: ImageCollection, row: int) -> NDArray[np.uint8]:
    """An image of the audit's embedding as the network sees it, uint8 (3, s, s), from its file.

    Raises `InputError` if it cannot be read, or is not the image of the audit any more.
    """
    embedding, preprocess = audit.embedding, audit.preprocessing
    assert embedding is not None
    file = embedding.files[row]
    decoded = decode_image(collection.read(file), preprocess.size, preprocess.framing)
    small = shrink(torch.from_numpy(decoded)[None])[0].numpy().astype(int)
    kept = embedding.thumbnails[row]
    if small.shape != kept.shape or np.abs(small - kept).max() > _ROUNDING:
        raise InputError("{path}: has changed since the audit", path=file.name)
    return decoded


class FullSizeImages:
    """Reads one image at a time. The folder is listed when the first one is read.

    Args:
        audit: with embeddings.
        folder: the images of the audit, or where they are now.
    """

    def __init__(self, audit: Audit, folder: Path | KeptPath) -> None:
        self._audit, self._folder = audit, folder
        self._collection: ImageCollection | None = None

    @property
    def are_larger(self) -> bool:
        """Whether the network sees more than the thumbnails show."""
        return self._audit.preprocessing.size > THUMBNAIL

    def read(
        self, row: int, trigger: Trigger | None = None
    ) -> tuple[NDArray[np.uint8], NDArray[np.uint8] | None]:
        """An image of the audit's embedding, uint8 (3, s, s), and the same with a trigger. Raises
        as `image_again`.
        """
        if self._collection is None:
            self._collection = open_images(usable(self._folder))
        decoded = image_again(self._audit, self._collection, row)
        return decoded, None if trigger is None else trigger.on_image(decoded)
