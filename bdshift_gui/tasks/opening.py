"""Opens checkpoints, clean sets and audit files. What is shown stays until they have been read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QTimer

from bdshift.files import KeptPath, usable
from bdshift.jobs import JobContext
from bdshift.words import Sentence
from bdshift_gui.context import Context
from bdshift_gui.session import WITHOUT_AUDIT, Corrections, OpenImages, OpenModel, State
from bdshift_gui.tasks.fleet import audit_many, read_fleet, show_fleet
from bdshift_gui.tasks.purifying import settle
from bdshift_gui.tasks.recent import remember
from bdshift_gui.tasks.showing import show_audit

if TYPE_CHECKING:
    from bdshift.audit import Audit
    from bdshift.checkpoints.users_own import Architecture


@dataclass(frozen=True)
class _Opening:
    """What the worker does, and what happens with its result."""

    run: Callable[[JobContext], Any]
    done: Callable[[Any], None]


def open_paths(context: Context, paths: Sequence[Path]) -> None:
    """Open one after another; one that fails does not hold up the others. Several models are
    audited one after another, with the images that come with them, or else those that are open.
    """
    if len(paths) == 1:
        _open(context, paths[0])
        return

    def run(job: JobContext) -> list[str]:
        from bdshift.kinds import kind_of

        return [kind_of(path) for path in paths]

    def done(kinds: list[str]) -> None:
        of = {kind: [path for path, one in zip(paths, kinds, strict=True) if one == kind]
              for kind in dict.fromkeys(kinds)}  # fmt: skip
        models = [*of.get("models", []), *of.get("model", [])]
        if "models" in of or len(models) > 1:
            audit_with(context, models, next(iter(of.get("images", [])), None))
        else:
            context.session.update(to_open=tuple(paths))  # `open_next` goes on

    context.start(Sentence("Looking at the files"), run, done)


def audit_with(context: Context, models: Sequence[Path], images: Path | None = None) -> None:
    """Audit many models with ``images``, or else those that are open or an audit was made from.
    Raises `InputError` if there are none.
    """
    from bdshift.errors import InputError

    known = images or context.state.images_path
    if known is None:
        raise InputError("Open the clean images first, then the folder of models.")
    audit_many(context, models, usable(known))


def open_next(context: Context) -> None:
    """After a job has ended: open the next file in the queue, once all slots have run."""
    if context.state.to_open:
        QTimer.singleShot(0, context.session, lambda: _next(context))


def _next(context: Context) -> None:
    state = context.state
    if state.to_open and state.job is None:
        _open(context, state.to_open[0], queued=True)
        context.session.update(to_open=state.to_open[1:])


def _open(context: Context, path: Path, *, queued: bool = False) -> None:
    """Open a path, whatever it is: images, an audit file, or a checkpoint."""
    ways = {
        "images": _images(context, path),
        "audit": _audit(context, path),
        "model": _model(context, path),
        "models": _Opening(lambda job: None, lambda _: audit_with(context, [path])),
        "fleet": _Opening(lambda job: read_fleet(path), partial(show_fleet, context)),
    }

    def run(job: JobContext) -> tuple[str, Any]:
        from bdshift.kinds import kind_of

        kind = kind_of(path)
        return kind, ways[kind].run(job)

    def done(found: tuple[str, Any]) -> None:
        kind, result = found
        ways[kind].done(result)

    context.start(Sentence("Opening {name}", {"name": path.name}), run, done, queued=queued)


def open_model(
    context: Context, path: Path, arch: Architecture | None = None, weights: str | None = None
) -> None:
    """Read a checkpoint and recognize it; ``arch`` is a network of the user's own, ``weights`` says
    which of a file's models to open. An audit is opened as one.
    """
    way, audit = _model(context, path, arch, weights), _audit(context, path)

    def run(job: JobContext) -> tuple[bool, Any]:
        from bdshift.kinds import kind_of

        is_audit = kind_of(path) == "audit"
        if is_audit:
            job.note("{name} is an audit, and is opened as one", name=path.name)
        return is_audit, (audit if is_audit else way).run(job)

    def done(found: tuple[bool, Any]) -> None:
        is_audit, result = found
        (audit if is_audit else way).done(result)

    context.start(Sentence("Opening the model"), run, done)


def open_images(context: Context, path: Path) -> None:
    """List a clean set."""
    way = _images(context, path)
    context.start(Sentence("Listing the images"), way.run, way.done)


def open_audit(context: Context, path: Path) -> None:
    """Show an audit file."""
    way = _audit(context, path)
    context.start(Sentence("Opening the audit"), way.run, way.done)


def open_unsaved(
    context: Context, path: Path, opened: Callable[[], None], failed: Callable[[], None]
) -> None:
    """Show an audit that an earlier run has left, which is in no file of the user's; ``opened`` is
    called before it is shown, ``failed``, on the worker, if it cannot be read.
    """

    def run(job: JobContext) -> Audit:
        from bdshift.store import load_audit

        try:
            audit = load_audit(path)
            job.raise_if_canceled()
        except BaseException:
            failed()
            raise
        return audit

    def done(audit: Audit) -> None:
        opened()
        show_other(context, audit, kept=False, from_file=True)

    context.start(Sentence("Opening what was not saved"), run, done)


def _model(
    context: Context, path: Path, arch: Architecture | None = None, weights: str | None = None
) -> _Opening:
    state = context.state
    listed = state.images_path if state.images is None else None

    def run(job: JobContext) -> tuple[OpenModel, OpenImages | None]:
        return read_model(path, arch, weights, job), _list_again(listed, job)

    def done(found: tuple[OpenModel, OpenImages | None]) -> None:
        model, images = found
        # Corrections for another model, its α and its rule do not apply to this one.
        given = replace(
            context.state.corrections, normalize=None, fit=None, arch=arch, weights=weights,
            prompts=(), names=(), device=None, batch=None,
        )  # fmt: skip
        context.selection.forget()
        context.session.update(
            **{**WITHOUT_AUDIT, "model_path": path, "model": model, "corrections": given,
               "images": images or context.state.images, "candidates": None,
               "alpha": State.alpha, "rule": None, "by_rule": False}
        )  # fmt: skip

    return _Opening(run, done)


def _images(context: Context, path: Path) -> _Opening:
    state = context.state
    known, given = state.model, state.corrections
    model_path = state.model_path

    def run(job: JobContext) -> tuple[OpenImages, OpenModel | None]:
        images = read_images(path, job)
        return images, known or _read_again(model_path, given, job)

    def done(found: tuple[OpenImages, OpenModel | None]) -> None:
        images, model = found
        context.selection.forget()
        context.session.update(
            **{**WITHOUT_AUDIT, "images_path": path, "images": images, "model": model,
               "candidates": None,
               "corrections": replace(context.state.corrections, labels=None, names=())}
        )  # fmt: skip

    return _Opening(run, done)


def _audit(context: Context, path: Path) -> _Opening:
    def run(job: JobContext) -> Audit:
        from bdshift.store import load_audit

        return load_audit(path)

    def done(audit: Audit) -> None:
        show_other(context, audit, kept=True, from_file=True)
        context.session.update(document=path.absolute())
        remember(context, path)
        settle(context)

    return _Opening(run, done)


def show_other(context: Context, audit: Audit, *, kept: bool, from_file: bool = False) -> None:
    """Show an audit that was not made from what is open. Its model and images are read when they
    are needed; if it is ``from_file``, their paths may be anyone's. ``kept``: whether there is no
    need to save it.
    """
    state = context.state
    as_path = KeptPath if from_file else Path
    context.session.update(
        model_path=as_path(audit.model.path), model=None, images_path=as_path(audit.images.path),
        images=None, candidates=None, corrections=_corrections_of(audit),
        kept=audit if kept else state.kept,
    )  # fmt: skip
    show_audit(context, audit)


def _corrections_of(audit: Audit) -> Corrections:
    """What an audit was told, for its next scan: neither device nor batch size, which suit the
    machine that made it, nor a network of the user's own, which the user has to name again.
    """
    asked, prompts = audit.settings, audit.model.prompts
    return Corrections(
        normalize=asked.normalize,
        fit=asked.fit,
        arch=None if audit.model.users_own else asked.arch,
        weights=asked.weights,
        labels=None if asked.labels is None else audit.images.folder_index,
        prompts=asked.prompts,
        names=() if prompts is None or asked.labels is None else prompts.names,
    )


def read_model(
    path: Path, arch: Architecture | None, weights: str | None, job: JobContext
) -> OpenModel:
    """Read and recognize a checkpoint. Raises `InputError`."""
    from bdshift.checkpoints.classifier import open_checkpoint
    from bdshift.checkpoints.describe import describe

    opened = open_checkpoint(path, arch=arch, weights=weights, job=job)
    return OpenModel(path, opened, describe(opened.file, weights, opened), arch, weights)


def read_images(path: Path, job: JobContext) -> OpenImages:
    """List a clean set. Raises `InputError`."""
    from bdshift.images.collection import open_images as listed

    found = listed(path, job=job)
    return OpenImages(path, found, tuple(found.counts()))


def _list_again(path: Path | KeptPath | None, job: JobContext) -> OpenImages | None:
    """The clean set of the audit that was open, if it can still be read."""
    from bdshift.errors import InputError

    with suppress(InputError):
        return None if path is None else read_images(usable(path), job)
    return None


def _read_again(
    path: Path | KeptPath | None, given: Corrections, job: JobContext
) -> OpenModel | None:
    """The model of the audit that was open, if it is still there; that may be for the user to say.

    Raises `InputError` if it cannot be read.
    """
    from bdshift.errors import InputError

    with suppress(InputError):
        found = None if path is None else usable(path)
        if found is None or not found.is_file():
            return None
        return read_model(found, given.arch, given.weights, job)
    return None
