"""From an audit to a purified model."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from bdshift.audit import Audit, Material, reopen
from bdshift.audit.opening import Images, Model
from bdshift.audit.purifying import purify_model, trigger_to_unlearn
from bdshift.audit.records import Purification
from bdshift.checkpoints.users_own import Architecture
from bdshift.errors import InputError, UsageError
from bdshift.images.collection import needs_labels
from bdshift.jobs import SILENT, JobContext
from bdshift.purification import METHODS, USUAL_METHOD, Method
from bdshift.steps.target import is_auto, pick_class
from bdshift.triggers import Trigger, parse_trigger


def purify(
    audit: Audit,
    model: Model | None = None,
    images: Images | None = None,
    *,
    method: str | Method = USUAL_METHOD,
    target: int | str | None = None,
    held_out: float = 0.2,
    trigger: str | Trigger | None = None,
    unlearn: str | Trigger | None = None,
    test: str | Path | None = None,
    arch: Architecture | None = None,
    seed: int = 0,
    device: str = "auto",
    job: JobContext = SILENT,
) -> Audit:
    """The audit with a purified copy of its model added, as ``bdshift purify`` does; the model and
    the audit are not changed.

    The last of ``purifications`` is the new one: its ``result.state()`` is a state dict, and
    ``export(audit, out, run=len(audit.purifications))`` writes it.

    Args:
        audit: of the model.
        model, images: what was audited, if it was in memory or was moved.
        method: with its settings, such as "shift-tuning:epochs=5".
        target: poisoned class, by index or name; by default the one that the audit suspects.
        held_out: share of the images that decide which step is kept.
        trigger: report attack success under it, such as "badnets:size=3".
        unlearn: for methods that unlearn a trigger; by default the one recovered for this class, or
            ``trigger``.
        test: path of other images to report on, by default the held-out ones.
        arch: the user's own network, if the audit is of one.
        seed: of the split and the order of images.
        device: "auto", "cpu", "cuda", …
        job: progress and cancellation.

    Raises `UsageError` if no class is suspected and none is given, `InputError` if the model or the
    images are not those of the audit, or have no labels.
    """
    if not audit.images.labeled:
        raise InputError(needs_labels(audit.images.path))
    asked = METHODS.parse(method) if isinstance(method, str) else method
    applied, sought = as_trigger(trigger), as_trigger(unlearn)
    material = reopen(audit, model=model, images=images, arch=arch, job=job)
    made = purified(
        audit, material, asked, target, held_out=held_out, trigger=applied, unlearn=sought,
        test=test, seed=seed, device=device, job=job,
    )  # fmt: skip
    return replace(audit, purifications=(*audit.purifications, made))


def purified(
    audit: Audit,
    material: Material,
    method: Method,
    target: int | str | None,
    *,
    held_out: float,
    trigger: Trigger | None,
    unlearn: Trigger | None,
    test: str | Path | None,
    seed: int,
    device: str,
    resume: Path | None = None,
    job: JobContext = SILENT,
) -> Purification:
    """The same of what is open. ``resume`` is a file for the state after each step. Raises as
    `purify` and `purify_model` do.
    """
    poisoned = class_to_purify(audit, target)
    if method.sees_trigger:
        unlearn = trigger_to_unlearn(audit, poisoned, unlearn, trigger)
    elif unlearn is not None:
        raise unlearns_nothing(method)
    return purify_model(
        audit, material, method, poisoned, held_out=held_out, trigger=trigger, unlearn=unlearn,
        test=test, seed=seed, device=device, resume=resume, job=job,
    )  # fmt: skip


def class_to_purify(audit: Audit, target: int | str | None) -> int:
    """The poisoned class. Raises `UsageError` if none is suspected and none is given."""
    if target is not None and not is_auto(audit, target):
        return pick_class(audit, target)
    if not audit.finding.classes:
        raise UsageError(
            "no class is suspected; if you know better, name the poisoned class with --target"
        )
    return audit.most_suspicious


def unlearns_nothing(method: Method) -> UsageError:
    """What is wrong with asking it to unlearn a trigger."""
    return UsageError("{method} unlearns no trigger; drop --unlearn", method=method.name)


def as_trigger(given: str | Trigger | None) -> Trigger | None:
    """A trigger by its text. Raises `UsageError` and `InputError`."""
    return parse_trigger(given) if isinstance(given, str) else given
