"""Goes on with a model or images that were moved since the audit."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from bdshift.jobs import JobContext
from bdshift.words import Sentence
from bdshift_gui.context import Context
from bdshift_gui.tasks.measuring import material_of
from bdshift_gui.tasks.recovering import take

if TYPE_CHECKING:
    from bdshift.audit import Audit, Material


def use_model(context: Context, path: Path) -> None:
    """Take the audit's model from ``path``, if it is that model."""
    original = context.state.original
    assert original is not None

    def run(job: JobContext) -> None:
        from bdshift.checkpoints.reader import read_checkpoint
        from bdshift.errors import InputError

        if read_checkpoint(path, job=job).sha256 != original.model.sha256:
            raise InputError(
                "{path}: is not the model that was audited (SHA-256 differs)", path=path
            )

    def done(_: None) -> None:
        now = context.state.original
        assert now is not None
        _take(context, replace(now, model=replace(now.model, path=str(path))), path)
        context.session.update(model_path=path, model=None)

    context.start(Sentence("Opening the model"), run, done)


def use_images(context: Context, path: Path) -> None:
    """Take the audit's images from ``path``, if they are those images."""
    state = context.state
    original, ready = state.original, material_of(replace(state, images_path=path, material=None))
    assert original is not None

    def run(job: JobContext) -> Material:
        from bdshift.audit.purifying import clean_images

        material = ready(job)
        clean_images(original, material, job=job)
        return material

    def done(material: Material) -> None:
        now = context.state.original
        assert now is not None
        _take(context, replace(now, images=replace(now.images, path=str(path))), path)
        context.session.update(images_path=path, images=None, material=material)

    context.start(Sentence("Listing the images"), run, done)


def _take(context: Context, original: Audit, path: Path) -> None:
    take(context, original)
    said = Sentence(
        "{name} is used from now on. Start again what could not be done.", {"name": path.name}
    )
    context.session.update(material=None, failure=None, message=said)
