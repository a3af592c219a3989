"""The memory of a pass over the images and of the shifts solved from it, before either begins."""

from __future__ import annotations

from bdshift.errors import InputError

GIB = 1024**3
_IMAGE = 3 * 48 * 48 + 1024  # bytes: its thumbnail, its name, its label
_SOLVER = 768 * 1024 * 1024  # the states of a group of classes, and what products leave


def bytes_needed(images: int, dim: int, classes: int) -> int:
    """Bytes for ``images`` (N) with embeddings of ``dim`` (d) and ``classes`` (C) logits, in
    float32; to solve, the logits in float64, and their exponentials; the head in r ≤ min(C, d)
    coordinates, and each class's shift.
    """
    rank = min(classes, dim)
    head = 8 * classes * (3 * rank + 2 * dim)
    return images * (4 * dim + (4 + 16) * classes + _IMAGE) + head + _SOLVER


def require_room(images: int, dim: int, classes: int, free: int) -> None:
    """Raise `InputError` if that does not fit ``free`` bytes, with the number of images that do."""
    needed = bytes_needed(images, dim, classes)
    if needed <= free:
        return
    none = bytes_needed(0, dim, classes)
    each = bytes_needed(1, dim, classes) - none
    most = (free - none) // each
    if most < 1:
        raise InputError(
            "a head with {classes} classes and a {dim}-d embedding takes {needed:.1f} GiB, and "
            "{free:.1f} GiB of memory are free",
            classes=classes, dim=dim, needed=none / GIB, free=free / GIB,
        )  # fmt: skip
    raise InputError(
        "{images} images with {classes} classes and a {dim}-d embedding take {needed:.1f} GiB, and "
        "{free:.1f} GiB of memory are free: take a sample of at most {most} images",
        images=images, classes=classes, dim=dim, needed=needed / GIB, free=free / GIB, most=most,
    )  # fmt: skip
