"""Decodes many files into batches of pixels: in parallel, in order, in bounded memory."""

from __future__ import annotations

import hashlib
import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from bdshift.errors import InputError
from bdshift.images.collection import ImageCollection, ImageFile, Skipped
from bdshift.images.framing import USUAL, Framing
from bdshift.jobs import SILENT, JobContext
from bdshift.words import Sentence

_CHUNK_FILES = 32  # per task: enough that handing tasks over costs nothing
_CANCEL_EVERY = 0.1  # seconds


@dataclass(frozen=True)
class DecodedImages:
    """Decoded images.

    Attributes:
        pixels: uint8 (n, 3, size, size), RGB.
        files: the n files they came from, in the same order.
        digests: SHA-256 of each file's bytes.
        skipped: files requested along with these that could not be decoded.
    """

    pixels: NDArray[np.uint8]
    files: tuple[ImageFile, ...]
    digests: tuple[bytes, ...]
    skipped: tuple[Skipped, ...]

    @property
    def labels(self) -> NDArray[np.int64]:
        """Folder index of each image, int64 (n,)."""
        return np.array([file.label for file in self.files], dtype=np.int64)


def _decode_chunk(
    collection: ImageCollection,
    files: Sequence[ImageFile],
    size: int,
    framing: Framing,
    job: JobContext,
) -> DecodedImages:
    pixels, kept, digests, skipped = [], [], [], []
    for file in files:
        job.raise_if_canceled()
        try:
            found, digest = collection.pixels(file, size, framing)
        except InputError as error:
            skipped.append(Skipped(file.name, error.sentence))
            continue
        pixels.append(found)
        kept.append(file)
        digests.append(digest)
    stacked = np.stack(pixels) if pixels else np.empty((0, 3, size, size), np.uint8)
    return DecodedImages(stacked, tuple(kept), tuple(digests), tuple(skipped))


def _join(parts: Sequence[DecodedImages]) -> DecodedImages:
    return DecodedImages(
        np.concatenate([part.pixels for part in parts]),
        tuple(file for part in parts for file in part.files),
        tuple(digest for part in parts for digest in part.digests),
        tuple(skip for part in parts for skip in part.skipped),
    )


def decoded_batches(
    collection: ImageCollection,
    files: Sequence[ImageFile],
    size: int,
    *,
    framing: Framing = USUAL,
    batch: int = 256,
    job: JobContext = SILENT,
) -> Iterator[DecodedImages]:
    """Decode ``files`` in order, about ``batch`` at a time, a few batches ahead of the reader.

    Files that cannot be decoded are reported in the batch's ``skipped``; they never raise.
    """
    workers = _workers()
    per_batch = max(1, batch // _CHUNK_FILES)
    ready: list[DecodedImages] = []
    decode = partial(_decode_chunk, collection, size=size, framing=framing, job=job)
    pool = ThreadPoolExecutor(workers, thread_name_prefix="decode")
    try:
        for part in _in_order(pool, decode, files, 2 * per_batch + workers, job):
            ready.append(part)
            if len(ready) == per_batch:
                yield _join(ready)
                ready = []
        if ready:
            yield _join(ready)
    finally:
        # A decoder cannot be stopped: after Cancel, each ends its picture unattended.
        pool.shutdown(wait=False, cancel_futures=True)


def _in_order(
    pool: ThreadPoolExecutor,
    decode: Callable[[Sequence[ImageFile]], DecodedImages],
    files: Sequence[ImageFile],
    ahead: int,
    job: JobContext,
) -> Iterator[DecodedImages]:
    """Decoded chunks in the order of ``files``, never more than ``ahead`` of them in flight."""
    waiting: deque[Future[DecodedImages]] = deque()
    for start in range(0, len(files), _CHUNK_FILES):
        chunk = files[start : start + _CHUNK_FILES]
        waiting.append(pool.submit(decode, chunk))
        if len(waiting) >= ahead:
            yield _result(waiting.popleft(), job)
    while waiting:
        yield _result(waiting.popleft(), job)


def _result(waiting: Future[DecodedImages], job: JobContext) -> DecodedImages:
    """A chunk, once it is decoded; Cancel does not wait for that."""
    job.raise_if_canceled()
    while not wait([waiting], _CANCEL_EVERY).done:
        job.raise_if_canceled()
    return waiting.result()


def decode_all(
    collection: ImageCollection,
    files: Sequence[ImageFile],
    size: int,
    *,
    framing: Framing = USUAL,
    job: JobContext = SILENT,
    stage: str | Sentence = "Reading images",
) -> DecodedImages:
    """Decode all ``files`` into memory: 3·size² bytes per image."""
    parts = []
    done = 0
    for part in decoded_batches(collection, files, size, framing=framing, job=job):
        parts.append(part)
        done += len(part.files) + len(part.skipped)
        job.progress(stage, done, len(files), "images")
    if not parts:
        return _decode_chunk(collection, (), size, framing, job)
    return _join(parts)


def file_digests(
    collection: ImageCollection, files: Sequence[ImageFile], *, job: JobContext = SILENT
) -> list[bytes]:
    """SHA-256 of each file's bytes, without decoding; empty for a file that cannot be read."""

    def digest(file: ImageFile) -> bytes:
        job.raise_if_canceled()
        try:
            return collection.digest(file)
        except InputError:
            return b""

    with ThreadPoolExecutor(_workers(), thread_name_prefix="hash") as pool:
        return list(pool.map(digest, files))


def _workers() -> int:
    return max(1, min(8, os.cpu_count() or 1))


def content_hash(files: Sequence[ImageFile], digests: Sequence[bytes]) -> str:
    """One SHA-256, in hex, over names, labels if there are any, and contents; the order does not
    matter.
    """
    rows = sorted(
        f"{file.name}\0{file.label if file.labeled else ''}\0{digest.hex()}\n"
        for file, digest in zip(files, digests, strict=True)
    )
    return hashlib.sha256("".join(rows).encode("utf-8", "surrogateescape")).hexdigest()
