"""One pass of the clean images through the network: embeddings, logits, labels. Everything about
the last layer is computed from these, without running the network again.

On one machine, the same images in batches of the same size give the same numbers, bit for bit.
Batches of other sizes round differently: docs/method.md says by how much, and for other precisions.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from bdshift.arrays import array, freeze
from bdshift.checkpoints.classifier import Classifier
from bdshift.checkpoints.footprint import interruptible, largest_batch, work_per_image
from bdshift.devices import (
    autocast,
    free_memory,
    has_native_bfloat16,
    is_out_of_memory,
    usual_precision,
)
from bdshift.errors import InputError
from bdshift.images.collection import ImageCollection, ImageFile, Skipped
from bdshift.images.loader import content_hash, decoded_batches
from bdshift.jobs import SILENT, JobContext
from bdshift.shift.expected import say_what_it_takes
from bdshift.shift.on_disk import on_disk
from bdshift.shift.room import belong_on_disk
from bdshift.shift.thumbnails import shrink
from bdshift.words import Sentence

Precision = Literal["float32", "bfloat16"]

Change = Callable[[torch.Tensor], torch.Tensor]
"""A change of pixels before they are normalized, such as a trigger: from float32 (n, 3, s, s) in
0…255 to the same shape.
"""

_CPU = torch.device("cpu")
_MAX_BATCH = 256  # images at a time; more are no faster
_CHECK_IMAGES = 32
_MIN_AGREEMENT = 0.97  # share of images with the same prediction in both precisions
_MAX_ERROR = 0.05  # difference of the logits, relative to their standard deviation


@dataclass(frozen=True, kw_only=True)
class Embedding:
    """The results of one pass. Arrays are read-only, and lie on disk where memory has no room.

    Attributes:
        phi: φ(x), float32 (N, d).
        logits: φWᵀ + b, float32 (N, C).
        labels: class of each image, int64 (N,); of images without labels, the class that the
            audited network predicts.
        thumbnails: what the network saw, small: uint8 (N, 3, t, t), RGB, t ≤ `THUMBNAIL`.
        files: where they came from, in order.
        images_hash: SHA-256 over names, labels and contents.
        skipped: files that could not be decoded.
        precision: of the network's convolutions.
        batch: images at a time; of those that ran, if memory ran out.
        seconds: wall time, including decoding.
    """

    phi: NDArray[np.float32] = array("N", "d", dtype=np.float32)
    logits: NDArray[np.float32] = array("N", "C", dtype=np.float32)
    labels: NDArray[np.int64] = array("N", dtype=np.int64)
    thumbnails: NDArray[np.uint8] = array("N", 3, "t", "t", dtype=np.uint8)
    files: tuple[ImageFile, ...]
    images_hash: str
    skipped: tuple[Skipped, ...]
    precision: Precision
    batch: int
    seconds: float

    def __post_init__(self) -> None:
        freeze(self)

    @cached_property
    def mean(self) -> NDArray[np.float64]:
        """Mean activation of each neuron, float64 (d,)."""
        return self.phi.mean(0, dtype=np.float64)

    @property
    def labeled(self) -> bool:
        """Whether the images have labels of their own."""
        return all(file.labeled for file in self.files)

    def with_predictions(self) -> Embedding:
        """The same, with the predictions in place of labels."""
        predicted = self.logits.argmax(1).astype(np.int64)
        files = tuple(
            replace(file, label=label, labeled=False)
            for file, label in zip(self.files, predicted.tolist(), strict=True)
        )
        return replace(self, labels=predicted, files=files)

    @property
    def accuracy(self) -> float:
        """Share of images classified as labeled; NaN without labels."""
        if not self.labeled:
            return math.nan
        return float((self.logits.argmax(1) == self.labels).mean())


def pick_precision(
    classifier: Classifier, pixels: NDArray[np.uint8], device: torch.device
) -> Precision:
    """bfloat16 where the hardware has it and a sample gives the same answers as float32."""
    if not has_native_bfloat16(device) or not len(pixels):
        return "float32"
    images = classifier.preprocessing(torch.from_numpy(pixels[:_CHECK_IMAGES]).to(device))
    exact = _forward(classifier, images, "float32")[1]
    rough = _forward(classifier, images, "bfloat16")[1]
    same = (exact.argmax(1) == rough.argmax(1)).float().mean().item()
    error = ((exact - rough).square().mean().sqrt() / exact.std()).item()
    return "bfloat16" if same >= _MIN_AGREEMENT and error <= _MAX_ERROR else "float32"


def _forward(
    classifier: Classifier, images: torch.Tensor, precision: str
) -> tuple[torch.Tensor, torch.Tensor]:
    """φ and φWᵀ + b, the head always in float32, so that the logits match φ exactly."""
    with autocast(images.device, precision):
        phi = classifier.embed(images)[0].float()
    return phi, torch.addmm(classifier.bias, phi, classifier.weight.T)


class _Pass:
    """Runs images in batches, all of one size unless memory runs out."""

    def __init__(
        self,
        classifier: Classifier,
        precision: Precision,
        batch: int,
        job: JobContext,
    ) -> None:
        self.classifier, self.precision = classifier, precision
        self.batch, self.job = batch, job
        self.device = classifier.weight.device

    def run(
        self, pixels: NDArray[np.uint8], trigger: Change | None
    ) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.uint8]]:
        """φ, logits and thumbnails of decoded images."""
        parts = []
        start = 0
        while start < len(pixels):
            self.job.raise_if_canceled()
            part = pixels[start : start + self.batch]
            try:
                parts.append(self._one(part, trigger))
            except RuntimeError as error:
                if not is_out_of_memory(error) or self.batch == 1:
                    raise
                self.batch = self.batch // 2
                continue
            start += len(part)
        phi, logits, small = (torch.cat(columns).numpy() for columns in zip(*parts, strict=True))
        return phi, logits, small

    def _one(
        self, pixels: NDArray[np.uint8], trigger: Change | None
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        images = torch.from_numpy(pixels)
        if self.device.type == "cuda":
            images = images.pin_memory()
        images = images.to(self.device, non_blocking=True)
        if trigger is not None:
            images = trigger(images.float()).round_()
        phi, logits = _forward(
            self.classifier, self.classifier.preprocessing(images), self.precision
        )
        return phi.cpu(), logits.cpu(), shrink(images).cpu()


def embed_images(
    classifier: Classifier,
    collection: ImageCollection,
    files: Sequence[ImageFile],
    class_of_folder: Sequence[int],
    *,
    trigger: Change | None = None,
    device: torch.device | None = None,
    precision: Precision | None = None,
    batch: int | None = None,
    job: JobContext = SILENT,
) -> Embedding:
    """Decode ``files`` and run them through ``classifier`` once, decoding the next batch meanwhile.

    Args:
        classifier: with its preprocessing chosen.
        collection, files: the images.
        class_of_folder: class index of each of the collection's folders.
        trigger: applied to the pixels first (and rounded to 8 bits), to measure TAC or ASR.
        device: where to run; the CPU by default.
        precision: by default, what `pick_precision` finds.
        batch: images at a time; by default what `largest_batch` finds. Halved if memory runs out.
        job: progress and cancellation, checked at every batch.

    Raises `InputError` if no image can be decoded, or the network's outputs are not finite.
    """
    started = time.perf_counter()
    preprocess = classifier.preprocessing
    where = device or torch.device("cpu")
    classifier.network.to(where)
    size = batch or largest_batch(
        classifier.network, preprocess.size, where, _MAX_BATCH, preprocess.channels
    )
    stage = Sentence("Embedding clean images")
    if trigger is not None:
        stage = Sentence("Embedding triggered images")
    sizes = len(files), classifier.embedding_dim, classifier.classes
    make: Callable[..., NDArray[Any]] = np.empty
    if belong_on_disk(*sizes, free_memory(_CPU)):
        make = on_disk
    work = work_per_image(classifier.network, preprocess.size, preprocess.channels)
    likely = precision or usual_precision(where)
    say_what_it_takes(
        *sizes, work, likely, where, job, on_disk=make is on_disk, solved=trigger is None
    )
    runner: _Pass | None = None
    phi, logits = make(sizes[:2], np.float32), make(sizes[::2], np.float32)
    thumbnails = np.empty((0, 3, 0, 0), np.uint8)
    files_done: list[ImageFile] = []
    digests: list[bytes] = []
    skipped: list[Skipped] = []
    for part in decoded_batches(
        collection, files, preprocess.size, framing=preprocess.framing, job=job
    ):
        rows = slice(len(files_done), len(files_done) + len(part.files))
        files_done += part.files
        digests += part.digests
        skipped += part.skipped
        if len(part.files):
            if runner is None:
                precision = precision or pick_precision(classifier, part.pixels, where)
                runner = _Pass(classifier, precision, size, job)
            with interruptible(classifier.network, job):
                phi[rows], logits[rows], small = runner.run(part.pixels, trigger)
            if not np.isfinite(logits[rows]).all():
                raise InputError(
                    "{path}: its outputs are not finite; the weights or the normalization "
                    "({name}) are wrong",
                    path=classifier.path, name=preprocess.normalization.name,
                )  # fmt: skip
            if not len(thumbnails):
                thumbnails = make((len(files), *small.shape[1:]), np.uint8)
            thumbnails[rows] = small
        job.progress(stage, len(files_done) + len(skipped), len(files), "images")
    if runner is None:
        raise InputError(
            "{path}: none of its {count:|image|images} can be decoded",
            path=collection.path, count=len(files),
        )  # fmt: skip
    count = len(files_done)
    phi, logits, thumbnails = phi[:count], logits[:count], thumbnails[:count]
    mapping = np.asarray(class_of_folder, dtype=np.int64)
    return Embedding(
        phi=phi,
        logits=logits,
        labels=mapping[[file.label for file in files_done]],
        thumbnails=thumbnails,
        files=tuple(files_done),
        images_hash=content_hash(files_done, digests),
        skipped=tuple(skipped),
        precision=runner.precision,
        batch=runner.batch,
        seconds=time.perf_counter() - started,
    )
