"""From an audit to a recovered trigger: the kinds of changes compete for one class, and the same
effort is spent on control classes of the same model.

The search is guided by the embedding shift (Eq. 4), sees half of the images, and everything that is
reported is measured on the other half. The recovered trigger is made as large as it takes for an
ASR of 0.95 on the first. What decides is not how small a change is but how much smaller than for
the controls: some change sends images to any class.

A trigger may send images of a single class only. If no change that has to work for all of them is
evidence, changes of single classes are compared (`bdshift.audit.pair_trials`), and the trigger is
recovered on that source alone; then it is compared with the other way, too.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from bdshift.audit.pair_trials import most_one_sided
from bdshift.audit.records import Audit
from bdshift.audit.recovered import fact_of
from bdshift.audit.recovery_ground import EVERY_OTHER, Ground, ground_of
from bdshift.audit.stages import Material
from bdshift.budgets import RECOVERY_SECONDS
from bdshift.changes import CHANGES, ChangeKind, Params
from bdshift.devices import pick_device
from bdshift.errors import UsageError
from bdshift.jobs import SILENT, JobContext
from bdshift.neurons.tac import Tac, measure_tac
from bdshift.recovery.curve import at_level, measure_sizes, success
from bdshift.recovery.effort import shortlist
from bdshift.recovery.kept import kept_as
from bdshift.recovery.recovery import LEVELS, MAX_BESIDE, Recovery, SizeOf
from bdshift.recovery.scene import Scene
from bdshift.recovery.search import passes
from bdshift.recovery.tried import Tried
from bdshift.shift.embed import embed_images
from bdshift.words import Sentence

_WORKING = LEVELS[-1]  # success at which the recovered trigger is kept


def recover_trigger(
    audit: Audit,
    material: Material,
    target: int | None = None,
    kind: ChangeKind | None = None,
    *,
    budget: float | None = RECOVERY_SECONDS,
    source: int | None = None,
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
        source: the only class whose images are to be sent there; `EVERY_OTHER` for all. By default
            all, and if that is no evidence, single classes, as far as the rest of the budget goes:
            the trigger of the most one-sided pair is taken if it is evidence.
        resume: a file that keeps the kinds that are finished, so that the same recovery, if it is
            interrupted, goes on after them. Who saves the result removes it.
        job: progress, glimpses of what is found, and cancellation.

    Raises `InputError` if the images are not those of the audit or none are left to search on,
    `UsageError` if target and source are no two classes.
    """
    classes = audit.model.classes
    if target is None and audit.finding.classes:
        target = audit.finding.classes[0]
    single = EVERY_OTHER if source is None else source
    inside = EVERY_OTHER <= single < classes and (target is None or 0 <= target < classes)
    if not inside or target == single:
        raise UsageError("a trigger sends images of one class, or of all others, to another one")
    ground = ground_of(audit, material, budget, resume, seed, pick_device(device), job)
    if source is not None:
        return _recovered(ground, target, kind, single)
    # How many kinds the rest of the budget reaches then is not known before: at most, all of them.
    more = _parts(len([*CHANGES]) if kind is None else 1)
    with job.among(0, 1 + more):
        found = _recovered(ground, target, kind, single)
    if fact_of(found).confirms:
        return found
    before = _parts(len(found.attempts))
    job.part(before + 1, before + 1 + more)
    pair = most_one_sided(ground, target, kind or _first_kind())
    if pair is None:
        return found
    with job.among(before + 1, 0):
        other = _recovered(ground, pair[1], kind, pair[0])
    if fact_of(other).confirms:
        return other
    names = audit.images.class_names
    job.note(
        "The most one-sided pair of classes, from “{source}” to “{target}”, is no evidence, either",
        source=names[pair[0]], target=names[pair[1]],
    )  # fmt: skip
    return found


def _parts(kinds: int) -> int:
    """Of a recovery: each kind that is tried, and what is measured of the best."""
    return kinds + 1


def _recovered(
    ground: Ground, target: int | None, kind: ChangeKind | None, source: int
) -> Recovery:
    started = time.perf_counter()
    with ground.halves(source) as (used, unused):
        tried_for = _candidates(ground, target, source, kind)
        tried, kinds = [], list(_kinds(ground, kind, len(tried_for)))
        for number, one in enumerate(kinds, 1):
            ground.job.part(number, _parts(len(kinds)))
            made = ground.finished.get(one, source, tried_for)
            if made is None:
                made = _try(ground, one, used, unused, tried_for)
                ground.finished.keep(made, source, tried_for)
            tried.append(made)
        ground.job.part(_parts(len(kinds)), _parts(len(kinds)))
        open_to = tried_for if target is None else [target]
        best, target = max(
            ((one, index) for one in tried for index in open_to),
            key=lambda pair: pair[0].merit(pair[1]),
        )
        params = at_level(best.kind, used, target, best.params(target), _WORKING)
        asr = success(best.kind, unused, target, params)
        transfer = _transfer(ground, best.kind, used, target)
        images = int((unused.labels != target).sum())
    beside = best.attempt(target).typical_controls(MAX_BESIDE)
    recovery = Recovery(
        target=target, source=source, kind=best.kind.spec,
        attempts=tuple(one.attempt(target) for one in tried),
        params={key: value[0].cpu() for key, value in params.items()}, side=used.side, asr=asr,
        images=images, transfer=transfer, tac=_NO_TAC, seed=ground.seed, seconds=0.0,
        reverse=_reverse(ground, best.kind, target, source), beside=beside,
        beside_params=_together([best.params(one) for one in beside]),
    )  # fmt: skip
    tac = _proxy_tac(ground, recovery, params)
    return replace(
        recovery, tac=tac, elsewhere=_elsewhere(ground, tac, source),
        seconds=time.perf_counter() - started,
    )  # fmt: skip


