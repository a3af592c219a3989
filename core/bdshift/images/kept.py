"""A set of images that many models are audited with: each image is decoded and hashed once."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bdshift.errors import InputError
from bdshift.images.collection import ImageCollection, ImageFile
from bdshift.images.framing import Framing
from bdshift.images.preprocessing import MAX_SIZE
from bdshift.images.sources.base import Source
from bdshift.images.sources.choose import open_source
from bdshift.jobs import SILENT

_MAX_BYTES = 2 * 1024**3  # of all pixels kept of a set; what no longer fits is decoded each time

_Form = tuple[int, Framing]


class KeptImages(ImageCollection):
    """A collection that can keep what its images look like at some sizes and framings. Processes
    that are forked from this one share what is kept by then; `missed` tells what else they needed.

    Attributes:
        missed: the forms that were asked for and not kept, with the names of the files.
    """

    def __init__(self, path: Path, source: Source) -> None:
        super().__init__(path, source)
        self._kept: dict[_Form, dict[str, NDArray[np.uint8]]] = {}
        self._hashes: dict[str, bytes] = {}
        self._bytes = 0
        self._by_name = {file.name: file for file in self.files}
        self.missed: dict[_Form, set[str]] = {}

    def reopen(self) -> None:
        """Open the set again. A forked process must: the files of its parent are open at one place
        for both. Raises as `open_images`.
        """
        self._source = open_source(self.path, SILENT)

    def digest(self, file: ImageFile) -> bytes:
        """SHA-256 of the file's bytes when they were first read. Raises as `read`."""
        found = self._hashes.get(file.name)
        return super().digest(file) if found is None else found

    def pixels(
        self, file: ImageFile, size: int, framing: Framing
    ) -> tuple[NDArray[np.uint8], bytes]:
        """What is kept of the file; else as in any collection."""
        kept = self._kept.get((size, framing), {}).get(file.name)
        if kept is not None:
            return kept, self._hashes[file.name]
        self.missed.setdefault((size, framing), set()).add(file.name)
        return super().pixels(file, size, framing)

    def keep(self, size: int, framing: Framing, names: Collection[str]) -> None:
        """Decode and keep files at ``size`` and ``framing``, as far as there is room."""
        if not 0 < size <= MAX_SIZE:
            return
        form = self._kept.setdefault((size, framing), {})
        for name in names:
            file = self._by_name.get(name)
            if file is None or name in form or self._bytes + 3 * size * size > _MAX_BYTES:
                continue
            try:
                pixels, digest = super().pixels(file, size, framing)
            except InputError:
                continue  # whoever needs it is told why
            form[name] = pixels
            self._hashes[name] = digest
            self._bytes += pixels.nbytes


def open_kept(path: str | Path) -> KeptImages:
    """Open a set to keep its images. Raises as `open_images`."""
    return KeptImages(Path(path), open_source(Path(path), SILENT))
