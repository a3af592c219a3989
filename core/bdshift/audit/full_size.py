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
from bdshift.shift.embed import THUMBNAIL, shrink
from bdshift.triggers import Trigger


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
        """An image of the audit's embedding, uint8 (3, s, s), and the same with a trigger.

        Raises `InputError` if it cannot be read, or is not the image of the audit any more.
        """
        embedding, preprocess = self._audit.embedding, self._audit.preprocessing
        assert embedding is not None
        if self._collection is None:
            self._collection = open_images(usable(self._folder))
        file = embedding.files[row]
        decoded = decode_image(self._collection.read(file), preprocess.size, preprocess.framing)
        pixels = torch.from_numpy(decoded)[None]
        if not np.array_equal(shrink(pixels)[0].numpy(), embedding.thumbnails[row]):
            raise InputError("{path}: has changed since the audit", path=file.name)
        if trigger is None:
            return decoded, None
        changed = trigger(pixels.float()).round_().to(torch.uint8)
        return decoded, changed[0].numpy()
