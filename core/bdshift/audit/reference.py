"""A reference: a model of the same task that is known to be clean. It is examined as the model was,
with the same images, and what its classes have, too, is no evidence against those of the model.

That it is clean is the user's word. What its own evidence suspects explains nothing
(`Audit.explains`), and whoever reads the finding is told (`bdshift.audit.beside_reference`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from bdshift.audit.images_record import ImagesRecord
from bdshift.audit.one_model import Machinery, ReadModel, examine_alone, read_with_images
from bdshift.audit.opening import Model, open_model
from bdshift.audit.reading_doubts import is_poor
from bdshift.audit.records import Audit, ModelRecord
from bdshift.audit.scan_settings import ScanSettings
from bdshift.audit.second_stage import reaching_as_many
from bdshift.audit.stages import CleanSet, Material
from bdshift.audit.zero_shot import with_names_of
from bdshift.checkpoints.classifier import Opened, open_checkpoint
from bdshift.checkpoints.users_own import Architecture, OwnNetwork
from bdshift.detect.detector import Detector
from bdshift.detect.image_search import has_search
from bdshift.devices import pick_device
from bdshift.errors import InputError, UsageError
from bdshift.images.collection import ImageCollection
from bdshift.images.preprocessing import Preprocessing
from bdshift.jobs import SILENT, JobContext


class _Read(Protocol):
    """A model that was read with images: of an audit, or of a scan before it has one."""

    @property
    def model(self) -> ModelRecord:
        """Which it is."""

    @property
    def images(self) -> ImagesRecord:
        """Which images."""

    @property
    def preprocessing(self) -> Preprocessing:
        """How they were read."""


def open_reference(
    reference: Model,
    opened: Opened,
    arch: Architecture | None,
    collection: ImageCollection | None,
    job: JobContext,
) -> Opened:
    """Open a reference for the model ``opened``; ``collection`` is as in `open_model`, ``arch`` is
    the user's own network, if the model is one, which the reference then has to be, too.

    Raises `InputError` if it is the same file or has another number of classes.
    """
    own = arch if isinstance(arch, OwnNetwork) else None
    found = open_model(reference, arch=own, collection=collection, job=job)
    # How many classes a CLIP model has is known once they have names.
    counted = not (found.needs_names or opened.needs_names)
    classes = found.classes if counted else opened.classes
    _check(found.file.path, found.file.sha256, classes, opened.file.sha256, opened.classes)
    return found


def read_reference(
    opened: Opened,
    clean: CleanSet,
    settings: ScanSettings,
    model: _Read,
    on: Machinery,
    job: JobContext,
) -> ReadModel:
    """Read a reference for ``model`` with the same images; its network and preprocessing are
    settled by themselves.

    Raises `InputError` if it does not fit the model (`check_reference`), or is hardly right.
    """
    alone = replace(settings, normalize=None, fit=None, weights=None, arch=None)
    read = read_with_images(opened, clean, alone, on, job)
    if is_poor(read.accuracy, read.model.classes):
        raise InputError(
            "{path}: classifies only {accuracy:.1%} of the images as labeled, so it is no "
            "reference: choose a model that was trained on these classes, in this order",
            path=opened.file.path, accuracy=read.accuracy,
        )  # fmt: skip
    check_reference(model, read)
    return read


def check_reference(model: _Read, reference: _Read) -> None:
    """Raise `InputError` unless both are different models of the same classes and input size that
    were read with the same images.
    """
    own, other = model.model, reference.model
    path = Path(other.path)
    _check(path, other.sha256, other.classes, own.sha256, own.classes)
    sizes = model.preprocessing.size, reference.preprocessing.size
    if sizes[0] != sizes[1]:
        raise InputError(
            "{path}: takes images of {other} pixels, the model of {own}; a reference needs the "
            "same size",
            path=path, other=sizes[1], own=sizes[0],
        )  # fmt: skip
    if model.images.sha256 != reference.images.sha256:
        raise InputError("{path}: was examined with other images than the model", path=path)


def _check(path: Path, sha256: str, classes: int, own_sha256: str, own_classes: int) -> None:
    if sha256 == own_sha256:
        raise InputError("{path}: is the model itself, which is no reference for it", path=path)
    if classes != own_classes:
        raise InputError(
            "{path}: has {other:|class|classes}, the model has {own}; a reference needs the same "
            "classes",
            path=path, other=classes, own=own_classes,
        )  # fmt: skip


def require_comparable(
    detectors: Sequence[Detector], searched: bool = False, *, by_rule: bool = False
) -> None:
    """Raise `UsageError` where no detector gives anything that could be compared, nor is anything
    else ``searched`` for, or a rule is to decide.
    """
    compared = searched or has_search(detectors) or any(one.compares for one in detectors)
    if by_rule or not compared:
        raise UsageError(
            "a reference is compared by searches for triggers in the images; leave out --quick, "
            "and a rule or detectors that do without"
        )


def with_reference_read(
    audit: Audit, material: Material, read: ReadModel, on: Machinery, job: JobContext
) -> Audit:
    """The audit beside a reference that was read: by the same detectors, for as many classes."""
    used = [one.detector for one in audit.judged]
    detectors = reaching_as_many(
        used, (material.classifier, audit.precision),
        (read.settled.classifier, read.embedding.precision),
    )  # fmt: skip
    asked = replace(audit.settings, detectors=detectors, search=0.0, unknown_detectors=())
    found = examine_alone(read, asked, on, job)
    return with_reference(audit, replace(found, embedding=None))


def with_reference(audit: Audit, reference: Audit | None) -> Audit:
    """The audit, and those of its purified models and other preprocessings, beside a reference."""
    made = tuple(
        replace(one, rescan=replace(one.rescan, reference=reference)) for one in audit.purifications
    )
    readings = tuple(replace(one, reference=reference) for one in audit.readings)
    return replace(audit, reference=reference, purifications=made, readings=readings)


def add_reference(
    audit: Audit,
    material: Material,
    path: str | Path,
    *,
    arch: Architecture | None = None,
    device: str = "auto",
    job: JobContext = SILENT,
) -> Audit:
    """The audit of ``material``, compared with a reference; an earlier one is replaced.

    Raises `InputError` if it is none for this model, `UsageError` if triggers were not searched for
    in the images, so that nothing could be compared.
    """
    require_comparable([one.detector for one in audit.judged])
    on, classifier = Machinery(pick_device(device)), material.classifier
    own = arch if isinstance(arch, OwnNetwork) else None
    opened = open_checkpoint(path, arch=own, job=job)
    opened = with_names_of(opened, audit)
    _check(
        opened.file.path, opened.file.sha256, opened.classes, classifier.sha256, classifier.classes
    )
    read = read_reference(opened, material.clean, audit.settings, audit, on, job)
    return with_reference_read(audit, material, read, on, job)
