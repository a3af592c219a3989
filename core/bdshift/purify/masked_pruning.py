"""What ANP and RNP share: channels cut by learned masks, as many as held-out accuracy allows."""

from __future__ import annotations

import numpy as np
import torch

from bdshift.purify.channels import Masks, of_embedding, traced_pairs
from bdshift.purify.method import Step
from bdshift.purify.tuning import clean_loss, held_out
from bdshift.purify.workbench import Workbench

_THRESHOLDS = np.arange(0.05, 1.0, 0.05)


def prune(bench: Workbench, masks: Masks, threshold: float, tolerance: float, number: int) -> Step:
    """Cut what is masked to ``threshold`` or less; with 0, to the highest one, in steps of 0.05,
    that costs no more than ``tolerance`` of held-out accuracy. The methods' own code looks at the
    attack success for that, or leave it to the reader. A neuron's rank is 1 − its mask.
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
        least = _accuracy(bench) - tolerance
        for some in _THRESHOLDS:
            masks.cut(float(some))
            fits = _accuracy(bench) >= least
            put_back()
            if not fits:
                break
            threshold = float(some)
    count = masks.cut(threshold) if threshold else 0
    score, figures = held_out(bench, clean_loss(bench))
    return Step(number, score, {"cut": float(count), "threshold": threshold, **figures}, final=True)


def _accuracy(bench: Workbench) -> float:
    held = bench.clean.held
    with torch.no_grad():
        return (bench.head(bench.embed(held)).argmax(1) == held.labels).float().mean().item()
