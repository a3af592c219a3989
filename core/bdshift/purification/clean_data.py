"""The clean images that a purification may see: some to tune on, the rest held out to choose by.

Methods are given nothing else, so what they choose, or when they stop, cannot depend on triggered
or on test images. Only those that unlearn a trigger (`Method.sees_trigger`) are given these same
images with the trigger that the user names; never test images.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from bdshift.errors import InputError, UsageError
from bdshift.images.collection import ImageCollection, ImageFile
from bdshift.images.framing import USUAL, Framing
from bdshift.images.loader import content_hash, decode_all
from bdshift.jobs import SILENT, JobContext

_MIN_IMAGES = 2  # of each part
_AT_ONCE = 250  # images that get a trigger at a time


@dataclass(frozen=True)
class LabeledImages:
    """Images as 8-bit pixels, and their classes.

    Attributes:
        pixels: uint8 (n, 3, s, s), RGB, at the network's input size.
        labels: int64 (n,).
    """

    pixels: torch.Tensor
    labels: torch.Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, rows: torch.Tensor | slice) -> LabeledImages:
        """A part of them."""
        return LabeledImages(self.pixels[rows], self.labels[rows])

    def __add__(self, other: LabeledImages) -> LabeledImages:
        """Both, one after the other."""
        return LabeledImages(
            torch.cat((self.pixels, other.pixels)), torch.cat((self.labels, other.labels))
        )

    def to(self, device: torch.device) -> LabeledImages:
        """The same images on a device."""
        return LabeledImages(self.pixels.to(device), self.labels.to(device))


@dataclass(frozen=True)
class Triggered:
    """The images of other classes than the target, with a trigger, and their true labels: ``tune``
    and ``held`` are those of `CleanData`, in the same order.
    """

    tune: LabeledImages
    held: LabeledImages


@dataclass(frozen=True)
class CleanData:
    """``tune`` is learned from; ``held`` is only looked at, to choose and to stop.

    ``preprocess`` turns rows of either into the network's input, float32. ``triggered`` is there
    only for a method that unlearns a trigger.
    """

    tune: LabeledImages
    held: LabeledImages
    preprocess: Callable[[torch.Tensor], torch.Tensor]
    triggered: Triggered | None = None

    def to(self, device: torch.device) -> CleanData:
        """The same on a device."""
        both = self.triggered
        return CleanData(
            self.tune.to(device), self.held.to(device), self.preprocess,
            None if both is None else Triggered(both.tune.to(device), both.held.to(device)),
        )  # fmt: skip


def with_trigger(
    clean: CleanData,
    trigger: Callable[[torch.Tensor], torch.Tensor],
    target: int,
    *,
    job: JobContext = SILENT,
) -> CleanData:
    """The same data, with `Triggered` images, as `put_trigger` makes them."""
    tune, held = (put_trigger(one, trigger, target, job=job) for one in (clean.tune, clean.held))
    return replace(clean, triggered=Triggered(tune, held))


def put_trigger(
    part: LabeledImages,
    trigger: Callable[[torch.Tensor], torch.Tensor],
    target: int,
    *,
    job: JobContext = SILENT,
) -> LabeledImages:
    """The images of the classes other than ``target``, with the trigger, and their true labels.

    ``trigger`` takes and returns float32 (n, 3, s, s) in 0…255; what it returns is rounded to whole
    numbers, as in an image file. Raises `InputError` if there are no such images.
    """
    others = part[part.labels != target]
    if not len(others):
        raise InputError("there are no images of other classes to put the trigger on")
    pixels = []
    for some in others.pixels.split(_AT_ONCE):
        pixels.append(trigger(some.float()).round().byte())
        done = min(len(others), len(pixels) * _AT_ONCE)
        job.progress("Putting the trigger on images", done, len(others), "images")
    return LabeledImages(torch.cat(pixels), others.labels)


def check_held(held: float) -> None:
    """Raise `UsageError` if ``held`` is not a share that can be held out."""
    if not 0 < held < 1:
        raise UsageError("the held-out share must be between 0 and 1, not {value}", value=held)


def split_clean(
    part: LabeledImages,
    preprocess: Callable[[torch.Tensor], torch.Tensor],
    *,
    held: float = 0.2,
    seed: int = 0,
) -> CleanData:
    """Hold out a random share of every class, drawn with ``seed``.

    Raises `UsageError` if ``held`` is not in (0, 1), `InputError` if there are too few images.
    """
    check_held(held)
    rng = np.random.default_rng(seed)
    labels = part.labels.numpy()
    kept = []
    for one in np.unique(labels):
        rows = rng.permutation(np.flatnonzero(labels == one))
        count = round(held * len(rows))
        if len(rows) > 1:
            count = min(max(1, count), len(rows) - 1)
        kept.append(rows[:count])
    mask = np.zeros(len(labels), dtype=bool)
    mask[np.concatenate(kept) if kept else []] = True
    if mask.sum() < _MIN_IMAGES or (~mask).sum() < _MIN_IMAGES:
        raise InputError(
            "{count:|clean image is|clean images are} too few to hold some out", count=len(labels)
        )
    out = torch.from_numpy(mask)
    return CleanData(part[~out], part[out], preprocess)


def read_images(
    collection: ImageCollection,
    files: Sequence[ImageFile],
    class_of_folder: Sequence[int],
    size: int,
    *,
    framing: Framing = USUAL,
    expected: str | None = None,
    job: JobContext = SILENT,
) -> LabeledImages:
    """Decode images at ``size`` pixels, made square by ``framing``.

    Raises `InputError` if their hash (`content_hash`) is not the ``expected`` one.
    """
    batch = decode_all(collection, files, size, framing=framing, job=job)
    if expected is not None and content_hash(batch.files, batch.digests) != expected:
        raise InputError(
            "{path}: is not the set that was audited (its hash differs)", path=collection.path
        )
    labels = torch.from_numpy(np.asarray(class_of_folder)[batch.labels])
    return LabeledImages(torch.from_numpy(batch.pixels), labels)
