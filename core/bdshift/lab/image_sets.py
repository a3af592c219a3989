"""The sets of images that a suite's models are trained on, and the clean ones for their audits."""

from __future__ import annotations

import io
import zipfile
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from bdshift.errors import InputError, UsageError
from bdshift.images.collection import open_images, sample_files
from bdshift.images.loader import decode_all
from bdshift.images.sign_faces import SIZE
from bdshift.images.signs import CLASSES, draw_signs, sign_classes
from bdshift.jobs import SILENT, JobContext
from bdshift.lab.data import LabData, load_lab_data
from bdshift.outputs import Output

Source = Literal["signs", "cifar10", "mnist"]
"""Drawn signs, or a given set of photos like CIFAR-10, or of digits like MNIST."""

_AUDITED, _AUDITED_OF_EACH = 1500, 10
"""Most images of a set that is written to audit with: so many, or so many of each class, if those
are more; without images of all classes, nothing would tell which is which.
"""

_LEAST_SIGNS = 60, 10  # of a class, to train and to test on


@dataclass(frozen=True)
class Sizes:
    """How many photos models are trained and tested on, whatever their set holds; of signs, which
    are easier, a third.
    """

    train: int = 12_000
    test: int = 3_000


@dataclass(frozen=True)
class ImageSet:
    """A source, and how many of its classes there are, the first ones; 0 for as many as usual."""

    source: Source
    classes: int = 0


def image_set(name: str) -> ImageSet:
    """The set of a name such as ``signs`` or ``cifar10-5``. Raises `UsageError` for another."""
    source, _, count = name.partition("-")
    if source not in get_args(Source) or (count and not count.isdecimal()):
        raise UsageError("unknown images {name}", name=repr(name))
    return ImageSet(source, int(count or 0))  # type: ignore[arg-type]


class Library:
    """Reads or draws sets, each once. ``train`` and ``test`` are photos and ``digits`` digits, as
    `open_images` takes them; empty if there are none.
    """

    def __init__(
        self, train: str, test: str, digits: str, sizes: Sizes, job: JobContext = SILENT
    ) -> None:
        self.train, self.test, self.digits, self.sizes, self.job = train, test, digits, sizes, job
        self.data_of = cache(self._data_of)

    def _data_of(self, name: str) -> LabData:
        """What models of the set ``name`` are trained and tested on. Raises `UsageError` if its
        images are not given.
        """
        asked = image_set(name)
        if asked.source == "signs":
            return self._signs(asked.classes)
        if asked.source == "mnist":
            return self._digits(asked.classes)
        return self._photos(asked.classes)

    def _signs(self, classes: int) -> LabData:
        names = sign_classes(classes) if classes else CLASSES
        wanted = self.sizes.train, self.sizes.test
        each = [count // 3 // len(names) for count in wanted]
        if classes:
            each = [max(pair) for pair in zip(each, _LEAST_SIGNS, strict=True)]
        self.job.note("Drawing {count} signs", count=sum(each) * len(names))
        return LabData(
            *draw_signs(each[0], split="train", classes=names, job=self.job),
            *draw_signs(each[1], split="test", classes=names, job=self.job),
            names,
        )

    def _photos(self, classes: int) -> LabData:
        collections = [open_images(Path(path), job=self.job) for path in (self.train, self.test)]
        first, second = collections
        for one in collections:
            one.require_labels()
        if first.folders != second.folders:
            raise InputError(
                "{first} and {second} do not have the same class folders",
                first=self.train, second=self.test,
            )  # fmt: skip
        classes = classes or len(first.folders)
        parts = []
        for found, count in zip(collections, (self.sizes.train, self.sizes.test), strict=True):
            files = [file for file in found.files if file.label < classes]
            parts.append(decode_all(found, sample_files(files, count), SIZE, job=self.job))
        pixels = [part.pixels for part in parts]
        labels = [part.labels for part in parts]
        return LabData(pixels[0], labels[0], pixels[1], labels[1], first.folders[:classes])

    def _digits(self, classes: int) -> LabData:
        if not self.digits:
            raise UsageError("models of digits need them (--digits)")
        found = load_lab_data(self.digits, "", job=self.job)
        if not classes:
            return found
        taught, tested = found.train_labels < classes, found.test_labels < classes
        return replace(
            found,
            train_pixels=found.train_pixels[taught], train_labels=found.train_labels[taught],
            test_pixels=found.test_pixels[tested], test_labels=found.test_labels[tested],
            class_names=found.class_names[:classes],
        )  # fmt: skip


def write_image_zip(
    output: Output, pixels: NDArray[np.uint8], labels: NDArray[np.int64], names: tuple[str, ...],
    *, every: bool = False,
) -> None:  # fmt: skip
    """A zip of class folders with these images, uint8 (n, 3, s, s): ``every`` one, or at most
    `_AUDITED`, drawn at random. Raises as `Output.write` does.
    """
    buffer = io.BytesIO()
    most = None if every else max(_AUDITED, _AUDITED_OF_EACH * len(names))
    order = np.random.default_rng(0).permutation(len(labels))[:most]
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for row in sorted(order.tolist()):
            picture = io.BytesIO()
            Image.fromarray(pixels[row].transpose(1, 2, 0)).save(picture, "PNG")
            entry = zipfile.ZipInfo(f"{names[labels[row]]}/{row:05d}.png")  # of a fixed date
            archive.writestr(entry, picture.getvalue())
    output.write(buffer.getbuffer())
