"""The images that networks and preprocessings are tried on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bdshift.errors import InputError
from bdshift.images.collection import ImageCollection, ImageFile
from bdshift.images.decode import image_size, is_turned
from bdshift.images.framing import USUAL, Framing
from bdshift.images.loader import decode_all
from bdshift.jobs import JobContext
from bdshift.words import Sentence

_SHAPES = 100  # images whose headers are looked at
_SQUARE_WITHIN = 0.02  # of a side


@dataclass(frozen=True)
class Shapes:
    """What the headers of some images say.

    Attributes:
        sizes: width and height of each, as stored.
        turned: how many EXIF data say to turn or mirror.
    """

    sizes: tuple[tuple[int, int], ...]
    turned: int

    @property
    def not_square(self) -> float:
        """Share of them that is not square."""
        odd = sum(abs(w - h) > _SQUARE_WITHIN * max(w, h) for w, h in self.sizes)
        return odd / max(1, len(self.sizes))


class TrialImages:
    """A sample of the images, decoded at each size and framing that is asked for.

    Attributes:
        files: those that can be decoded.
        folders: folder of each, int64 (n,).

    Raises `InputError` if none can be decoded.
    """

    def __init__(
        self, collection: ImageCollection, files: Sequence[ImageFile], job: JobContext
    ) -> None:
        small = decode_all(collection, files, 32, job=job, stage="Reading trial images")
        if not len(small.files):
            reason = small.skipped[0].reason if small.skipped else "no files"
            raise InputError(
                "{path}: none of its images can be decoded ({reason})",
                path=collection.path, reason=reason,
            )  # fmt: skip
        self._collection, self._job = collection, job
        self.files, self.folders = small.files, small.labels
        self._usual = {32: small.pixels}

    def framed(self, framing: Framing) -> Callable[[int], NDArray[np.uint8]]:
        """Gives the images at an input size, uint8 (n, 3, size, size); each size is decoded once
        for as long as this is kept.
        """
        cache = self._usual if framing == USUAL else {}

        def pixels(size: int) -> NDArray[np.uint8]:
            if size not in cache:
                stage = Sentence("Reading trial images at {size} px", {"size": size})
                cache[size] = decode_all(
                    self._collection, self.files, size, framing=framing, job=self._job, stage=stage
                ).pixels
            return cache[size]

        return pixels

    def shapes(self) -> Shapes:
        """Shapes of up to a hundred of them."""
        sizes, turned = [], 0
        for file in self.files[:: max(1, -(-len(self.files) // _SHAPES))]:
            self._job.raise_if_canceled()
            try:
                data = self._collection.read(file)
                sizes.append(image_size(data))
            except InputError:
                continue
            turned += is_turned(data)
        return Shapes(tuple(sizes), turned)
