"""Gives a model whose head is made of the classes' names (CLIP) the names of a clean set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from bdshift.audit.images_record import ImagesRecord
from bdshift.audit.records import Audit, ModelRecord
from bdshift.audit.scan_settings import ScanSettings
from bdshift.audit.stages import places_of_names
from bdshift.checkpoints.candidate_choice import as_audited
from bdshift.checkpoints.classifier import LoadedNetwork, Opened, open_checkpoint
from bdshift.checkpoints.prompts import (
    MAX_NAME_LENGTH,
    SLOT,
    USUAL_PROMPTS,
    ClassPrompts,
    as_in_sentence,
    check_templates,
    templates_of,
)
from bdshift.checkpoints.users_own import Architecture, OwnNetwork
from bdshift.errors import InputError
from bdshift.images.collection import ImageCollection, needs_labels
from bdshift.images.labels import names_in_order
from bdshift.jobs import SILENT, JobContext


class Named(Protocol):
    """A model that was read with images, or its audit."""

    @property
    def model(self) -> ModelRecord:
        """Which it is."""

    @property
    def images(self) -> ImagesRecord:
        """Which images."""


def with_names(
    opened: Opened, collection: ImageCollection, settings: ScanSettings
) -> tuple[Opened, ScanSettings]:
    """The model with its prompts, if it needs any, and the settings with the class-name file that
    they are from.

    The names are those given, or of a class-name file that was given, else those of one beside the
    images or the model that knows the folders, else the folders' own.

    Raises `InputError` if the folders are numbers, or there are none, and no file says what they
    stand for, or as `names_in_order` does.
    """
    if not opened.needs_names or opened.prompts is not None:
        return opened, settings
    names, file = settings.names, None
    if not names:
        near = places_of_names(collection, opened.file.path)
        names, file = names_in_order(collection.folders, settings.labels, near)
    if not names:
        raise InputError(
            "{path}: is a CLIP model, which recognizes classes by their names, and the images are "
            "in no folders that could name them: put a file classes.txt with one name per line "
            "beside them, or name it with --labels",
            path=opened.file.path,
        )
    _check(names, opened.file.path)
    templates = settings.prompts or templates_of(USUAL_PROMPTS)
    prompts = ClassPrompts(tuple(as_in_sentence(name) for name in names), templates)
    found = settings if file is None else replace(settings, labels=file)
    return opened.with_prompts(prompts), found


def with_names_of(opened: Opened, model: Named) -> Opened:
    """The model with a head for the classes of another one, if it needs names: the same prompts, or
    the usual ones with the names of its classes.
    """
    if not opened.needs_names:
        return opened
    if model.model.prompts is not None:
        return opened.with_prompts(model.model.prompts)
    names = tuple(map(as_in_sentence, model.images.class_names))
    _check(names, opened.file.path)
    return opened.with_prompts(ClassPrompts(names, templates_of(USUAL_PROMPTS)))


def any_head(opened: Opened) -> Opened:
    """The model with some head, if it needs names for one: where only the other weights matter."""
    if not opened.needs_names or opened.prompts is not None:
        return opened
    return opened.with_prompts(ClassPrompts(("image",), (SLOT,)))


def open_base(
    path: str | Path, audit: Audit, arch: Architecture | None, job: JobContext = SILENT
) -> LoadedNetwork:
    """Another checkpoint as the network that was audited, with a head for the same names if that
    one has one.

    Raises `InputError` if it cannot be read as that network.
    """
    own = arch if isinstance(arch, OwnNetwork) else None
    opened = open_checkpoint(path, arch=own, job=job)
    opened = with_names_of(opened, audit)
    alike = as_audited(opened, audit.model.architecture, own=own is not None)
    if alike is None:
        raise InputError(
            "{path}: is not a {name}, which the audited model is",
            path=opened.file.path, name=audit.model.architecture,
        )  # fmt: skip
    return opened.load(alike, job)


def accuracy_with(
    opened: Opened, audit: Audit, templates: tuple[str, ...], job: JobContext = SILENT
) -> float:
    """Clean accuracy of the audited model ``opened`` with other templates. The images' features do
    not depend on them, so no image is looked at.

    Raises `UsageError` for templates that make no sense, `InputError` if the model's head is not
    made of names, it is not the audited one, the audit was saved without embeddings, or the images
    have no labels.
    """
    check_templates(templates)
    candidate = as_audited(opened, audit.model.architecture, own=False)
    known, embedding = audit.model.prompts, audit.embedding
    if candidate is None or known is None or opened.file.sha256 != audit.model.sha256:
        raise InputError("{path}: is not the CLIP model that was audited", path=opened.file.path)
    if embedding is None:
        raise InputError("the audit was saved without embeddings; scan again")
    if not embedding.labeled:
        raise InputError(needs_labels(audit.images.path))
    made = opened.with_prompts(ClassPrompts(known.names, templates)).load(candidate, job)
    predicted = (embedding.phi @ made.weight.numpy().T).argmax(1)
    return float((predicted == embedding.labels).mean())


def _check(names: Sequence[str], path: Path) -> None:
    """Raise `InputError` unless all are words, and different ones."""
    shown = [as_in_sentence(name) for name in names]
    if any(not name or len(name) > MAX_NAME_LENGTH for name in shown):
        raise InputError(
            "a name of a class is empty or has more than {most} characters", most=MAX_NAME_LENGTH
        )
    if all(not any(letter.isalpha() for letter in name) for name in shown):
        raise InputError(
            "{path}: is a CLIP model, which recognizes classes by their names; the folders of "
            "images are called {names}: say what they show with --labels FILE (one class name per "
            "line)",
            path=path, names=tuple(list(names)[:4]),
        )  # fmt: skip
    if len(set(shown)) < len(shown):
        twice = next(name for name in shown if shown.count(name) > 1)
        raise InputError(
            "{path}: is a CLIP model, which recognizes classes by their names; two are called "
            "{name}",
            path=path, name=repr(twice),
        )  # fmt: skip
