"""From an audit to a cleaned model, and what became of accuracy, attack and shifts."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

import torch
from torch import nn

from bdshift.audit import add_tac, reopen
from bdshift.audit.records import Audit, Cleaned
from bdshift.audit.stages import CleanSet, conclude, embed_cached, solve
from bdshift.checkpoints.classifier import Classifier
from bdshift.devices import pick_device
from bdshift.images.collection import open_images
from bdshift.images.labels import map_classes
from bdshift.jobs import SILENT, JobContext
from bdshift.purify import Method, Part, Watch, purify, read_part, split_clean
from bdshift.purify.clean_data import check_held
from bdshift.purify.measure import attack_success, measure
from bdshift.shift.verdict import judge
from bdshift.triggers import Trigger

_WATCHED = 500  # images, about, on which attack success is followed from step to step


def clean_model(
    audit: Audit,
    method: Method,
    target: int,
    *,
    model: str | Path | None = None,
    images: str | Path | None = None,
    arch: str | None = None,
    held: float = 0.2,
    trigger: Trigger | None = None,
    test: str | Path | None = None,
    seed: int = 0,
    device: str = "auto",
    resume: Path | None = None,
    job: JobContext = SILENT,
) -> Cleaned:
    """Purify the model of an audit, and scan what comes out.

    The method sees the clean images of the audit and nothing else. With a ``trigger``, attack
    success is reported; ``test`` are other images to report on (class folders of the same names),
    by default the held-out ones. Canceled, the best until then is returned, not ``complete``;
    canceled once more, nothing.

    Raises as `bdshift.audit.reopen` and `bdshift.purify.purify` do.
    """
    check_held(held)
    where = pick_device(device)
    classifier, found = reopen(audit, model=model, images=images, arch=arch, job=job)
    preprocess = classifier.preprocessing
    assert preprocess is not None
    read = partial(read_part, size=preprocess.size, job=job)
    everything = read(
        found.collection, found.files, found.class_map.of_folder, expected=audit.images.sha256
    )
    clean = split_clean(everything, preprocess, held=held, seed=seed)
    reported = clean.held if test is None else _read_test(audit, Path(test), read)
    reported = reported.to(where)
    few = reported[:: max(1, len(reported) // _WATCHED)]  # of all classes: they lie in order
    figures = partial(
        measure, preprocess=preprocess, test=reported, classes=classifier.classes, trigger=trigger,
        target=target, job=job,
    )  # fmt: skip

    def look(network: nn.Module) -> dict[str, float]:
        assert trigger is not None
        asr, ra = attack_success(network, preprocess, few, trigger, target, job=job)
        return {} if asr is None or ra is None else {"asr": asr, "ra": ra}

    watch = None if trigger is None else Watch(f"{trigger.spec} {test}", look)

    before = figures(classifier.network.to(where))
    run = purify(
        classifier, clean, method, target, torch.from_numpy(audit.shifts.shift[target].copy()),
        seed=seed, watch=watch, resume=resume, device=where, job=job,
    )  # fmt: skip
    job.go_on()  # stopped or not, what there is is told
    cleaned = run.applied_to(classifier)
    after = figures(cleaned.network.to(where))
    again = rescan(audit, cleaned, found, device=device, job=job)
    if trigger is not None:  # and no other: one that an audit file names may name files to open
        again = add_tac(again, cleaned, found, trigger, target, job=job)
    return Cleaned(
        run, held, None if trigger is None else trigger.spec, None if test is None else str(test),
        len(reported), before, after, again,
    )  # fmt: skip


def aligned(audit: Audit, *, job: JobContext = SILENT) -> Audit:
    """The audit with every rescan at its own α, rule and β, so that norms before and after compare.

    Solved again from the cached embedding, where α differs and there is one.
    """
    return replace(audit, runs=tuple(_aligned(run, audit, job) for run in audit.runs))


def _aligned(run: Cleaned, audit: Audit, job: JobContext) -> Cleaned:
    again, wanted = run.rescan, audit.verdict
    shifts = again.shifts
    if shifts.alpha != audit.shifts.alpha and again.embedding is not None:
        settings = replace(again.settings, alpha=audit.shifts.alpha)
        shifts = solve(again.embedding.logits, again.model.weight, settings, job=job)
    same = (again.verdict.rule, again.verdict.beta) == (wanted.rule, wanted.beta)
    if shifts is again.shifts and same:
        return run
    names = audit.images.class_names
    verdict = judge(shifts.l2, names, rule=wanted.rule, beta=wanted.beta)
    settings = replace(again.settings, alpha=shifts.alpha, rule=wanted.rule, beta=wanted.beta)
    found = replace(again, shifts=shifts, verdict=verdict, settings=settings)
    return replace(run, rescan=found)


def _read_test(audit: Audit, path: Path, read: partial[Part]) -> Part:
    """Test images, in full, under the audit's classes."""
    found = open_images(path)
    mapped = map_classes(found.folders, audit.model.classes, audit.images.class_index)
    return read(found, found.files, mapped.of_folder)


def rescan(
    audit: Audit,
    purified: Classifier,
    clean: CleanSet,
    *,
    device: str = "auto",
    job: JobContext = SILENT,
) -> Audit:
    """The audit of a purified model, with the images and settings of ``audit``.

    Its path and SHA-256 stay those of the model that was purified.
    """
    where = pick_device(device)
    embedding = embed_cached(
        None, purified, clean, device=where, precision=audit.precision,
        batch=audit.settings.batch, job=job,
    )  # fmt: skip
    model = replace(
        audit.model, weight=purified.weight.cpu().numpy(), bias=purified.bias.cpu().numpy()
    )
    settings = replace(audit.settings, rule=audit.verdict.rule, beta=audit.verdict.beta)
    return conclude(
        model, audit.images, settings, audit.trials, embedding, clean, device=where, job=job
    )
