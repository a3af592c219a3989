"""Arrays that lie on disk instead of in memory, for embeddings of more images than fit there."""

from __future__ import annotations

import os
import tempfile
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bdshift.devices import GIB
from bdshift.errors import InputError
from bdshift.files import cache_folder


def on_disk(shape: tuple[int, ...], dtype: Any) -> NDArray[Any]:
    """An array of zeros in a file without a name in the cache folder; it ends with the array, or
    with the process. Raises `InputError` where the disk has no room.

    The room is taken now: a page that finds none later would end the process.
    """
    folder = cache_folder()
    size = max(1, int(np.prod(shape)) * np.dtype(dtype).itemsize)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            _allocate(file.fileno(), size)
            return np.memmap(file, dtype, "r+", shape=shape)
    except OSError as error:
        raise InputError(
            "{folder}: {needed:.2f} GiB for embeddings that do not fit into memory cannot be kept "
            "there ({reason}): take a sample of the images",
            folder=folder, needed=size / GIB, reason=error.strerror or str(error),
        ) from error  # fmt: skip


def _allocate(file: int, size: int) -> None:
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(file, 0, size)
        return
    zeros = bytes(2**20)
    while size > 0:
        size -= os.write(file, zeros[:size])
