"""Models with known ground truth, with what every detector measured on them, from the rows of
``bdshift lab detectors``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from bdshift.csv_data import csv_rows
from bdshift.detect.detector import DETECTORS, Detector, Evidence
from bdshift.detect.image_search import ImageSearch, is_of_scan
from bdshift.detect.inversion import InvertedChanges
from bdshift.errors import InputError
from bdshift.lab.detection import DetectionRow
from bdshift.lab.suites import SUITES
from bdshift.lab.truths import CLEAN_KINDS
from bdshift.lab.verdict_suite import Part, part_of, verdict_models
from bdshift.lab.ways import WAYS
from bdshift.recovery.recovery import LEVELS
from bdshift.verdict.clean_models import CleanModel
from bdshift.verdict.counted import counted_drops
from bdshift.verdict.decide import compared
from bdshift.verdict.strength import capped

DEVELOP, HOLD_OUT = get_args(Part)
ALL_TO_ONE = "all to one"

_SETTINGS = {
    "one-to-one": "one class to another", "several-to-one": "several classes to another",
    "all-to-all": "all to all",
}  # fmt: skip


@dataclass(frozen=True)
class JudgedModel:
    """One model.

    Attributes:
        name, cluster, network, attack: as `DetectionRow`'s model, group, network and kind.
        targets: indices of the classes that triggers send to.
        setting: which classes are sent to which, in words; "" for a clean model.
        split: whether methods were chosen on it.
        found: each detector with what it measured, in the order of the detectors.
    """

    name: str
    cluster: str
    network: str
    attack: str
    targets: tuple[int, ...]
    setting: str
    split: str
    found: tuple[tuple[Detector, Evidence], ...]

    @property
    def is_clean(self) -> bool:
        """Whether it has no backdoor."""
        return not self.setting

    @property
    def classes(self) -> int:
        """Number of classes."""
        return len(self.found[0][1].scores)

    def as_clean(self) -> CleanModel:
        """What the table of clean models keeps of it."""
        largest = {}
        for detector, evidence in self.found:
            weighed = capped(counted_drops(detector, evidence))
            largest[detector.name] = float(weighed.max()), compared(evidence.scores)
        kin = self.name if self.name in _trained_alone() else self.cluster
        return CleanModel(self.name, kin, self.network, self.classes, largest)


@cache
def _trained_alone() -> frozenset[str]:
    """Names of a suite's models that share images, network and seed with others, but no weights:
    they were trained in a way of their own, from the start.
    """
    return frozenset(
        one.name for suite in SUITES.values() for one in suite
        if one.way and not WAYS[one.way].starts_from_base
    )  # fmt: skip


def judged_models(
    rows: Iterable[DetectionRow], split: Mapping[str, str] | None = None
) -> list[JudgedModel]:
    """The models of rows, in their order. Victims whose attack did not take are left out, and so
    are rows without scores; of a detector with several settings, the most frequent ones count, and
    of several seeds, the first. A model that ``split`` does not name is one to develop on.
    """
    kept = [row for row in rows if not row.error and row.took != "False"]
    texts = _usual_texts(kept)
    models: dict[str, dict[str, DetectionRow]] = {}
    for row in kept:
        name = row.detector.partition(":")[0]
        if texts.get(name) == row.detector:
            models.setdefault(row.model, {}).setdefault(name, row)
    return [
        _model([one[name] for name in DETECTORS if name in one], split or {})
        for one in models.values()
    ]


def detector_texts(models: Sequence[JudgedModel]) -> dict[str, str]:
    """The detectors that anything was measured with, in their order, with their settings."""
    texts = {detector.name: detector.spec for one in models for detector, _ in one.found}
    return {name: texts[name] for name in DETECTORS if name in texts}


def compared_texts(models: Sequence[JudgedModel]) -> dict[str, str]:
    """Those of `detector_texts` that a table of clean models is made of."""
    found = detector_texts(models)
    kinds = {name: DETECTORS[name] for name in found}
    return {
        name: found[name] for name, kind in kinds.items()
        if not issubclass(kind, ImageSearch) or kind.is_compared
    }  # fmt: skip


def of_scan(model: JudgedModel) -> list[tuple[Detector, Evidence]]:
    """What a scan finds by itself of what was measured on a model."""
    return [(one, evidence) for one, evidence in model.found if is_of_scan(one)]


def suite_split() -> dict[str, str]:
    """Which models of the suite "verdict" are for what."""
    return {one.name: part_of(one) for one in verdict_models()}


def read_split(path: Path) -> dict[str, str]:
    """Which models are for what, from a CSV with the columns ``model`` and ``split``. Raises
    `InputError` if it holds something else.
    """
    found = {}
    for row in csv_rows(path.read_text(encoding="utf-8")):
        if row.get("split") not in (DEVELOP, HOLD_OUT) or not row.get("model"):
            raise InputError(
                "{path}: needs the columns model and split, and each split is {first} or {second}",
                path=path, first=DEVELOP, second=HOLD_OUT,
            )  # fmt: skip
        found[row["model"]] = row["split"]
    return found


def _usual_texts(rows: Sequence[DetectionRow]) -> dict[str, str]:
    """By detector, those of its settings that most rows have; detectors that judge themselves, or
    that this version does not have, are left out.
    """
    found: dict[str, str] = {}
    for text, _ in Counter(row.detector for row in rows).most_common():
        name = text.partition(":")[0]
        if name in DETECTORS and not DETECTORS[name].has_own_test:
            found.setdefault(name, text)
    return found


def _model(rows: Sequence[DetectionRow], split: Mapping[str, str]) -> JudgedModel:
    first = rows[0]
    targets = tuple(int(one) for one in first.targets.split(";") if one)
    setting = ""
    if first.kind not in CLEAN_KINDS:
        setting = _SETTINGS.get(first.kind, ALL_TO_ONE)
        if first.source and first.kind not in _SETTINGS:
            setting = _SETTINGS["one-to-one"]
        elif len(targets) != 1 and setting == ALL_TO_ONE:
            setting = "several targets" if targets else _SETTINGS["all-to-all"]
    return JudgedModel(
        first.model, first.group, first.network, first.kind, targets, setting,
        split.get(first.model, DEVELOP),
        tuple((DETECTORS.parse(row.detector, strict=False), _evidence(row)) for row in rows),
    )  # fmt: skip


def _evidence(row: DetectionRow) -> Evidence:
    scores, natural = _numbers(row.scores), _numbers(row.natural)
    if not len(natural):
        return Evidence(row.detector, scores)
    classes = len(scores)
    nothing = np.zeros((classes, 3, 1, 1), np.uint8)
    found = InvertedChanges(
        np.full((classes, len(LEVELS)), np.nan), np.full(classes, np.nan), nothing, nothing[:, 0],
        natural,
    )  # fmt: skip
    return Evidence(row.detector, scores, record=found)


def _numbers(text: str) -> NDArray[np.float64]:
    return np.array([float(one) for one in text.split(";") if one])
