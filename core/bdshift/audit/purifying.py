"""From an audit to a purified model, and how accuracy, attack success and shifts changed."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

import torch
from torch import nn

from bdshift.audit import add_tac
from bdshift.audit.records import Audit, Purification
from bdshift.audit.second_stage import first_stage
from bdshift.audit.stages import Material, embed_cached, examine
from bdshift.checkpoints.classifier import Classifier
from bdshift.detect.detector import Subject
from bdshift.detect.detectors.embedding_shift import EmbeddingShift
from bdshift.devices import pick_device
from bdshift.errors import InputError
from bdshift.images.collection import open_images
from bdshift.images.labels import LEFT_OUT, map_classes
from bdshift.jobs import SILENT, EarlierFigures, Figures, JobContext
from bdshift.measure import attack_success, before_steps, measure
from bdshift.purification import LabeledImages, Method, Watch, purify, read_images, split_clean
from bdshift.purification import quantities as q
from bdshift.purification.clean_data import check_held, with_trigger
from bdshift.recovery.kept import kept_trigger
from bdshift.triggers import Trigger

_WATCHED_IMAGES = 500  # approximately; attack success is tracked on them from step to step


def purify_model(
    audit: Audit,
    material: Material,
    method: Method,
    target: int,
    *,
    held_out: float = 0.2,
    trigger: Trigger | None = None,
    unlearn: Trigger | None = None,
    test: str | Path | None = None,
    tested: LabeledImages | None = None,
    seed: int = 0,
    device: str = "auto",
    resume: Path | None = None,
    job: JobContext = SILENT,
) -> Purification:
    """Purify the model of an audit and scan the result.

    The method sees the clean images of the audit and nothing else, unless it unlearns a trigger
    (`Method.sees_trigger`): then these images with the trigger ``unlearn``, too. With a
    ``trigger``, attack success is reported; ``test`` is other images to report on (class folders
    with the same names), by default the held-out ones, and ``tested`` what is in them, at the
    network's input size and labeled with the audit's classes, if they have been read already. If
    canceled, the best result so far is
    returned, not ``complete``, and its images are not searched; if canceled again, nothing.

    Raises `InputError` if images have no labels, and as `bdshift.audit.reopen` and
    `bdshift.purification.purify` do.
    """
    check_held(held_out)
    scans = max(1, len(audit.settings.detectors))  # each of them is one part of the rescan
    job.part(1, 1 + scans)
    material.clean.collection.require_labels()
    where = pick_device(device)
    classifier = material.classifier
    preprocess = classifier.preprocessing
    everything = clean_images(audit, material, job=job)
    clean = split_clean(everything, preprocess, held=held_out, seed=seed)
    unlearned = unlearn if method.sees_trigger else None
    if unlearned is not None:
        clean = with_trigger(clean, unlearned, target, job=job)
    reported = clean.held if tested is None else tested
    if test is not None and tested is None:
        reported = _read_test(audit, Path(test), _reader(material, job), job)
    reported = reported.to(where)
    precision = "float32" if audit.precision == "float32" else ""
    few = reported[:: max(1, len(reported) // _WATCHED_IMAGES)]  # from all classes: they are sorted
    figures = partial(
        measure, preprocess=preprocess, test=reported, classes=classifier.classes, trigger=trigger,
        target=target, precision=precision, job=job,
    )  # fmt: skip
    before = figures(classifier.network.to(where))
    known = before_steps(before, held_out=test is None)
    job.report(EarlierFigures((Figures(-1, method.total, known),)))
    result = purify(
        classifier, clean, method, target, torch.from_numpy(audit.shifts.shift[target].copy()),
        seed=seed, watch=_watch(classifier, few, trigger, target, test, precision, job),
        resume=resume, device=where, precision=precision, job=job,
    )  # fmt: skip
    job.keep_result()  # stopped or not, the result so far is reported
    quick = not result.complete  # who stops does not want to wait for searches
    job.part(2, 2 if quick else 1 + scans)
    purified = replace(material, classifier=result.applied_to(classifier))
    after = figures(purified.classifier.network.to(where))
    with job.among(1, 0):
        again = rescan(audit, purified, quick=quick, device=device, job=job)
    if trigger is not None:  # only this one: a trigger from an audit file may name files to open
        again = add_tac(again, purified, trigger, target, device=device, job=job)
    return Purification(
        result, held_out, None if trigger is None else trigger.spec,
        None if test is None else str(test), len(reported), before, after, again,
        None if unlearned is None else unlearned.spec,
    )  # fmt: skip


def _reader(material: Material, job: JobContext) -> partial[LabeledImages]:
    """`read_images`, as the model of an audit gets them."""
    preprocess = material.classifier.preprocessing
    return partial(read_images, size=preprocess.size, framing=preprocess.framing, job=job)


def clean_images(audit: Audit, material: Material, *, job: JobContext = SILENT) -> LabeledImages:
    """The clean images of an audit at the network's input size.

    Raises `InputError` if they are not those that were audited.
    """
    found = material.clean
    return _reader(material, job)(
        found.collection, found.files, found.class_map.of_folder, expected=audit.images.sha256
    )


def trigger_to_unlearn(
    audit: Audit, target: int, given: Trigger | None, reported: Trigger | None
) -> Trigger | None:
    """What a method that unlearns a trigger is given: the one ``given`` for that; otherwise the one
    that the audit has recovered last for ``target``, which is written to a file of the user's;
    otherwise the one that attack success is ``reported`` for, if any.

    Raises `InputError` if the file cannot be written.
    """
    if given is not None:
        return given
    found = [one for one in audit.recoveries if one.target == target]
    return kept_trigger(found[-1]) if found else reported


def _watch(
    classifier: Classifier,
    images: LabeledImages,
    trigger: Trigger | None,
    target: int,
    test: str | Path | None,
    precision: str,
    job: JobContext,
) -> Watch | None:
    """Track attack success from step to step, if there is a trigger."""
    if trigger is None:
        return None

    def look(network: nn.Module) -> dict[str, float]:
        found = attack_success(
            network, classifier.preprocessing, images, trigger, target, precision=precision, job=job
        )
        return {} if found is None else {q.ASR: found[0], q.RA: found[1]}

    return Watch(f"{trigger.spec} {test}", look)


def aligned(audit: Audit, *, job: JobContext = SILENT) -> Audit:
    """The audit with every rescan brought to the audit's own α and rule, so that shifts before and
    after are comparable. A rescan without its embedding keeps its α.
    """
    again = tuple(
        replace(one, rescan=_aligned(one.rescan, audit, job)) for one in audit.purifications
    )
    return replace(audit, purifications=again)


def _aligned(rescan: Audit, audit: Audit, job: JobContext) -> Audit:
    if rescan.shifts.alpha != audit.shifts.alpha and rescan.embedding is not None:
        rescan = at_alpha(rescan, audit.shifts.alpha, job=job)
    return rescan.under(audit.settings.rule, audit.settings.by_rule)


def at_alpha(audit: Audit, alpha: float, *, job: JobContext = SILENT) -> Audit:
    """The audit with its shifts solved again for another α, from the cached embedding."""
    assert audit.embedding is not None
    first = audit.settings.detectors[0]
    assert isinstance(first, EmbeddingShift)
    detector = replace(first, alpha=alpha)
    subject = Subject(
        audit.embedding, audit.model.weight, audit.images.class_names, seed=audit.settings.seed
    )
    settings = replace(audit.settings, detectors=(detector, *audit.settings.detectors[1:]))
    evidence = (detector.detect(subject, job), *audit.evidence[1:])
    return replace(audit, settings=settings, evidence=evidence)


def _read_test(
    audit: Audit, path: Path, read: partial[LabeledImages], job: JobContext
) -> LabeledImages:
    """All test images that can be read, labeled with the audit's classes.

    Raises `InputError` if there are none.
    """
    found = open_images(path)
    found.require_labels()
    mapped = map_classes(found.folders, audit.model.classes, audit.images.folder_index)
    files = [one for one in found.files if mapped.of_folder[one.label] != LEFT_OUT]
    images = read(found, files, mapped.of_folder)
    if not len(images):
        raise InputError("{path}: none of the test images can be read", path=path)
    if len(images) < len(files):
        job.note("{path}: {count:|test image|test images} cannot be read and {count:~|is|are} "
                 "left out", path=str(path), count=len(files) - len(images))  # fmt: skip
    return images


def rescan(
    audit: Audit,
    purified: Material,
    *,
    quick: bool = False,
    device: str = "auto",
    job: JobContext = SILENT,
) -> Audit:
    """The audit of a purified model, with the images, settings and reference of ``audit``; if it is
    ``quick``, without the searches of a second stage.

    Its path and SHA-256 stay those of the model that was purified.
    """
    where = pick_device(device)
    embedding = embed_cached(
        None, purified, device=where, precision=audit.precision, batch=audit.settings.batch,
        job=job,
    )  # fmt: skip
    model = replace(
        audit.model,
        weight=purified.classifier.weight.cpu().numpy(),
        bias=purified.classifier.bias.cpu().numpy(),
    )
    settings = audit.settings
    if quick:
        settings = replace(settings, detectors=first_stage(settings.detectors), search=0.0)
    again = examine(
        model, audit.images, settings, audit.trials, embedding, purified, device=where,
        job=job,
    )  # fmt: skip
    return replace(again, reference=audit.reference)
