"""How the process gets its memory: what a network frees is kept for its next pass.

glibc returns every block above 32 MB to the system when it is freed, and asks for it again in the
next batch; the system then clears each of its pages. ResNet-50 on 32 images of 224 pixels, three
times, one thread: 19.2 s of processor time, 16.1 s if blocks are kept; with gradients 61.4 and
52.2 s. The most memory that it has grows by a tenth.
"""

from __future__ import annotations

import sys

_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8  # as malloc.h numbers them
_KEPT = 1 << 30  # bytes, of one block and of all that is free at the end of the heap


def keep_freed_memory() -> None:
    """Let this process keep up to a gigabyte of the memory that it frees. For programs, not for
    libraries: call it before threads are started. Does nothing where the C library isn't glibc, or
    one that is too old.
    """
    if sys.platform != "linux":
        return
    import ctypes

    library = ctypes.CDLL(None)
    if not hasattr(library, "gnu_get_libc_version"):
        return
    # An older glibc takes no such threshold, and the next call would keep it from finding its own.
    if library.mallopt(_MMAP_THRESHOLD, _KEPT):
        library.mallopt(_TRIM_THRESHOLD, _KEPT)
        library.mallopt(_ARENA_MAX, 1)  # those of other threads are too small for such blocks
