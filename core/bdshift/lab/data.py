"""Images to train a victim on: drawn `signs`, named data sets, folders or zips of classes."""

from __future__ import annotations

import hashlib
import os
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bdshift.errors import InputError, UsageError
from bdshift.images.collection import ImageCollection, open_images
from bdshift.images.loader import decode_all
from bdshift.images.sign_faces import SIZE
from bdshift.images.signs import CLASSES, Split, draw_signs
from bdshift.jobs import SILENT, JobContext
from bdshift.words import Sentence

SIGNS_TRAIN, SIGNS_TEST = 1500, 300
"""Signs per class to train and to test on."""

NAMED = ("cifar10", "cifar100", "gtsrb")
"""Sets that torchvision knows."""

ROOT = Path("data")
"""Where to look for them."""

_HELD = 0.2  # of every class, to test on where there is no test set


@dataclass(frozen=True)
class LabData:
    """Images and labels: uint8 (n, 3, size, size) and int64 (n,)."""

    train_pixels: NDArray[np.uint8]
    train_labels: NDArray[np.int64]
    test_pixels: NDArray[np.uint8]
    test_labels: NDArray[np.int64]
    class_names: tuple[str, ...]

    @cached_property
    def digest(self) -> str:
        """SHA-256 of everything, hexadecimal: distinguishes a run on these images from others."""
        found = hashlib.sha256("\0".join(self.class_names).encode())
        for part in (self.train_pixels, self.train_labels, self.test_pixels, self.test_labels):
            found.update(f"{part.dtype}{part.shape}".encode())
            found.update(np.ascontiguousarray(part).data)
        return found.hexdigest()


def _draw(split: Split, per_class: int, seed: int) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    return draw_signs(per_class, seed=seed, split=split)


def _load_signs(seed: int, job: JobContext) -> LabData:
    job.note(
        "Drawing {count} signs of each of {classes} classes",
        count=SIGNS_TRAIN + SIGNS_TEST, classes=len(CLASSES),
    )  # fmt: skip
    with ProcessPoolExecutor(min(2, os.cpu_count() or 1)) as pool:
        train = pool.submit(_draw, "train", SIGNS_TRAIN, seed)
        test = pool.submit(_draw, "test", SIGNS_TEST, seed)
        return LabData(*train.result(), *test.result(), CLASSES)


def load_lab_data(
    train: str,
    test: str,
    *,
    seed: int = 0,
    size: int = SIZE,
    root: Path = ROOT,
    download: bool = False,
    job: JobContext = SILENT,
) -> LabData:
    """Training and test images.

    ``train`` is "signs", the name of a set that torchvision keeps in ``root`` (downloaded only with
    ``download``), or a set of labeled images, and then ``test`` is one too; without one, a fifth of
    every class is left out of training, at random from ``seed``.

    Raises `InputError` if the two do not have the same classes, a class has only one image, or the
    set is not in ``root``; `UsageError` for a test set in addition to a named set.
    """
    if train in ("signs", *NAMED) and test:
        raise UsageError("{name} has its own test set; leave out --test", name=train)
    if train == "signs":
        return _load_signs(seed, job)
    if train in NAMED:
        from bdshift.lab.named import load_named

        taught, tested, names = load_named(train, root, size, download=download, job=job)
        return LabData(*taught, *tested, names)
    if not test:
        return _split(train, seed, size, job)
    collections = [open_images(Path(path)) for path in (train, test)]
    for one in collections:
        one.require_labels()
    if collections[0].folders != collections[1].folders:
        raise InputError(
            "{first} and {second} do not have the same class folders", first=train, second=test
        )
    parts = [decode_all(c, c.files, size, job=job, stage=_reading(c)) for c in collections]
    return LabData(
        parts[0].pixels, parts[0].labels, parts[1].pixels, parts[1].labels, collections[0].folders
    )


def _reading(images: ImageCollection) -> Sentence:
    return Sentence("Reading {name}", {"name": images.path.name})


def _split(path: str, seed: int, size: int, job: JobContext) -> LabData:
    found = open_images(Path(path), job=job)
    found.require_labels()
    batch = decode_all(found, found.files, size, job=job, stage=_reading(found))
    rng = np.random.default_rng(seed)
    held = np.zeros(len(batch.labels), dtype=bool)
    for one in range(len(found.folders)):
        rows = rng.permutation(np.flatnonzero(batch.labels == one))
        if len(rows) < 2:
            raise InputError(
                "{path}: class {name} has too few images to train on",
                path=path, name=found.folders[one],
            )  # fmt: skip
        held[rows[: max(1, round(_HELD * len(rows)))]] = True
    return LabData(
        batch.pixels[~held], batch.labels[~held], batch.pixels[held], batch.labels[held],
        found.folders,
    )  # fmt: skip
