"""Which pair of classes to recover a trigger for, if nothing else is known.

An attack on a single class shows neither in the embedding shift nor, if its trigger fails on other
classes, in a change that has to work for all of them. So changes are searched for on images of one
class at a time, toward many targets in one graph: for all pairs of classes if the budget allows it,
else for those that are the most suspicious in the embedding, each with control classes and with the
other way. A pair is as suspicious as its change is smaller than both. An audit whose scan has
searched along pairs and found one (`bdshift.detect.pair_inversion`) needs none of this.

Sizes are those at which changes worked in the search. The unused images play no part, so that what
is measured on them afterward has not been chosen by them.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator

import numpy as np
from numpy.typing import NDArray

from bdshift.audit.records import Audit
from bdshift.audit.recovery_ground import CONTROLS, Ground
from bdshift.changes import ChangeKind
from bdshift.detect.pair_inversion import most_suspicious_pair
from bdshift.recovery.pair_merits import pair_merits
from bdshift.recovery.search import passes
from bdshift.recovery.tried import Tried
from bdshift.shift.pair_map import residual, suspicious_pairs
from bdshift.shift.pairs import solve_pairs
from bdshift.words import Sentence

_LEAST_IMAGES = 20  # of a class: ten to search on, and ten to measure on


def most_one_sided(ground: Ground, target: int | None, kind: ChangeKind) -> tuple[int, int] | None:
    """The pair (source, target) whose change is smallest beside those to the source's other
    targets and the one the other way; None if the budget reaches no pair, or none is smaller than
    both. With a target, only pairs that lead to it. The one that the audit's evidence names is
    taken as it is.
    """
    named = _named(ground.audit, target)
    if named is not None:
        return named
    classes = ground.audit.model.classes
    sizes = np.full((classes, classes), np.nan)
    searches = _searches(ground, target, kind)
    for source, targets in searches.items():
        sizes[source, targets] = _sizes(ground, kind, source, targets)
    merits = pair_merits(sizes)
    if target is not None:
        merits[:, np.arange(classes) != target] = -np.inf
    source, best = (int(i) for i in np.unravel_index(merits.argmax(), merits.shape))
    return (source, best) if merits[source, best] > 0 else None


def _named(audit: Audit, target: int | None) -> tuple[int, int] | None:
    """The pair that a search along pairs found to be evidence."""
    for one in audit.judged:
        pair = most_suspicious_pair(one.evidence, target)
        if pair is None:
            continue
        if pair[1] in one.detector.judge_evidence(one.evidence, audit.settings.rule).suspected:
            return pair
    return None


def _searches(ground: Ground, target: int | None, kind: ChangeKind) -> dict[int, list[int]]:
    """Targets to search for from each source: of as many pairs as the budget reaches if the
    recovery of one of them is to follow. They are taken off it.
    """
    wanted: dict[int, set[int]] = {}
    cost = passes(kind, 1 + CONTROLS) + passes(kind, 1)  # of that recovery, and of a pair here
    if 2 * cost > ground.left:
        return {}
    shown = [len(ground.files_of(i)) >= _LEAST_IMAGES for i in range(ground.audit.model.classes)]
    for i, j in _suspicious(ground):
        if target not in (None, j) or not (shown[i] and shown[j]):
            continue
        more = {i: {j, *ground.controls(j, i)}, j: {i}}
        joined = {one: wanted.get(one, set()) | some for one, some in more.items()}
        cost += sum(_cost(kind, joined[one]) - _cost(kind, wanted.get(one)) for one in joined)
        if cost > ground.left:
            break
        wanted |= joined
    found = {source: sorted(targets) for source, targets in wanted.items()}
    ground.left -= sum(_cost(kind, targets) for targets in wanted.values())
    return found


def _cost(kind: ChangeKind, targets: Collection[int] | None) -> int:
    return passes(kind, len(targets)) if targets else 0


def _suspicious(ground: Ground) -> Iterator[tuple[int, int]]:
    """All pairs, in the order in which the embedding makes them suspicious."""
    embedding = ground.embedding
    norms = solve_pairs(
        embedding.logits, embedding.labels, ground.audit.model.weight,
        alpha=ground.audit.shifts.alpha, job=ground.job,
    )  # fmt: skip
    return suspicious_pairs(residual(norms.norm))


def _sizes(
    ground: Ground, kind: ChangeKind, source: int, targets: list[int]
) -> NDArray[np.float64]:
    """Of the smallest changes that worked, float64 (T,); infinite where none did."""
    tried = ground.finished.get(kind, "pairs", source, targets)
    if tried is None:
        started, name = time.perf_counter(), ground.audit.images.class_names[source]
        with ground.halves(source) as (used, _):
            stage = Sentence("Comparing pairs of classes: from {source}", {"source": name})
            found = ground.search(kind, used, targets, stage)
            seconds = time.perf_counter() - started
            tried = Tried(kind, found, (), seconds, used.forwards, used.backwards)
        ground.finished.keep(tried, "pairs", source, targets)
    return tried.found.size.cpu().double().numpy()
