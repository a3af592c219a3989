"""The second stage of a scan: searches for small changes of the images, as many kinds as a budget
affords; and witnesses, kinds that are not compared with clean models, where a class is unusual and
nothing bears it out.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import torch

from bdshift.checkpoints.classifier import Classifier
from bdshift.detect.detector import DETECTORS, Detector
from bdshift.detect.detectors.pairs import Pairs
from bdshift.detect.image_search import ImageSearch
from bdshift.devices import pace
from bdshift.recovery.effort import LEAST_CLASSES, affordable_passes
from bdshift.verdict.decide import Verdict
from bdshift.words import Sentence

_SIGNIFICANCE = 0.005
"""Of the test for a map of all classes, half of the usual: it comes besides the verdict."""


def too_large(seconds: float, needed: float) -> Sentence:
    """What is said if no search fits into a budget, and one kind of change takes ``needed``."""
    return Sentence(
        "The network is too large to be searched for triggers within {seconds:g} seconds: one kind "
        "of change takes about {needed:,.0f}. Only the embedding is judged; a larger --budget "
        "searches",
        {"seconds": seconds, "needed": needed},
    )


def seconds_of_a_kind(classifier: Classifier, precision: str, device: torch.device) -> float:
    """How long a search for the first kind of change takes, about: for all classes, or, of many,
    for the fewest that are enough.
    """
    classes = classifier.classes
    kind = next(iter(_kinds(classes)))
    work = kind.work(classes) if classes <= 2 * LEAST_CLASSES else _least_work(kind, classes)
    return math.ceil(work / affordable_passes(classifier, pace(device), precision))


def _kinds(classes: int) -> list[ImageSearch]:
    """The kinds that clean models were searched for and that can be tried for so many classes."""
    return [
        kind() for kind in DETECTORS.kinds()
        if issubclass(kind, ImageSearch) and kind.is_compared and classes <= kind.most_classes
    ]  # fmt: skip


def _least_work(kind: ImageSearch, classes: int) -> int:
    return kind.work(min(LEAST_CLASSES, classes))


def second_stage(
    classifier: Classifier, seconds: float, precision: str, asked: Sequence[Detector]
) -> tuple[Detector, ...]:
    """``asked``, pairs of classes, and the searches that ``seconds`` afford on two cores in
    ``precision``, by counted work: the first of the kinds that clean models were searched for that
    can be run for all classes; if none can, the first kind for some of the classes, or none if even
    that is too much. What there are too many classes for is left out (`Detector.most_classes`).
    """
    named, classes = {one.name for one in asked}, classifier.classes
    if Pairs.name not in named and classes <= Pairs.most_classes:
        asked = (*asked, Pairs(significance=_SIGNIFICANCE))
    kinds = [one for one in _kinds(classes) if one.name not in named]
    most = affordable_passes(classifier, seconds, precision)
    for count in range(len(kinds), 0, -1):
        works = [one.work(classes) for one in kinds[:count]]
        if sum(works) <= most:
            budgets = [math.ceil(work * seconds / most) for work in works]
            return (*asked, *map(_within, kinds, budgets))
    if kinds and _least_work(kinds[0], classes) <= most:
        return (*asked, _within(kinds[0], seconds))
    return tuple(asked)


def witnesses(
    verdict: Verdict | None,
    classifier: Classifier,
    seconds: float,
    precision: str,
    asked: Sequence[Detector],
) -> tuple[Detector, ...]:
    """Searches that may bear out what a verdict finds unusual, by the evidence of those that were
    ``asked`` for, as many as ``seconds`` afford, as for `second_stage`: of all classes, or of some.
    None if nothing is unusual enough, or all of it is borne out.
    """
    if verdict is None or not verdict.alone:
        return ()
    named, classes = {one.name for one in asked}, classifier.classes
    found, most = [], affordable_passes(classifier, seconds, precision)
    each = seconds / most if most else math.inf
    for kind in DETECTORS.kinds():
        if issubclass(kind, ImageSearch) and kind.is_witness and kind.name not in named:
            one = kind()
            work = one.work(classes)
            if _least_work(one, classes) <= most:
                found.append(_within(one, math.ceil(min(work, most) * each)))
                most -= min(work, most)
    return tuple(found)


def first_stage(detectors: Sequence[Detector]) -> tuple[Detector, ...]:
    """``detectors`` without those that a second stage adds."""
    return tuple(
        one for one in detectors
        if not (isinstance(one, ImageSearch) and (one.is_compared or one.is_witness))
        and one != Pairs(significance=_SIGNIFICANCE)
    )  # fmt: skip


def _within(detector: ImageSearch, seconds: float) -> ImageSearch:
    return replace(detector, budget=seconds)


def reaching_as_many(
    detectors: Sequence[Detector],
    classifier: tuple[Classifier, str],
    other: tuple[Classifier, str],
) -> tuple[Detector, ...]:
    """``detectors`` with budgets that are large enough to try all of ``other``, where those that
    they have are for ``classifier``; each is given with its precision.
    """
    found = []
    for one in detectors:
        if isinstance(one, ImageSearch):
            work = one.work(classifier[0].classes)
            if work <= affordable_passes(classifier[0], one.budget, classifier[1]):
                wide = math.ceil(work / affordable_passes(other[0], 1.0, other[1]))
                one = _within(one, max(one.budget, wide))
        found.append(one)
    return tuple(found)
