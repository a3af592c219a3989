"""The memory of a pass over the images and of the shifts solved from it, before either begins."""

from __future__ import annotations

from bisect import bisect_right

from bdshift.devices import GIB
from bdshift.errors import NoRoom
from bdshift.shift.thumbnails import THUMBNAIL

MAX_STATE_BYTES = 256 * 1024 * 1024
"""Of the solver's kernels: classes are solved in groups whose state fits this."""

_IMAGE = 3 * THUMBNAIL**2 + 1024  # bytes: its thumbnail, its name, its label


def bytes_needed(images: int, dim: int, classes: int) -> int:
    """Bytes for ``images`` (N) with embeddings of ``dim`` (d) and ``classes`` (C) logits, in
    float32; to solve, the logits in float64, their exponentials, and the state of classes that are
    solved together; the head in r ≤ min(C, d) coordinates, and each class's shift.
    """
    rank = min(classes, dim)
    head = 8 * classes * (3 * rank + 2 * dim)
    state = min(MAX_STATE_BYTES, 8 * classes * max(images, 4 * classes))
    return images * (4 * dim + (4 + 16) * classes + _IMAGE) + head + 3 * state


def require_room(images: int, dim: int, classes: int, free: int) -> None:
    """Raise `NoRoom` if that does not fit ``free`` bytes, with the number of images that do."""
    needed = bytes_needed(images, dim, classes)
    if needed <= free:
        return
    least = bytes_needed(1, dim, classes)
    if least > free:
        raise NoRoom(
            "a head with {classes} classes and a {dim}-d embedding takes {needed:.2f} GiB, and "
            "{free:.2f} GiB of memory are free",
            classes=classes, dim=dim, needed=least / GIB, free=free / GIB,
        )  # fmt: skip
    most = bisect_right(range(images), free, key=lambda n: bytes_needed(n, dim, classes)) - 1
    raise NoRoom(
        "{images} images with {classes} classes and a {dim}-d embedding take {needed:.2f} GiB, and "
        "{free:.2f} GiB of memory are free: take a sample of at most {most} images",
        images=images, classes=classes, dim=dim, needed=needed / GIB, free=free / GIB, most=most,
    )  # fmt: skip
