"""The smallest change that sends images of one class to another, for the pairs of classes that the
embedding makes the most suspicious.

A trigger that works on images of a single class shows neither in the embedding shift nor in a
change that has to work for all classes. All pairs are too many to search for. But the true one is
near the top of the list that the embedding gives (`bdshift.shift.pair_map.suspicious_pairs`), so
changes are searched for along the first few pairs and the other way, for classes that are alike
are near both ways. The most one-sided of them are compared with changes from the same source to
other classes, for some images are easy to send anywhere. Only images that are classified as labeled
count: a network that was trained with few images of a class takes most of them for another one, and
hardly a change is needed.
"""

from __future__ import annotations

import math
import time
from abc import ABC
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from bdshift.arrays import array
from bdshift.changes import CHANGES
from bdshift.detect.detector import Evidence, Subject
from bdshift.detect.detectors.pairs import ARROW
from bdshift.detect.image_search import ImageSearch, small
from bdshift.detect.inversion import InvertedChanges
from bdshift.detect.rule import Judgment, Rule
from bdshift.errors import InputError
from bdshift.jobs import JobContext
from bdshift.recovery.drop import MIN_FACTOR_OF_PAIR
from bdshift.recovery.effort import affordable_passes
from bdshift.recovery.pair_merits import pair_merits
from bdshift.recovery.pair_search import Pair, PairSearch
from bdshift.recovery.presence import own_images, presence
from bdshift.recovery.recovery import LEVELS
from bdshift.recovery.scene import scene_of
from bdshift.recovery.search import passes
from bdshift.remark import Remark, code
from bdshift.setting import setting
from bdshift.shift.embed import Embedding
from bdshift.shift.pair_map import residual, suspicious_pairs
from bdshift.shift.pairs import FEW_CLASSES, solve_pairs
from bdshift.text import figure
from bdshift.words import Sentence, words

_PAIRS = 8  # that are tried
_COMPARED = 3  # of them, the most one-sided, with other targets of the same source
_CONTROLS = 4  # of those
_ENOUGH_OF_IMAGES = 0.8
"""Share of `PairInversion.images` that a class must have, classified as labeled. Clean models, that
a pair is compared with, had all of them; of a quarter, half of the changes worked on no unused
image, and the one pair that was reached looked infinitely easy (docs/results-verdict.md).
"""

