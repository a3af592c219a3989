"""From an audit to a cleaned model, and what became of accuracy, attack and shifts."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import nn

from bdshift.audit import reopen
from bdshift.audit.records import Audit
from bdshift.audit.stages import CleanSet
from bdshift.devices import pick_device
from bdshift.images.collection import open_images
from bdshift.images.labels import map_classes
from bdshift.jobs import SILENT, JobContext
from bdshift.purify import CleanData, Method, Part, Purified, purify, read_clean
from bdshift.purify.measure import Measured, measure
from bdshift.purify.workbench import Workbench, shifts_of
from bdshift.shift.result import Shifts
from bdshift.shift.verdict import Verdict, judge
from bdshift.triggers import Trigger

_WATCHED = 500  # images, about, on which attack success is followed from step to step


@dataclass(frozen=True)
class Cleaned:
    """A purification with its figures.

    Attributes:
        audit: of the model before.
        run: what came out.
        trigger: text of the trigger that attack success is told for; None without.
        reported_on: the images that ``before`` and ``after`` were measured on.
        before, after: ACC, ASR, RA.
        shifts, verdict: of the cleaned model, on the audit's clean images.
    """

    audit: Audit
    run: Purified
    trigger: str | None
    reported_on: str
    before: Measured
    after: Measured
    shifts: Shifts
    verdict: Verdict


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
    """Purify the model of an audit.

    The method sees the clean images of the audit and nothing else. With a ``trigger``, attack
    success is reported; ``test`` are other images to report on (class folders of the same names),
    by default the held-out ones. Cancelled, the best until then is returned, not ``complete``.

    Raises as `bdshift.audit.reopen` and `bdshift.purify.purify` do.
    """
    where = pick_device(device)
    classifier, found = reopen(audit, model=model, images=images, arch=arch, job=job)
    preprocess = classifier.preprocessing
    assert preprocess is not None
    order = found.class_map.of_folder
    clean = read_clean(
        found.collection, found.files, order, preprocess, held=held, seed=seed, job=job
    )
    reported = clean.held if test is None else _read_test(audit, Path(test), clean, job)
    reported = reported.to(where)

    def figures(network: nn.Module, part: Part, job: JobContext = job) -> Measured:
        return measure(network, preprocess, part, trigger, target, job=job)

    every = max(1, len(reported) // _WATCHED)  # of all classes: they lie in order
    few = Part(reported.pixels[::every], reported.labels[::every])

    def watch(network: nn.Module) -> dict[str, float]:
        seen = figures(network, few)
        return {} if seen.asr is None or seen.ra is None else {"asr": seen.asr, "ra": seen.ra}

    before = figures(classifier.network.to(where), reported)
    run = purify(
        classifier, clean, method, target, torch.from_numpy(audit.shifts.shift[target].copy()),
        seed=seed, watch=watch if trigger is not None else None, resume=resume, device=where,
        job=job,
    )  # fmt: skip
    network = run.classifier.network.to(where)
    job = job if run.complete else SILENT  # a stopped run is told about all the same
    after = figures(network, reported, job)
    whole = Part(
        torch.cat([clean.tune.pixels, clean.held.pixels]).to(where),
        torch.cat([clean.tune.labels, clean.held.labels]).to(where),
    )
    bench = Workbench(
        network, classifier.head_name, replace(clean, tune=whole), target, torch.zeros(0), job=job
    )
    shifts = shifts_of(bench.embed(whole), bench.head)
    names = audit.images.class_names
    verdict = judge(shifts.l2, names, rule=audit.verdict.rule, beta=audit.verdict.beta)
    network.cpu()
    classifier.network.cpu()
    spec = None if trigger is None else trigger.spec
    on = f"{len(reported)} images of {test}" if test else f"{len(reported)} held-out clean images"
    return Cleaned(audit, run, spec, on, before, after, shifts, verdict)


def _read_test(audit: Audit, path: Path, clean: CleanData, job: JobContext) -> Part:
    """Test images, in full, under the audit's classes."""
    collection = open_images(path)
    order = {name: index for index, name in enumerate(audit.images.class_names)}
    found = CleanSet(
        collection, tuple(collection.files),
        map_classes(collection.folders, audit.model.classes, order),
    )  # fmt: skip
    read = read_clean(collection, found.files, found.class_map.of_folder, clean.preprocess, job=job)
    return Part(
        torch.cat([read.tune.pixels, read.held.pixels]),
        torch.cat([read.tune.labels, read.held.labels]),
    )
