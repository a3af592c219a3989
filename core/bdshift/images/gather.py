"""Reads images that a program has, in any of the usual forms, into a clean set."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch.utils.data import DataLoader, Dataset, SequentialSampler

from bdshift.errors import InputError, UsageError
from bdshift.files import in_memory
from bdshift.images.as_given import NAME, Gathered
from bdshift.images.collection import ImageCollection, ImageFile, sample_files
from bdshift.images.preprocessing import Normalization
from bdshift.images.sources.arrays import class_numbers, has_channels_first
from bdshift.images.sources.base import MAX_FILES
from bdshift.jobs import SILENT, JobContext

ImageData = torch.Tensor | NDArray[Any] | tuple[Any, Any] | Iterable[Any]
"""Images: a tensor or an array, alone or in a pair with their labels; a torch ``DataLoader`` or
``Dataset``; anything else that gives pairs of images and labels, or images, one after another.
"""

_PART = 256  # images of an array at a time


@dataclass(frozen=True)
class GatheredImages:
    """A clean set, and what its data said of it: ``names`` of all classes by number, or (); and how
    many images were asked for, None for all.
    """

    collection: ImageCollection
    names: tuple[str, ...]
    sample: int | None


def gather(
    data: ImageData,
    sample: int | float | None,
    normalization: Normalization | None = None,
    *,
    seed: int = 0,
    job: JobContext = SILENT,
) -> GatheredImages:
    """Read images: of arrays with labels a stratified ``sample`` (`sample_files`), of a data set as
    many at random, of anything else as many as come first.

    Raises `InputError` if they are no images, or their labels no classes; `UsageError` if there
    may be no end of them and no number is asked for.
    """
    if isinstance(data, tuple) and len(data) == 2 and hasattr(data[0], "shape"):
        return _of_arrays(data[0], data[1], sample, normalization, seed, job)
    if isinstance(data, (torch.Tensor, np.ndarray)):
        return _of_arrays(data, None, sample, normalization, seed, job)
    if isinstance(data, (str, bytes, Mapping)) or not (
        hasattr(data, "__iter__") or hasattr(data, "__getitem__")
    ):
        raise UsageError(
            "images are a path, a tensor or an array, a pair of one and its labels, a DataLoader "
            "or a Dataset, not a {kind}",
            kind=type(data).__name__,
        )
    return _of_stream(data, sample, normalization, seed, job)


def _of_arrays(
    images: Any,
    labels: Any,
    sample: int | float | None,
    normalization: Normalization | None,
    seed: int,
    job: JobContext,
) -> GatheredImages:
    if len(images.shape) == 3:
        images = images[:, None]
    first = _has_channels_first(images)
    known = None if labels is None else _class_numbers(labels)
    if known is not None and len(known) != len(images):
        raise InputError(
            "{path}: there are {pictures:|image|images}, but {labels:|label|labels}",
            path=in_memory(NAME), pictures=len(images), labels=len(known),
        )  # fmt: skip
    of = np.zeros(len(images), np.int64) if known is None else known
    sample = _as_count(sample, len(images))
    files = [ImageFile(str(row), label) for row, label in enumerate(of.tolist())]
    rows = sorted(int(one.name) for one in sample_files(files, sample, seed=seed))
    gathered = Gathered()
    for start in range(0, len(rows), _PART):
        job.raise_if_canceled()
        part = _numbers(images[rows[start : start + _PART]])
        gathered.add(part if first else part.transpose(0, 3, 1, 2))
    chosen = None if known is None else known[rows]
    return GatheredImages(gathered.collection(chosen, normalization, rows), (), sample)


def _of_stream(
    data: Any,
    sample: int | float | None,
    normalization: Normalization | None,
    seed: int,
    job: JobContext,
) -> GatheredImages:
    count = _count(data, sample)
    data, numbers = _at_random(data, count, seed)
    gathered = Gathered()
    labels: list[int] = []
    for images, given in _parts(data):
        job.raise_if_canceled()
        left = MAX_FILES - gathered.count if count is None else count - gathered.count
        gathered.add(images[:left])
        labels += [] if given is None else given[:left].tolist()
        if len(labels) not in (0, gathered.count):
            raise InputError("{path}: some have labels and others none", path=in_memory(NAME))
        job.progress("Reading images", gathered.count, count or gathered.count, "images")
        if len(images) >= left:
            break
    known = np.array(labels, np.int64) if labels else None
    names = _class_names(data)
    numbers = range(gathered.count) if numbers is None else numbers[: gathered.count]
    found = gathered.collection(known, normalization, numbers, names)
    return GatheredImages(found, names, count)


def _count(data: Any, sample: int | float | None) -> int | None:
    """How many images to read at most; None for all."""
    dataset = getattr(data, "dataset", data)
    if isinstance(sample, int) or _is_map_style(dataset):
        return _as_count(sample, len(dataset) if _is_map_style(dataset) else 0)
    if sample is None and hasattr(data, "__len__"):
        return None
    raise UsageError(
        "nothing says how many images there are: ask for a number of them, with sample"
    )


def _as_count(sample: int | float | None, total: int) -> int | None:
    """A share of so many images as a count. Raises `UsageError` as `sample_files` does."""
    sample_files((), sample)
    return max(1, round(sample * total)) if isinstance(sample, float) else sample


def _is_map_style(data: Any) -> bool:
    """Whether its images have numbers."""
    by_number = hasattr(data, "__len__") and hasattr(data, "__getitem__")
    return by_number and (isinstance(data, Dataset) or not hasattr(data, "__iter__"))


def _at_random(data: Any, count: int | None, seed: int) -> tuple[Any, Sequence[int] | None]:
    """The data, or, of a data set that has more images than are read, so many of it; and their
    numbers, if that is what they are read by. A loader that shuffles keeps its order.
    """
    loader = data if isinstance(data, DataLoader) else None
    if loader is not None and not isinstance(loader.sampler, SequentialSampler):
        return data, None
    dataset: Any = data if loader is None else loader.dataset
    if not _is_map_style(dataset):
        return data, None
    total = len(dataset)
    rows = list(range(total))
    if count is not None and count < total:
        rows = sorted(np.random.default_rng(seed).permutation(total)[:count].tolist())
    if loader is None:
        return _SomeItems(dataset, rows), rows
    if len(rows) == total:
        return data, rows
    again = DataLoader(
        dataset, batch_size=loader.batch_size or 1, sampler=rows, collate_fn=loader.collate_fn,
        num_workers=loader.num_workers,
    )  # fmt: skip
    return again, rows


@dataclass(frozen=True)
class _SomeItems:
    """Some items of a map-style data set."""

    dataset: Any
    rows: Sequence[int]

    def __iter__(self) -> Iterator[Any]:
        return (self.dataset[row] for row in self.rows)


def _class_names(data: Any) -> tuple[str, ...]:
    """What a data set, as those of torchvision, calls its classes."""
    dataset = data
    while hasattr(dataset, "dataset"):  # of a loader, of a subset
        dataset = dataset.dataset
    names = getattr(dataset, "classes", None)
    if not isinstance(names, (list, tuple)) or not all(isinstance(one, str) for one in names):
        return ()
    return tuple(names) if len(set(names)) == len(names) else ()


def _parts(data: Any) -> Iterator[tuple[NDArray[Any], NDArray[np.int64] | None]]:
    """Images (n, channels, s, s) and their labels, from whatever gives batches or single items."""
    items = iter(data) if hasattr(data, "__iter__") else islice(_by_number(data), MAX_FILES)
    single: list[tuple[NDArray[Any], Any]] = []
    for item in items:
        pair = isinstance(item, (tuple, list)) and len(item) >= 2
        images, labels = (item[0], item[1]) if pair else (item, None)
        if isinstance(item, (tuple, list)) and len(item) == 1:
            images = item[0]
        if isinstance(images, Image.Image):
            single.append((_of_picture(images), labels))
        elif not hasattr(images, "shape"):
            raise InputError(
                "{path}: an item is a {kind}; it has to be an image, or an image and its label",
                path=in_memory(NAME), kind=type(images).__name__,
            )  # fmt: skip
        elif len(images.shape) == 4:
            yield (
                _channels_first(_numbers(images)),
                None if labels is None else _class_numbers(labels),
            )
        else:
            one = _numbers(images)
            one = one[None] if one.ndim == 2 else one
            single.append((_channels_first(one[None])[0], labels))
        if len(single) == _PART:
            yield _stacked(single)
            single = []
    if single:
        yield _stacked(single)


def _by_number(data: Any) -> Iterator[Any]:
    number = 0
    while True:
        try:
            yield data[number]
        except IndexError:
            return
        number += 1


def _of_picture(image: Image.Image) -> NDArray[np.uint8]:
    gray = image.mode in ("1", "L")
    pixels = np.asarray(image.convert("L" if gray else "RGB"))
    return pixels[None] if gray else pixels.transpose(2, 0, 1)


def _stacked(
    single: Sequence[tuple[NDArray[Any], Any]],
) -> tuple[NDArray[Any], NDArray[np.int64] | None]:
    images, labels = zip(*single, strict=True)
    if len({(one.shape, one.dtype) for one in images}) > 1:
        raise InputError(
            "{path}: they are of several sizes; resize them, as the network gets them",
            path=in_memory(NAME),
        )
    if any(label is None for label in labels):
        return np.stack(images), None
    return np.stack(images), _class_numbers([np.asarray(label).item() for label in labels])


def _channels_first(images: NDArray[Any]) -> NDArray[Any]:
    return images if _has_channels_first(images) else images.transpose(0, 3, 1, 2)


def _has_channels_first(images: Any) -> bool:
    try:
        return has_channels_first(tuple(images.shape))
    except InputError as error:
        raise error.at(in_memory(NAME)) from error


def _numbers(images: Any) -> NDArray[Any]:
    """A tensor or an array as uint8 or float32: whole numbers from 0 to 255 are 8-bit images."""
    if isinstance(images, torch.Tensor):
        images = images.detach()
        images = (images.float() if images.is_floating_point() else images).cpu().numpy()
    found = np.asarray(images)
    if found.dtype == bool:
        return found.astype(np.uint8) * np.uint8(255)
    if found.dtype.kind in "iu" and found.dtype != np.uint8:
        if found.size and not 0 <= found.min() <= found.max() <= 255:
            raise InputError(
                "{path}: hold whole numbers from {least} to {most}; 8-bit images have 0 to 255",
                path=in_memory(NAME), least=int(found.min()), most=int(found.max()),
            )  # fmt: skip
        return found.astype(np.uint8)
    if found.dtype.kind not in "fu":
        raise InputError(
            "{path}: are not numbers ({dtype})", path=in_memory(NAME), dtype=str(found.dtype)
        )
    return found if found.dtype == np.uint8 else found.astype(np.float32)


def _class_numbers(labels: Any) -> NDArray[np.int64]:
    """Labels as class numbers. Raises `InputError`."""
    if isinstance(labels, torch.Tensor):
        labels = labels.detach().cpu().numpy()
    try:
        return class_numbers(np.asarray(labels))
    except InputError as error:
        raise error.at(in_memory(NAME)) from error