TOO_FEW_FOR_PAIRS = code(
    "too-few-images-for-pairs",
    words("No two classes have {count} images each that are classified as labeled, so that no pair "
          "of classes was searched for a change of its own.",
          ja="ラベルどおりに分類された画像がそれぞれ {count} 枚以上ある 2 クラスがないため、"
             "クラスの組ごとの変化は探索しませんでした。"),
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class PairChanges(InvertedChanges):
    """The change of the most suspicious pair that leads to each class. Arrays are read-only.

    Attributes:
        sources: class that the images are of, int64 (C,); −1 for a class to which no pair was
            compared.
        pairs: that were tried, (source, target) int64 (n, 2), the most suspicious in the embedding
            first.
        pair_sizes: of the change along each and of the one back, at a success of 0.8 on images that
            the search did not use, float64 (n, 2); infinite where that was not reached.
    """

    sources: NDArray[np.int64] = array("C", dtype=np.int64)
    pairs: NDArray[np.int64] = array("n", 2, dtype=np.int64)
    pair_sizes: NDArray[np.float64] = array("n", 2)

    def __post_init__(self) -> None:
        super().__post_init__()
        classes = len(self.sources)
        for known, least in (self.sources, -1), (self.pairs, 0):
            if not ((known >= least) & (known < classes)).all():
                raise ValueError("a pair of classes that do not exist")


@dataclass(frozen=True)
class PairInversion(ImageSearch, ABC):
    """A detector whose scores say how small the change along the best pair to each class is, beside
    its controls, the larger of two ratios: 1 if it is no smaller, or if no pair to the class was
    compared.

    Attributes:
        images: of every source class.
    """

    record = PairChanges
    most_classes = FEW_CLASSES
    enough = MIN_FACTOR_OF_PAIR
    score_label = words("size ratio", ja="大きさの比")
    score_help = words(
        "Smallest change found that sends 80% of unused images of one class to this one, beside "
        "those to other classes and the one back. 1: no smaller.",
        ja="探索に使わなかった 1 クラスの画像の 80% をこのクラスへ誘導する最小の変化の、"
           "他クラスへの変化と逆方向の変化に対する比。1 は差がないことを示します。",
    )  # fmt: skip
    unit = words("size beside other pairs", ja="大きさ（他の組との比）")
    one = many = words(
        "{detector}: {pair} needs an unusually small change. To other classes, and the other way, "
        "it is at least {factor} times as large.",
        ja="{detector}：{pair} は異常に小さい変化で済みます。他クラスへの変化と逆方向の変化は、"
           "いずれもその {factor} 倍以上です。",
    )  # fmt: skip
    none = far = words(
        "{detector}: no pair of classes stands out. For {pair}, the most suspicious, the change to "
        "other classes or the one the other way is {factor} times as large; {enough:g} times would "
        "be evidence.",
        ja="{detector}：突出したクラスの組はありません。最も疑わしい {pair} では、他クラスへの変化"
           "または逆方向の変化がその {factor} 倍です（{enough:g} 倍以上なら証拠とみなします）。",
    )  # fmt: skip

    images: int = setting(
        50, words("Number of images", ja="画像の枚数"),
        words("Of every source class. Half of them are searched on, half are measured on.",
              ja="ソースクラスごと。半分を探索に、半分を測定に使います。"),
        low=10, high=10_000,
    )  # fmt: skip

    @property
    def least_images(self) -> int:
        """Of a class that are classified as labeled, for pairs with it to be searched."""
        return math.ceil(_ENOUGH_OF_IMAGES * self.images)

    def work(self, classes: int) -> int:
        """See `ImageSearch`."""
        return self._work(min(_PAIRS, classes * (classes - 1)))

    def _work(self, pairs: int) -> int:
        kind = CHANGES.parse(self.change)
        scouting = passes(kind, 0)
        each, compared = passes(kind, 1) - scouting, min(_COMPARED, pairs)
        return scouting * (2 * pairs + compared) + each * (2 * pairs + _CONTROLS * compared)

    def detect(self, subject: Subject, job: JobContext) -> Evidence:
        """Search along the most suspicious pairs and back, then compare the most one-sided. Scores
        are NaN if no two classes have `least_images`.
        """
        started = time.perf_counter()
        pairs = self._pairs(subject, job)
        classes = sorted({one for pair in pairs for one in pair} or {subject.embedding.labels[0]})
        with scene_of(
            subject.classifier, subject.collection, _of_classes(subject.embedding, classes),
            self.images * len(classes), seed=subject.seed, device=subject.device, job=job,
        ) as scene:  # fmt: skip
            kind = CHANGES.parse(self.change)
            searched = PairSearch(kind, scene, self.images, subject.class_names, subject.seed)
            searched.run([*pairs, *((j, i) for i, j in pairs)])
            compared = _most_one_sided(pairs, searched.size_table())
            searched.run(_controls(compared, len(subject.weight), subject.seed))
            sizes = searched.size_table()
            best = _best(compared, sizes)
            record = _record(searched, subject, pairs, best, sizes)
        scores = np.full(len(subject.weight), 1.0 if best else np.nan)
        for target, (_, merit) in best.items():
            scores[target] = math.exp(-max(0.0, merit))
        return Evidence(
            self.spec, scores, seconds=time.perf_counter() - started, forwards=scene.forwards,
            backwards=scene.backwards, seed=subject.seed, record=record,
        )  # fmt: skip

    def _pairs(self, subject: Subject, job: JobContext) -> list[Pair]:
        """As many of the most suspicious as the budget reaches."""
        if subject.classifier is None:
            raise InputError("the model and the images themselves are needed, not only the audit")
        one = subject.embedding
        norms = solve_pairs(one.logits, one.labels, subject.weight, job=job)
        right = one.labels[one.logits.argmax(1) == one.labels]
        shown = np.bincount(right, minlength=len(subject.weight)) >= self.least_images
        usable = (
            (i, j) for i, j in suspicious_pairs(residual(norms.norm)) if shown[i] and shown[j]
        )
        most = affordable_passes(subject.classifier, self.budget, one.precision)
        count = sum(self._work(n) <= most for n in range(2, _PAIRS + 1))
        return list(islice(usable, 1 + count))

    def drops(self, evidence: Evidence) -> NDArray[np.float64]:
        """See `Detector`. A score is a ratio to controls already."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.maximum(0.0, -np.log(evidence.scores))

    def judge_evidence(self, evidence: Evidence, rule: Rule) -> Judgment:
        """By how much smaller a change has to be than its controls, not by the rule: most classes
        have no change at all.
        """
        found = self.judge(evidence.scores, rule)
        order = np.argsort(evidence.scores, kind="stable").tolist()
        flagged = tuple(i for i in order if evidence.scores[i] * self.enough <= 1)
        usable = np.flatnonzero(~np.isnan(evidence.scores))  # 0 if no other pair is reached, too
        return replace(
            found, flagged=flagged, suspected=flagged, able=True, usable=tuple(usable.tolist()),
            p=math.nan, line=1 / self.enough,
        )  # fmt: skip

    def details(self, evidence: Evidence, class_names: Sequence[str]) -> Mapping[str, Any]:
        """``pair`` and ``factor`` of the most suspicious one, and ``enough``."""
        source, target = most_suspicious_pair(evidence) or (-1, -1)
        if source < 0:
            return {"pair": "–", "factor": "–", "enough": self.enough}
        with np.errstate(divide="ignore"):
            factor = float(1 / evidence.scores[target])
        names = {"source": class_names[source], "target": class_names[target]}
        return {
            "pair": Sentence(ARROW, names), "factor": figure(factor, "#.3g"), "enough": self.enough,
        }  # fmt: skip

    def cautions(self, evidence: Evidence, class_names: Sequence[str]) -> tuple[Remark, ...]:
        """Too few images of any two classes."""
        if not np.isnan(evidence.scores).all():
            return ()
        return (Remark(TOO_FEW_FOR_PAIRS, {"count": self.least_images}),)


def most_suspicious_pair(evidence: Evidence, target: int | None = None) -> Pair | None:
    """Source and target of the change that stands out most, of all or of those to ``target``; None
    if there is none, or the evidence is of another kind.
    """
    record = evidence.record
    if not isinstance(record, PairChanges):
        return None
    known = record.sources >= 0
    if target is None and known.any():
        target = int(np.where(known, evidence.scores, np.inf).argmin())
    return None if target is None or not known[target] else (int(record.sources[target]), target)


def _of_classes(embedding: Embedding, classes: Sequence[int]) -> Embedding:
    """The images of some classes."""
    rows = np.flatnonzero(np.isin(embedding.labels, classes))
    files = tuple(embedding.files[row] for row in rows)
    return replace(
        embedding, phi=embedding.phi[rows], logits=embedding.logits[rows],
        labels=embedding.labels[rows], thumbnails=embedding.thumbnails[rows], files=files,
    )  # fmt: skip


def _most_one_sided(pairs: Sequence[Pair], sizes: NDArray[np.float64]) -> list[Pair]:
    """Those of the pairs that were searched for both ways whose change is smallest beside the one
    back.
    """
    known = [pair for pair in pairs if not np.isnan((sizes[pair], sizes[pair[::-1]])).any()]

    def order(pair: Pair) -> float:
        there, back = sizes[pair], sizes[pair[::-1]]
        return math.inf if math.isinf(there) else there / back

    return sorted(known, key=order)[:_COMPARED]


def _controls(compared: Sequence[Pair], classes: int, seed: int) -> list[Pair]:
    """A few other targets of every source, drawn at random."""
    rng = np.random.default_rng(seed)
    return [
        (i, int(other))
        for i, j in compared
        for other in rng.permutation([k for k in range(classes) if k not in (i, j)])[:_CONTROLS]
    ]


def _best(compared: Sequence[Pair], sizes: NDArray[np.float64]) -> dict[int, tuple[int, float]]:
    """By target, the source of the pair with the largest merit, and that merit."""
    merits, found = pair_merits(sizes), dict[int, tuple[int, float]]()
    for i, j in compared:
        if j not in found or merits[i, j] > found[j][1]:
            found[j] = i, float(merits[i, j])
    return found


def _record(
    searched: PairSearch,
    subject: Subject,
    pairs: Sequence[Pair],
    best: Mapping[int, tuple[int, float]],
    table: NDArray[np.float64],
) -> PairChanges:
    scene, kind, classes = searched.scene, searched.kind, len(subject.weight)
    sizes, asr = np.full((classes, len(LEVELS)), np.nan), np.full(classes, np.nan)
    natural, sources = np.full(classes, np.nan), np.full(classes, -1)
    blank = small(torch.zeros(1, 3, scene.side, scene.side))  # of many classes it would be large
    pictures = np.repeat(blank, classes, axis=0)
    strengths = pictures[:, 0].copy()
    assert subject.collection is not None  # there is a scene
    for target, (source, _) in best.items():
        params, size = searched.changes[source, target], searched.sizes[source, target]
        sources[target], sizes[target], asr[target] = source, size.sizes, size.asr
        with torch.no_grad():
            pictures[target] = small(kind.picture(params))[0]
            strengths[target] = small(kind.strength(params)[:, None])[0, 0]
        own = own_images(scene, subject.collection, subject.embedding, target)
        others = scene.pixels[scene.labels != target]
        natural[target] = presence(kind, params, own, others)
    both = np.array([(table[i, j], table[j, i]) for i, j in pairs]).reshape(-1, 2)
    return PairChanges(
        sizes=sizes, asr=asr, pictures=pictures, strengths=strengths, natural=natural,
        sources=sources, pairs=np.array(pairs, dtype=np.int64).reshape(-1, 2), pair_sizes=both,
    )  # fmt: skip
