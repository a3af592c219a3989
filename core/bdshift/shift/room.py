"""The memory of a pass over the images and of the shifts solved from it, before either begins."""

from __future__ import annotations

from bisect import bisect_right

import torch

from bdshift.devices import GIB, free_memory
from bdshift.errors import NoRoom
from bdshift.shift.thumbnails import THUMBNAIL

MAX_STATE_BYTES = 256 * 1024 * 1024
"""Of the solver's kernels: classes are solved in groups whose state fits this."""

_MAX_KEPT_BYTES = GIB
_KEPT_SHARE = 4  # of a GPU's free memory: over its bus, blocks come slowly
_ON_DISK = 1024  # bytes of an image whose arrays lie on disk: its name, its label
_IMAGE = 3 * THUMBNAIL**2 + _ON_DISK  # and its thumbnail


def kept_bytes(device: torch.device) -> int:
    """How much the solver may keep of what it could compute again, on ``device``."""
    return _MAX_KEPT_BYTES if device.type == "cpu" else free_memory(device) // _KEPT_SHARE


def bytes_needed(images: int, dim: int, classes: int, *, on_disk: bool = False) -> int:
    """Bytes for ``images`` (N) with embeddings of ``dim`` (d) and ``classes`` (C) logits, in
    float32, which may lie on disk; to solve, what is kept of the logits' exponentials, and the
    state of classes that are solved together; the head in r ≤ min(C, d) coordinates, and each
    class's shift.
    """
    rank = min(classes, dim)
    head = 8 * classes * (3 * rank + 2 * dim)
    kept = min(_MAX_KEPT_BYTES, 8 * images * classes)
    state = min(MAX_STATE_BYTES, 8 * classes * max(images, 4 * classes))
    each = _ON_DISK if on_disk else 4 * dim + 4 * classes + _IMAGE
    return images * each + kept + head + 3 * state


def belong_on_disk(images: int, dim: int, classes: int, free: int) -> bool:
    """Whether embeddings must lie on disk, since ``free`` bytes of memory do not hold them. Raises
    `NoRoom` if that does not help either, with the number of images that fit.
    """
    if bytes_needed(images, dim, classes) <= free:
        return False
    needed = bytes_needed(images, dim, classes, on_disk=True)
    if needed <= free:
        return True
    least = bytes_needed(1, dim, classes, on_disk=True)
    if least > free:
        raise NoRoom(
            "a head with {classes} classes and a {dim}-d embedding takes {needed:.2f} GiB, and "
            "{free:.2f} GiB of memory are free",
            classes=classes, dim=dim, needed=least / GIB, free=free / GIB,
        )  # fmt: skip
    most = bisect_right(
        range(images), free, key=lambda n: bytes_needed(n, dim, classes, on_disk=True)
    )
    raise NoRoom(
        "{images} images with {classes} classes and a {dim}-d embedding take {needed:.2f} GiB, and "
        "{free:.2f} GiB of memory are free: take a sample of at most {most} images",
        images=images, classes=classes, dim=dim, needed=needed / GIB, free=free / GIB,
        most=most - 1,
    )  # fmt: skip
