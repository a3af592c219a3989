"""How far a class is ahead of all others, and what detectors that look for it have in common."""

from __future__ import annotations

from abc import ABC
from dataclasses import dataclass

import torch

from bdshift.detect.detector import Detector
from bdshift.words import words


@dataclass(frozen=True)
class MarginDetector(Detector, ABC):
    """A detector whose scores are the largest margins that images made from noise reach."""

    low_is_suspicious = False
    score_label = "MARGIN"
    score_help = words("Largest margin of each class that is reached from noise.",
                       ja="ノイズから到達した各クラスの最大マージン。")  # fmt: skip
    unit = words("margin in logits", ja="マージン（ロジット）")
    one = words(
        "{detector}: class {index} “{name}” reaches an unusually large margin, {score:#.3g}; the "
        "next largest is {other:#.3g}{chance}.",
        ja="{detector}：クラス {index}「{name}」のマージンは異常に大きい値 {score:#.3g} に"
           "達します。他の最大は {other:#.3g}{chance}。",
    )  # fmt: skip
    many = words(
        "{detector}: {count:|class reaches|classes reach} unusually large margins: {classes}; the "
        "largest of the rest is {other:#.3g}{chance}.",
        ja="{detector}：{count} クラスのマージンが異常に大きくなります：{classes}。"
           "他の最大は {other:#.3g}{chance}。",
    )  # fmt: skip
    none = words(
        "{detector}: no class reaches an unusually large margin; the largest, {score:#.3g} for "
        "class {index} “{name}”, is in line with the others{chance}.",
        ja="{detector}：異常に大きいマージンに達するクラスはありません。最大はクラス {index}"
           "「{name}」の {score:#.3g} で、他のクラスの範囲内です{chance}。",
    )  # fmt: skip
    far = words(
        "{detector}: class {index} “{name}” reaches only an unusually small margin, {score:#.3g}; "
        "the next smallest is {other:#.3g}. A backdoor makes margins larger.",
        ja="{detector}：クラス {index}「{name}」のマージンは異常に小さい値 {score:#.3g} に"
           "とどまります。次に小さい値は {other:#.3g}。"
           "バックドアがあるとマージンは大きくなります。",
    )  # fmt: skip


def margins(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """The logit of each row's target minus the largest other: of logits (n, C) and targets int64
    (n,), float32 (n,), with gradients.
    """
    own = logits.gather(1, targets[:, None])
    others = logits.scatter(1, targets[:, None], -torch.inf)
    return own[:, 0] - others.amax(1)
