"""From an audit to a recovered trigger: the kinds of changes compete for one class, and the same
effort is spent on control classes of the same model.

The search is guided by the embedding shift (Eq. 4), sees half of the images, and everything that is
reported is measured on the other half. The recovered trigger is made as large as it takes for an
ASR of 0.95 on the first. What decides is not how small a change is but how much smaller than for
the controls: some change sends images to any class.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from bdshift.audit.records import Audit
from bdshift.audit.stages import Material, embed_cached
from bdshift.changes import CHANGES, ChangeKind, Params
from bdshift.devices import pick_device
from bdshift.errors import InputError, UsageError
from bdshift.jobs import SILENT, JobContext
from bdshift.neurons.tac import Tac, measure_tac
from bdshift.recover.curve import at_level, measure_sizes, success
from bdshift.recover.effort import affordable_passes, shortlist
from bdshift.recover.kept import kept_as
from bdshift.recover.recovery import LEVELS, Recovery
from bdshift.recover.scene import Scene, scene_of
from bdshift.recover.search import passes, search
from bdshift.recover.tried import FinishedKinds, Tried
from bdshift.shift.embed import Embedding, embed_images

DEFAULT_BUDGET = 60.0
"""Seconds, about."""

_IMAGES = 320  # half of them are searched on
_CONTROLS = 3
_GUIDE = 2.0  # weight of the embedding shift in the loss
_WORKING = LEVELS[-1]  # success at which the recovered trigger is kept


def recover_trigger(
    audit: Audit,
    material: Material,
    target: int | None = None,
    kind: ChangeKind | None = None,
    *,
    budget: float | None = DEFAULT_BUDGET,
    source: int = -1,
    seed: int = 0,
    device: str = "auto",
    resume: Path | None = None,
    job: JobContext = SILENT,
) -> Recovery:
    """Recover a trigger that sends images to ``target``.

    Args:
        target: the class; by default the first that the audit suspects, compared with three control
            classes. If it suspects none, every class is tried and compared with all others, or as
            many as the budget allows, and the one whose change is smallest in comparison is taken:
            the embedding shift misses targets that the input gives away.
        kind: the only kind of change to look for; None to let all of them compete.
        budget: seconds, about: how many kinds are tried, in their order, follows from it and from
            the network's size, never from the clock. None for all kinds.
        source: the only class whose images are to be sent there; −1 for all.
        resume: a file that keeps the kinds that are finished, so that the same recovery, if it is
            interrupted, goes on after them. Who saves the result removes it.
        job: progress, glimpses of what is found, and cancellation.

    Raises `InputError` if the images are not those of the audit or none are left to search on,
    `UsageError` if target and source are no two classes.
    """
    started = time.perf_counter()
    classes = audit.model.classes
    if target is None and audit.finding.classes:
        target = audit.finding.classes[0]
    inside = -1 <= source < classes and (target is None or 0 <= target < classes)
    if not inside or target == source:
        raise UsageError("a trigger sends images of one class, or of all others, to another one")
    where = pick_device(device)
    embedding = _embedding(audit, material, where, job)
    shifts = torch.from_numpy(audit.shifts.shift.astype(np.float32)).to(where)
    with scene_of(
        material.classifier, material.clean.collection, _of_source(embedding, source), _IMAGES,
        seed=seed, device=where, job=job,
    ) as scene:  # fmt: skip
        used, unused = scene.halves()
        tried_for = _candidates(audit, used, target, source, kind, budget, seed)
        targets = torch.tensor(tried_for, device=where)
        finished = FinishedKinds(
            resume, _identity(audit, tried_for, target, source, seed), where, job
        )
        tried = []
        for one in _kinds(kind, used, budget, len(targets)):
            made = finished.get(one)
            if made is None:
                made = _try(one, used, unused, targets, shifts, seed)
                finished.keep(made)
            tried.append(made)
        open_to = tried_for if target is None else [target]
        best, target = max(
            ((one, index) for one in tried for index in open_to),
            key=lambda pair: pair[0].merit(pair[1]),
        )
        params = at_level(best.kind, used, target, best.params(target), _WORKING)
        asr = success(best.kind, unused, target, params)
        transfer = _transfer(best.kind, used, target, shifts, seed)
        images = int((unused.labels != target).sum())
    recovery = Recovery(
        target=target, source=source, kind=best.kind.spec,
        attempts=tuple(one.attempt(target) for one in tried),
        params={key: value[0].cpu() for key, value in params.items()}, side=scene.side, asr=asr,
        images=images, transfer=transfer, tac=_NO_TAC, seed=seed, seconds=0.0,
    )  # fmt: skip
    tac = _proxy_tac(audit, material, embedding, recovery, params, where, job)
    return replace(recovery, tac=tac, seconds=time.perf_counter() - started)


def _identity(
    audit: Audit, classes: list[int], target: int | None, source: int, seed: int
) -> dict[str, Any]:
    """Everything that the numbers of a kind depend on."""
    return {
        "model": audit.model.sha256, "weights": audit.model.weights, "images": audit.images.sha256,
        "architecture": audit.model.architecture, "preprocessing": repr(audit.preprocessing),
        "alpha": audit.shifts.alpha, "precision": audit.precision, "classes": classes,
        "target": target, "source": source, "seed": seed,
    }  # fmt: skip


_NO_TAC = Tac("", 0, math.nan, math.nan, 0, np.zeros(0), np.zeros(0))


def _embedding(
    audit: Audit, material: Material, device: torch.device, job: JobContext
) -> Embedding:
    found = audit.embedding or embed_cached(
        None, material, device=device, precision=audit.precision, batch=audit.settings.batch,
        job=job,
    )  # fmt: skip
    if found.images_hash != audit.images.sha256:
        raise InputError(
            "{path}: is not the set that was audited (hash differs)",
            path=material.clean.collection.path,
        )
    return found


def _of_source(embedding: Embedding, source: int) -> Embedding:
    """The images of one class, or all of them."""
    if source < 0:
        return embedding
    rows = np.flatnonzero(embedding.labels == source)
    if len(rows) < 2:
        raise InputError("there are too few images of the source class to search on")
    return replace(
        embedding, phi=embedding.phi[rows], logits=embedding.logits[rows],
        labels=embedding.labels[rows], thumbnails=embedding.thumbnails[rows],
        files=tuple(embedding.files[row] for row in rows),
    )  # fmt: skip


def _controls(audit: Audit, target: int, source: int, seed: int) -> list[int]:
    """Classes to compare the target with: two whose shifts are in the middle, and one at random."""
    norms = audit.shifts.l2
    others = [i for i in np.argsort(norms, kind="stable").tolist() if i not in (target, source)]
    middle = len(others) // 2
    chosen = others[max(0, middle - 1) : middle + 1]
    rest = [one for one in others if one not in chosen]
    count = min(len(rest), _CONTROLS - len(chosen))
    return [*chosen, *np.random.default_rng(seed).permutation(rest)[:count].astype(int).tolist()]


def _candidates(
    audit: Audit,
    scene: Scene,
    target: int | None,
    source: int,
    kind: ChangeKind | None,
    budget: float | None,
    seed: int,
) -> list[int]:
    """The target and its controls; without a target all classes, or those that the budget reaches
    with the first kind.
    """
    if target is not None:
        return [target, *_controls(audit, target, source, seed)]
    first = kind or CHANGES.parse(next(iter(CHANGES)))
    seconds = math.inf if budget is None else budget
    reached = shortlist(passes(first, 1), scene, audit.shifts.l2, seconds, seed)
    return [one for one in reached if one != source]


def _kinds(
    kind: ChangeKind | None, scene: Scene, budget: float | None, classes: int
) -> Iterator[ChangeKind]:
    """Those that the budget reaches, at least one."""
    if kind is not None:
        yield kind
        return
    left = math.inf if budget is None else affordable_passes(scene, budget)
    for number, one in enumerate(CHANGES.parse(name) for name in CHANGES):
        left -= passes(one, classes)
        if number and left < 0:
            return
        yield one


def _try(
    kind: ChangeKind,
    used: Scene,
    unused: Scene,
    targets: torch.Tensor,
    shifts: torch.Tensor,
    seed: int,
) -> Tried:
    started = time.perf_counter()
    before = used.forwards + unused.forwards, used.backwards
    found = search(kind, used, targets, seed=seed, shifts=shifts, guide=_GUIDE)
    sizes = tuple(measure_sizes(kind, unused, found))
    return Tried(
        kind, found, sizes, time.perf_counter() - started,
        used.forwards + unused.forwards - before[0], used.backwards - before[1],
    )  # fmt: skip


def _transfer(kind: ChangeKind, used: Scene, target: int, shifts: torch.Tensor, seed: int) -> float:
    """Success on some source classes of a change that was found on the others (ET); NaN if there
    are not two source classes.
    """
    sources = [one for one in used.labels.unique().tolist() if one != target]
    if len(sources) < 2:
        return math.nan
    first = torch.isin(used.labels, torch.tensor(sources[::2], device=used.device))
    second = torch.isin(used.labels, torch.tensor(sources[1::2], device=used.device))
    here, there = (used.part(torch.nonzero(rows)[:, 0]) for rows in (first, second))
    targets = torch.tensor([target], device=used.device)
    found = search(kind, here, targets, seed=seed, shifts=shifts, guide=_GUIDE)
    return success(kind, there, target, at_level(kind, here, target, found.of(0), _WORKING))


def _proxy_tac(
    audit: Audit,
    material: Material,
    clean: Embedding,
    recovery: Recovery,
    params: Params,
    device: torch.device,
    job: JobContext,
) -> Tac:
    """TAC under the recovered trigger, on all clean images."""
    change = recovery.change

    def triggered(pixels: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            return change.changed(params, pixels.float() / 255)[0].mul(255).round()

    found = embed_images(
        material.classifier, material.clean.collection, clean.files,
        class_of_folder=material.clean.class_map.of_folder, trigger=triggered, device=device,
        precision=audit.precision, batch=audit.settings.batch, job=job,
    )  # fmt: skip
    return measure_tac(clean, found, kept_as(recovery.saved()).spec, recovery.target)
