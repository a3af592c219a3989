"""The second stage of a scan: searches for small changes of the images, as many kinds as a budget
affords.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from bdshift.changes import CHANGES
from bdshift.checkpoints.classifier import Classifier
from bdshift.detect.detector import DETECTORS, Detector
from bdshift.detect.detectors.pairs import Pairs
from bdshift.detect.inversion import InversionDetector
from bdshift.recover.effort import LEAST_CLASSES, affordable_passes
from bdshift.recover.search import passes
from bdshift.verdict.clean_models import shipped_table

_MAX_CLASSES_OF_PAIRS = 100  # of more, there are too many pairs for a few seconds
_SIGNIFICANCE = 0.005
"""Of the test for a map of all classes, half of the usual: it comes besides the verdict."""


def second_stage(
    classifier: Classifier, seconds: float, asked: Sequence[Detector]
) -> tuple[Detector, ...]:
    """``asked``, pairs of classes unless there are too many, and the searches that ``seconds``
    afford on two cores, by counted work: the first of the kinds that clean models were searched for
    that can be run for all classes; if none can, the first kind for some of the classes, or none if
    even that is too much.
    """
    named = {one.name for one in asked}
    if Pairs.name not in named and classifier.classes <= _MAX_CLASSES_OF_PAIRS:
        asked = (*asked, Pairs(significance=_SIGNIFICANCE))
    kinds = [
        kind() for kind in DETECTORS.kinds()
        if issubclass(kind, InversionDetector) and kind.name in shipped_table().scales
        and kind.name not in named
    ]  # fmt: skip
    most = affordable_passes(classifier, seconds)
    for count in range(len(kinds), 0, -1):
        if sum(_work(one, classifier.classes) for one in kinds[:count]) <= most:
            return (*asked, *(_with_all(one, classifier, seconds / most) for one in kinds[:count]))
    if kinds and _work(kinds[0], min(LEAST_CLASSES, classifier.classes)) <= most:
        return (*asked, replace(kinds[0], budget=seconds))
    return tuple(asked)


def _work(detector: InversionDetector, classes: int) -> int:
    return passes(CHANGES.parse(detector.change), classes)


def _with_all(detector: InversionDetector, classifier: Classifier, each: float) -> Detector:
    """The detector with a budget that reaches all classes; ``each`` is the seconds of a pass."""
    return replace(detector, budget=math.ceil(_work(detector, 1) * classifier.classes * each))
