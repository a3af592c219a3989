"""Pairs: Eq. 4 from every class to every other, for attacks that no single class shows.

An attack that sends every class to another makes no class easier to reach than the others. It makes
one path shorter from every class: not by nature, since likeness would make it shorter both ways.
`bdshift.shift.pairs` solves all pairs from the cached embedding, and `bdshift.shift.pair_map`
finds the map along which they are one-sided and says how likely it would be by chance.

What stands out is decided by that p, not by the rule: along a map every class is a target, and no
score is an outlier among its like. A single pair, however one-sided, never stands out: of all pairs
of a clean network one is the most one-sided, how far depends on the network, and nothing in it says
how far would be too far. The recovery of a trigger tries them on images of the source alone, in the
order of `bdshift.shift.pair_map.suspicious_pairs`.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bdshift.arrays import array, freeze
from bdshift.detect.detector import DETECTORS, Detector, Evidence, Subject
from bdshift.detect.rule import Judgment, Rule
from bdshift.jobs import JobContext
from bdshift.remark import Remark, code
from bdshift.setting import setting
from bdshift.shift.pair_map import BestMap, best_map, one_sided, residual, suspicious_pairs
from bdshift.shift.pairs import FEW_CLASSES, solve_pairs
from bdshift.words import Sentence, words

_MAX_ARROWS = 12  # of a map in words

PAIR = words("“{source}” → “{target}” ({score:.3g})", ja="「{source}」→「{target}」（{score:.3g}）")
ARROW = words("“{source}” → “{target}”", ja="「{source}」→「{target}」")
TO_THE_NEXT = words("every class to the next, ", ja="各クラスを次のクラスへ、")

TOO_FEW_FOR_A_MAP = code(
    "too-few-for-a-map",
    words("With {classes:|class|classes} no map of classes can stand out: chance could always "
          "have made it.",
          ja="{classes} クラスでは、偶然の可能性が常に残るため、クラスの対応は突出しません。"),
)  # fmt: skip

PAIRS_UNKNOWN = code(
    "pairs-unknown",
    words("{count} of {classes:|class|classes} have no image that is classified as labeled, so "
          "that nothing is known of their pairs.",
          ja="{classes} クラス中 {count} クラスには正しく分類された画像がなく、"
             "その組については何もわかりません。"),
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class ClassPairs:
    """What it keeps; `Evidence.pairs` is A. Arrays are read-only.

    Attributes:
        norm: ‖s_ij‖₂ from source i (row) to target j, float64 (C, C), as in `PairNorms`.
        exact: whether the norms are exact, not lower bounds.
        images: used of each source, int64 (C,).
        residual: R, log norms less the medians of rows and columns, float64 (C, C).
        deviation: of A in units of R; 0 if nothing is one-sided.
        best, mean, p_directions, p_places, mean_next, p_next, draws: the maps along which A is low,
            as in `BestMap`.
    """

    norm: NDArray[np.float64] = array("C", "C")
    exact: bool
    images: NDArray[np.int64] = array("C", dtype=np.int64)
    residual: NDArray[np.float64] = array("C", "C")
    deviation: float
    best: NDArray[np.int64] = array("C", dtype=np.int64)
    mean: float
    p_directions: float
    p_places: float
    mean_next: float
    p_next: float
    draws: int

    def __post_init__(self) -> None:
        freeze(self)
        if not ((self.best >= -1) & (self.best < len(self.best))).all():
            raise ValueError("a map to classes that do not exist")

    @property
    def map(self) -> BestMap:
        """The maps along which the pairs are one-sided."""
        return BestMap(
            self.best, self.mean, self.p_directions, self.p_places, self.mean_next, self.p_next,
            self.draws,
        )  # fmt: skip

    def candidates(self, count: int = 6) -> list[tuple[int, int]]:
        """Pairs worth trying to recover a trigger for, (source, target): the first ``count`` of
        `suspicious_pairs`.
        """
        return list(islice(suspicious_pairs(self.residual), count))


@DETECTORS.register
@dataclass(frozen=True)
class Pairs(Detector):
    """‖s‖₂ for every pair of classes, and the map along which they are one-sided.

    Attributes:
        alpha: loss threshold α of Eq. 4.
        significance: p below which a map stands out.
    """

    name = "pairs"
    label = words("Pairs of classes", ja="クラスの組")
    summary = words("Length of the shortest shift from every class to every other. An attack makes "
                    "it short one way only; likeness makes it short both ways.",
                    ja="各クラスから他の各クラスへの最短シフトの長さ。"
                       "攻撃は一方向だけを短くし、類似は双方向を短くします。")  # fmt: skip
    place = 15
    record = ClassPairs
    has_own_test = True
    most_classes = FEW_CLASSES
    score_label = "A"
    score_help = words("The most one-sided path into the class, in robust deviations.",
                       ja="そのクラスへ向かう最も一方向性の強い経路"
                          "（頑健な偏差の単位）。")  # fmt: skip
    unit = words("one-sidedness, in deviations", ja="一方向性（偏差の単位）")
    one = many = words(
        "Paths between classes are short one way only, along a map that is no chance "
        "(p = {p:.2g}): {order}{map}. Likeness makes paths short both ways, an attack on every "
        "class does not.",
        ja="クラス間の経路が、偶然とは言えない対応に沿って一方向だけ短くなっています"
           "（p = {p:.2g}）：{order}{map}。類似なら双方向が短くなります。"
           "全クラスを対象とする攻撃の特徴です。",
    )  # fmt: skip
    none = far = words(
        "No map of classes stands out (p = {p:.2g}). The most one-sided pair is {pair}; one pair "
        "alone proves nothing.",
        ja="突出したクラスの対応はありません（p = {p:.2g}）。最も一方向性の強い組は {pair} です。"
           "一つの組だけでは何も証明されません。",
    )  # fmt: skip

    alpha: float = setting(
        0.1, words("Loss threshold α", ja="損失しきい値 α"),
        words("Cross-entropy that a shift must reach; a smaller α needs a longer shift.",
              ja="シフトが達すべき交差エントロピー。小さいほど長いシフトが要ります。"),
        low=0, above=True, high=0.69, step=0.05, decimals=3,
        source=words("0.1 in the paper.", ja="論文では 0.1。"),
    )  # fmt: skip
    significance: float = setting(
        0.01, words("Significance", ja="有意水準"),
        words("Share of clean models in which a map stands out if directions are chance.",
              ja="向きが偶然のとき、クリーンなモデルで対応が突出する割合。"),
        low=0, above=True, high=0.5, step=0.01, decimals=3,
    )  # fmt: skip

    def detect(self, subject: Subject, job: JobContext) -> Evidence:
        """Solve all pairs, and find the map along which they are one-sided."""
        started = time.perf_counter()
        embedding, device = subject.embedding, subject.device
        norms = solve_pairs(
            embedding.logits, embedding.labels, subject.weight, alpha=self.alpha,
            device="cpu" if device.type == "mps" else device, job=job,
        )  # fmt: skip
        residuals = residual(norms.norm)
        directed, deviation = one_sided(residuals)
        found = best_map(directed, seed=subject.seed, job=job)
        record = ClassPairs(
            norm=norms.norm, exact=norms.exact, images=norms.images, residual=residuals,
            deviation=deviation, **vars(found),
        )  # fmt: skip
        lowest = np.where(np.isnan(directed), np.inf, directed).min(0)
        scores = np.where(np.isinf(lowest), np.nan, lowest)
        return Evidence(
            self.spec, scores, pairs=directed, seconds=time.perf_counter() - started,
            seed=subject.seed, record=record,
        )  # fmt: skip

    def judge_evidence(self, evidence: Evidence, rule: Rule) -> Judgment:
        """By the map's p: if it stands out, all classes that it leads to are suspected."""
        found, best = self.judge(evidence.scores, rule), _best(evidence)
        flagged: list[int] = []
        if best is not None and best.p < self.significance:
            reached = set(best.targets.tolist())
            order = np.argsort(evidence.scores, kind="stable").tolist()
            flagged = [i for i in order if i in reached and i in found.usable]
        return replace(
            found, flagged=tuple(flagged), suspected=tuple(flagged), line=math.nan,
            able=_least_p(len(found.usable)) < self.significance,
            p=math.nan if best is None else best.p,
        )  # fmt: skip

    def details(self, evidence: Evidence, class_names: Sequence[str]) -> Mapping[str, Any]:
        """``map``, what ``order`` it has, and ``pair`` in words; ``targets`` for programs."""
        best, pairs = _best(evidence), evidence.pairs
        if best is None or pairs is None or not np.isfinite(pairs).any():
            return {"map": "–", "order": "", "pair": "–"}
        targets = best.targets.tolist()
        known = [i for i, target in enumerate(targets) if target >= 0]
        arrows: tuple[Sentence | str, ...] = tuple(
            Sentence(ARROW, {"source": class_names[i], "target": class_names[targets[i]]})
            for i in known[:_MAX_ARROWS]
        )
        if len(known) > _MAX_ARROWS:
            arrows = (*arrows, "…")
        to_the_next = all(targets[i] == (i + 1) % len(class_names) for i in known)
        i, j = (int(k) for k in np.unravel_index(np.nanargmin(pairs), pairs.shape))
        return {
            "map": arrows,
            "order": Sentence(TO_THE_NEXT) if to_the_next else "",
            "targets": tuple(targets),
            "pair": Sentence(
                PAIR, {"source": class_names[i], "target": class_names[j], "score": pairs[i, j]}
            ),
        }

    def cautions(self, evidence: Evidence, class_names: Sequence[str]) -> tuple[Remark, ...]:
        """Too few classes for any map, and classes of which nothing is known."""
        found, record = [], evidence.record
        known = int(np.isfinite(evidence.scores).sum())
        if _least_p(known) >= self.significance:
            found.append(Remark(TOO_FEW_FOR_A_MAP, {"classes": known}))
        if isinstance(record, ClassPairs) and (missing := int((record.images == 0).sum())):
            found.append(Remark(PAIRS_UNKNOWN, {"count": missing, "classes": len(class_names)}))
        return tuple(found)


def _least_p(classes: int) -> float:
    """The smallest p that the numbers of the classes allow: twice that of one cycle of all."""
    return 2 / math.gamma(max(1, min(classes, 100)))


def _best(evidence: Evidence) -> BestMap | None:
    return evidence.record.map if isinstance(evidence.record, ClassPairs) else None
