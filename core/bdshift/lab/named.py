"""Training images by name: CIFAR-10, CIFAR-100 and GTSRB, as torchvision keeps them in a folder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torchvision import datasets

from bdshift.errors import InputError
from bdshift.images.decode import decode_image
from bdshift.jobs import SILENT, JobContext
from bdshift.words import Sentence

Images = tuple[NDArray[np.uint8], NDArray[np.int64]]


def load_named(
    name: str, root: Path, size: int, *, download: bool = False, job: JobContext = SILENT
) -> tuple[Images, Images, tuple[str, ...]]:
    """Training and test images, uint8 (n, 3, size, size), their labels, int64 (n,), and the names
    of the classes. ``root`` is torchvision's root; only ``download`` writes to it.

    torchvision unpickles CIFAR's files, but only if their checksums are the published ones.

    Raises `InputError` if the images are not in ``root``, or cannot be downloaded.
    """
    try:
        job.note("{name}: from {path}", name=name, path=root)
        if name == "gtsrb":
            return _gtsrb(root, size, download, job)
        kind = datasets.CIFAR10 if name == "cifar10" else datasets.CIFAR100
        train, test = (kind(str(root), train=part, download=download) for part in (True, False))
    except (RuntimeError, OSError) as error:
        values = {"path": root, "name": name, "reason": str(error)}
        if download:
            raise InputError("{path}: {name} cannot be downloaded ({reason})", **values) from error
        raise InputError(
            "{path}: {name} is not there ({reason}); torchvision downloads it with --download",
            **values,
        ) from error
    parts = [
        (_square(part.data, size), np.asarray(part.targets, np.int64)) for part in (train, test)
    ]
    return parts[0], parts[1], tuple(train.classes)


def _square(images: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    if images.shape[1] != size:
        raise InputError(
            "CIFAR's images are {found} px wide, not {size}", found=images.shape[1], size=size
        )
    return np.ascontiguousarray(images.transpose(0, 3, 1, 2))


def _gtsrb(
    root: Path, size: int, download: bool, job: JobContext
) -> tuple[Images, Images, tuple[str, ...]]:
    found: list[Images] = []
    for split in ("train", "test"):
        samples = datasets.GTSRB(str(root), split, download=download)._samples
        pixels = np.empty((len(samples), 3, size, size), np.uint8)
        for number, (path, _) in enumerate(samples):
            pixels[number] = decode_image(Path(path).read_bytes(), size)
            stage = Sentence("Reading {name}", {"name": f"GTSRB, {split}"})
            job.progress(stage, number + 1, len(samples), "images")
        found.append((pixels, np.array([label for _, label in samples], np.int64)))
    folders = sorted(
        path.name for path in (root / "gtsrb/GTSRB/Training").iterdir() if path.is_dir()
    )
    return found[0], found[1], tuple(folders)
