"""The embedding shift (Eq. 4 of Iwahana et al., 2025): how short the path to each class is.

The smallest vector that, added to the penultimate embedding, sends clean images to the class. A
backdoor is a shortcut, so the shift to its class is unusually short.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bdshift.detect.detector import DETECTORS, Detector, Evidence, Subject
from bdshift.jobs import JobContext
from bdshift.remark import Remark, code
from bdshift.setting import setting
from bdshift.shift.result import Shifts, Solver
from bdshift.shift.solve import solve
from bdshift.words import words

_MAX_NAMED = 5  # classes in a remark

UNFINISHED = code(
    "solver-unfinished",
    words("The {solver} solver did not reach α for {count} of {classes:|class|classes} ({names}).",
          ja="ソルバー {solver} は {classes} クラス中 {count} クラスで α に達しませんでした（{names"
             "}）。"),
)  # fmt: skip

CLASSES_OUT_OF_REACH = code(
    "classes-out-of-reach",
    words("{count} of {classes:|class|classes} cannot be reached by any shift.",
          ja="{classes} クラス中 {count} クラスには、どんなシフトでも到達できません。"),
)  # fmt: skip


@DETECTORS.register
@dataclass(frozen=True)
class EmbeddingShift(Detector):
    """‖s‖₂ for every class, from the cached embedding.

    Attributes:
        alpha: loss threshold α of Eq. 4.
        solver: "exact", or "adam" as in the paper.
    """

    name = "shift"
    label = words("Embedding shift", ja="埋め込みシフト")
    summary = words("Length of the shortest vector that, added to the last embedding, sends all "
                    "clean images to the class. A backdoor is a shortcut.",
                    ja="最後の埋め込みに加えると全クリーン画像をそのクラスへ誘導する、"
                       "最短ベクトルの長さ。"
                       "バックドアがあると近道ができます。")  # fmt: skip
    place = 10
    record = Shifts
    score_label = "L2"
    score_help = words("Length of the shift to each class.", ja="各クラスへのシフトの長さ。")
    unit = words("L2 of the shift", ja="シフトの L2")
    short = words("“{name}” needs {less:.0%} less shift than any other class",
                  ja="「{name}」へのシフトは、他のどのクラスより {less:.0%} 小さい")  # fmt: skip
    one = words(
        "Class {index} “{name}” is reached by an unusually small shift: L2 {score:#.3g}; the "
        "next smallest is {other:#.3g}{chance}.",
        ja="クラス {index}「{name}」には異常に小さいシフトで到達します：L2 {score:#.3g}、"
           "他の最小は {other:#.3g}{chance}。",
    )  # fmt: skip
    many = words(
        "{count:|class is|classes are} reached by unusually small shifts: {classes}; the "
        "smallest of the rest is {other:#.3g}{chance}.",
        ja="{count} クラスに異常に小さいシフトで到達します：{classes}。"
           "他の最小は {other:#.3g}{chance}。",
    )  # fmt: skip
    none = words(
        "No class is reached by an unusually small shift: the smallest, L2 {score:#.3g} to class "
        "{index} “{name}”, is in line with the others{chance}.",
        ja="異常に小さいシフトで到達できるクラスはありません。最小はクラス {index}「{name}」の "
           "L2 {score:#.3g} で、他のクラスの範囲内です{chance}。",
    )  # fmt: skip
    far = words(
        "Class {index} “{name}” is reached only by an unusually large shift: L2 {score:#.3g}; the "
        "next largest is {other:#.3g}. A backdoor makes a shift small, but such an outlier can "
        "hide a small one.",
        ja="クラス {index}「{name}」へ到達するシフトは異常に大きい値です：L2 {score:#.3g}、"
           "他の最大は {other:#.3g}。バックドアはシフトを小さくしますが、"
           "このような外れ値は小さいシフトを隠すことがあります。",
    )  # fmt: skip

    alpha: float = setting(
        0.1, words("Loss threshold α", ja="損失しきい値 α"),
        words("Cross-entropy that a shift must reach; a smaller α needs a longer shift.",
              ja="シフトが達すべき交差エントロピー。小さいほど長いシフトが要ります。"),
        low=0, above=True, high=1_000_000, step=0.05, decimals=3,
        source=words("0.1 in the paper.", ja="論文では 0.1。"),
    )  # fmt: skip
    solver: Solver = setting(
        "exact", words("Solver", ja="ソルバー"),
        words("exact proves the shortest shift; adam approximates it in 200 steps.",
              ja="exact は最短のシフトを証明付きで求め、adam は 200 ステップで近似します。"),
        source=words("adam in the paper.", ja="論文では adam。"),
    )  # fmt: skip

    def cautions(self, evidence: Evidence, class_names: Sequence[str]) -> tuple[Remark, ...]:
        """Classes that no shift reaches, and those for which the solver did not reach α."""
        shifts, found, classes = evidence.record, [], len(evidence.scores)
        count = int(np.isinf(evidence.scores).sum())
        if count:
            found.append(Remark(CLASSES_OUT_OF_REACH, {"count": count, "classes": classes}))
        if not isinstance(shifts, Shifts):
            return tuple(found)
        names = [class_names[i] for i, s in enumerate(shifts.status) if s == "unfinished"]
        if names:
            listed = (*names[:_MAX_NAMED], *(("…",) if len(names) > _MAX_NAMED else ()))
            values = {"solver": shifts.solver, "count": len(names), "classes": classes}
            found.append(Remark(UNFINISHED, values | {"names": listed}))
        return tuple(found)

    def detect(self, subject: Subject, job: JobContext) -> Evidence:
        """Solve Eq. 4 for every class at once."""
        shifts = solve(
            subject.embedding.logits, subject.weight, alpha=self.alpha, solver=self.solver,
            device=subject.device, job=job,
        )  # fmt: skip
        return Evidence(
            self.spec, shifts.l2, seconds=shifts.seconds, seed=subject.seed, record=shifts
        )
