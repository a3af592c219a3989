"""Detectors that run the network for every class: a budget decides how many classes they try."""

from __future__ import annotations

from typing import Any

from bdshift.detect.detector import Subject
from bdshift.jobs import JobContext
from bdshift.recovery.effort import affordable_passes, shortlist
from bdshift.recovery.scene import Scene
from bdshift.setting import setting
from bdshift.shift.solve import solve
from bdshift.words import words


def budget_setting() -> Any:
    """Seconds, about."""
    return setting(
        300.0, words("Budget", ja="予算"),
        words("Seconds of two CPU cores, about, on any device. With many classes, it decides how "
              "many are tried: those with the "
              "smallest shifts, and as many others to compare them with.",
              ja="CPU コア 2 つでのおおよその秒数（どのデバイスでも同じ量）。"
                 "クラスが多いと試すクラス数が決まり、"
                 "シフトの小さいクラスと、比較のため同数の他のクラスを試します。"),
        low=0, above=True, high=1_000_000, unit="s", decimals=0, step=10,
    )  # fmt: skip


def classes_to_try(
    subject: Subject, scene: Scene, each: int, seconds: float, job: JobContext, *, fixed: int = 0
) -> list[int]:
    """All classes, or those that ``seconds`` reach if each one takes ``each`` images through the
    network and back, and all of them together ``fixed`` more (`bdshift.recovery.effort.shortlist`).
    """
    logits = subject.embedding.logits
    norms = solve(logits, subject.weight, device=subject.device, job=job).l2
    most = (affordable_passes(scene.classifier, seconds, scene.precision) - fixed) / each
    return shortlist(most, norms, subject.seed)
