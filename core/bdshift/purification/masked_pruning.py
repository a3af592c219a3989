"""What ANP and RNP share: cuts channels by learned masks, as many as held-out accuracy allows."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from bdshift.purification import quantities as q
from bdshift.purification.channels import Masks, of_embedding, traced_pairs
from bdshift.purification.method import Step
from bdshift.purification.tuning import clean_loss, held_out
from bdshift.purification.workbench import Workbench
from bdshift.setting import setting
from bdshift.words import words

_THRESHOLDS = np.arange(0.05, 1.0, 0.05)

CUT_COST = words("Lost through the cut, on the held-out images, absolute.",
                 ja="無効化による、ホールドアウト画像での低下（絶対値）。")  # fmt: skip


def threshold_setting(source: str) -> Any:
    """The mask up to which channels are cut."""
    return setting(
        0.0, words("Threshold", ja="しきい値"),
        words("Channels whose mask is not above it are cut. 0: as many as accuracy allows.",
              ja="マスクがこれ以下のチャネルを無効化します。0：正解率が許すだけ。"),
        low=0, high=1, step=0.05, decimals=2, source=source,
    )  # fmt: skip


def prune(bench: Workbench, masks: Masks, threshold: float, tolerance: float, number: int) -> Step:
    """Cut what is masked to ``threshold`` or less. With 0, that is the highest threshold, in steps
    of 0.05, that costs no more than ``tolerance`` of held-out accuracy; the methods' own code looks
    at the attack success to choose it, or leaves it to the reader. A neuron's rank is 1 − its mask.
    """
    bench.state["cut"] = True  # called again after a crash, there is nothing left to do
    pair = of_embedding(traced_pairs(bench), bench.head.in_features)
    if pair is not None and pair.norm in masks.norms:
        bench.state["ranking"] = 1 - masks.values[masks.norms.index(pair.norm)].detach()
    before = [norm.weight.detach().clone() for norm in masks.norms]

    def put_back() -> None:
        with torch.no_grad():
            for norm, weight in zip(masks.norms, before, strict=True):
                norm.weight.copy_(weight)

    if not threshold:
        least = _accuracy(bench) - tolerance - q.ROUNDING
        for some in _THRESHOLDS:
            masks.cut(float(some))
            fits = _accuracy(bench) >= least
            put_back()
            if not fits:
                break
            threshold = float(some)
    count = masks.cut(threshold) if threshold else 0
    score, figures = held_out(bench, clean_loss(bench))
    return Step(number, score, {q.CUT: float(count), q.THRESHOLD: threshold, **figures}, final=True)


def _accuracy(bench: Workbench) -> float:
    held = bench.clean.held
    with torch.no_grad():
        return (bench.head(bench.embed(held)).argmax(1) == held.labels).float().mean().item()
