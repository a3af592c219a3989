"""What a scan is made of, opened: each a file, or something that a program has in memory."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch
from torch import nn

from bdshift.audit.scan_settings import ScanSettings
from bdshift.checkpoints.classifier import Opened, open_checkpoint
from bdshift.checkpoints.in_memory import opened_module
from bdshift.checkpoints.users_own import Architecture
from bdshift.errors import InputError, UsageError
from bdshift.images.collection import ImageCollection, open_images
from bdshift.images.gather import ImageData, gather
from bdshift.images.loader import decode_all
from bdshift.images.preprocessing import Preprocessing, parse_normalization
from bdshift.jobs import JobContext

Model = str | Path | nn.Module
"""A checkpoint's path, or a module in memory."""

Images = str | Path | ImageData
"""The path of images, or images in memory."""

_PROBES = 2


def open_clean_images(
    images: Images, settings: ScanSettings, job: JobContext
) -> tuple[ImageCollection, ScanSettings]:
    """The clean images, and the settings with what they say themselves: the normalization that they
    went through, the names of their classes.

    Raises as `open_images` and `gather` do.
    """
    if isinstance(images, (str, Path)):
        return open_images(images, job=job), settings
    known = None if settings.normalize is None else parse_normalization(settings.normalize)
    found = gather(images, settings.sample, known, seed=settings.seed, job=job)
    settings = replace(settings, sample=found.sample)
    given = found.collection.as_given
    if given is not None:
        settings = replace(settings, normalize=given.preprocessing.normalization.spec)
    if found.names and settings.labels is None:
        named = {name: number for number, name in enumerate(found.names)}
        settings = replace(settings, labels=named)
    return found.collection, settings


def open_model(
    model: Model,
    *,
    arch: Architecture | None = None,
    weights: str | None = None,
    collection: ImageCollection | None = None,
    head: str | None = None,
    job: JobContext,
) -> Opened:
    """The model. ``arch`` and ``weights`` are for a file; with a ``collection`` in memory, the head
    of a module is looked for with its images, if it is not the layer ``head``.

    Raises as `open_checkpoint` and `opened_module` do, `UsageError` for anything else.
    """
    if isinstance(model, (str, Path)):
        return open_checkpoint(model, arch=arch, weights=weights, job=job)
    if not isinstance(model, nn.Module):
        raise UsageError(
            "a model is the path of a checkpoint or a torch Module, not a {kind}",
            kind=type(model).__name__,
        )
    if arch is not None or weights is not None:
        raise UsageError("a module is the network itself: leave out arch and weights")
    probes = None if collection is None else _probes(collection, job)
    return opened_module(model, probes, head)


def _probes(collection: ImageCollection, job: JobContext) -> torch.Tensor | None:
    """Two images as the network gets them; None if nothing says how."""
    given = collection.as_given
    if given is None:
        return None
    preprocessing: Preprocessing = given.preprocessing
    found = decode_all(collection, collection.files[:_PROBES], preprocessing.size, job=job)
    return preprocessing(torch.from_numpy(found.pixels))


def check_labels(collection: ImageCollection, classes: int) -> None:
    """Raise `InputError` if images in memory have labels that are no class of the model."""
    numbers = [int(name) for name in collection.folders if name.isdecimal()]
    if classes and max(numbers, default=0) >= classes:
        raise InputError(
            "{path}: a label is {last}, but the model has {classes:|class|classes}, counted from 0",
            path=collection.path, last=str(max(numbers)), classes=classes,
        )  # fmt: skip