def _together(changes: list[Params]) -> dict[str, torch.Tensor]:
    """Parameters of several changes."""
    keys = changes[0] if changes else ()
    return {key: torch.cat([one[key] for one in changes]).cpu() for key in keys}


_NO_TAC = Tac("", 0, math.nan, math.nan, 0, np.zeros(0), np.zeros(0))


def _first_kind() -> ChangeKind:
    return CHANGES.parse(next(iter(CHANGES)))


def _candidates(
    ground: Ground, target: int | None, source: int, kind: ChangeKind | None
) -> list[int]:
    """The target and its controls; without a target all classes, or those that the budget reaches
    with the first kind.
    """
    if target is not None:
        return [target, *ground.controls(target, source)]
    most = ground.left / passes(kind or _first_kind(), 1)
    reached = shortlist(most, ground.audit.shifts.l2, ground.seed)
    return [one for one in reached if one != source]


def _kinds(ground: Ground, kind: ChangeKind | None, classes: int) -> Iterator[ChangeKind]:
    """Those that the budget reaches, at least one; they are taken off it."""
    found = map(CHANGES.parse, CHANGES) if kind is None else iter((kind,))
    for number, one in enumerate(found):
        cost = passes(one, classes)
        if number and cost > ground.left:
            return
        ground.left -= cost
        yield one


def _try(ground: Ground, kind: ChangeKind, used: Scene, unused: Scene, targets: list[int]) -> Tried:
    started = time.perf_counter()
    before = used.forwards + unused.forwards, used.backwards
    found = ground.search(kind, used, targets)
    sizes = tuple(measure_sizes(kind, unused, found))
    return Tried(
        kind, found, sizes, time.perf_counter() - started,
        used.forwards + unused.forwards - before[0], used.backwards - before[1],
    )  # fmt: skip


def _transfer(ground: Ground, kind: ChangeKind, used: Scene, target: int) -> float:
    """Success on some source classes of a change that was found on the others (ET); NaN if there
    are not two source classes.
    """
    sources = [one for one in used.labels.unique().tolist() if one != target]
    if len(sources) < 2:
        return math.nan
    first = torch.isin(used.labels, torch.tensor(sources[::2], device=used.device))
    second = torch.isin(used.labels, torch.tensor(sources[1::2], device=used.device))
    here, there = (used.part(torch.nonzero(rows)[:, 0]) for rows in (first, second))
    stage = Sentence("Searching on half of the classes: {kind}", {"kind": Sentence(kind.label)})
    found = ground.search(kind, here, [target], stage)
    return success(kind, there, target, at_level(kind, here, target, found.of(0), _WORKING))


def _reverse(ground: Ground, kind: ChangeKind, target: int, source: int) -> SizeOf | None:
    """The change from the target to a single source, with the same effort; None without one, or
    without images.
    """
    if source == EVERY_OTHER or len(ground.files_of(target)) < 2:
        return None
    stage = Sentence("Searching the other way: {kind}", {"kind": Sentence(kind.label)})
    with ground.halves(target) as (used, unused):
        return measure_sizes(kind, unused, ground.search(kind, used, [source], stage))[0]


def _elsewhere(ground: Ground, tac: Tac, source: int) -> float:
    """Success on images of all classes but a single source; NaN without one, or without images."""
    rows = ~np.isin(ground.embedding.labels, (source, tac.target))
    if source == EVERY_OTHER or tac.triggered is None or not rows.any():
        return math.nan
    return float((tac.triggered.logits[rows].argmax(1) == tac.target).mean())


def _proxy_tac(ground: Ground, recovery: Recovery, params: Params) -> Tac:
    """TAC under the recovered trigger, on all clean images."""
    change, clean = recovery.change, ground.material.clean

    def triggered(pixels: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            return change.changed(params, pixels.float() / 255)[0].mul(255).round()

    found = embed_images(
        ground.material.classifier, clean.collection, ground.embedding.files,
        class_of_folder=clean.class_map.of_folder, trigger=triggered, device=ground.device,
        precision=ground.audit.precision, batch=ground.audit.settings.batch, job=ground.job,
    )  # fmt: skip
    trigger = kept_as(recovery.saved()).spec
    return measure_tac(ground.embedding, found, trigger, recovery.target)
