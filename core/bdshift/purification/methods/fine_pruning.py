"""Fine-Pruning (Liu et al., 2018): cuts neurons that clean images excite least, then tunes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch

from bdshift.purification import quantities as q
from bdshift.purification.cutting import cut_neurons, ranked
from bdshift.purification.method import METHODS, Method, Step, tolerance_setting
from bdshift.purification.tuning import (
    Sgd,
    batch_setting,
    clean_loss,
    epochs_setting,
    held_out,
    rate_setting,
    tune,
)
from bdshift.purification.workbench import Workbench
from bdshift.words import words


@METHODS.register
@dataclass(frozen=True)
class FinePruning(Method):
    """Cut the neurons that clean images excite least, as many as held-out accuracy allows, then
    fine-tune without them.

    Attributes:
        tolerance: held-out accuracy that may be lost by the cut, relative.
        epochs, rate, batch: of the fine-tuning.
    """

    name = "fine-pruning"
    label = words("Fine-Pruning", ja="Fine-Pruning")
    summary = words("Cuts the neurons that clean images excite least, then fine-tunes.",
                    ja="クリーン画像で最も活性の低いニューロンを無効化し、"
                       "微調整します。")  # fmt: skip
    place = 50
    table_rows = (("FP", "fine-pruning"),)

    tolerance: float = tolerance_setting(
        0.1, words("Lost through the cut, on the held-out images, relative.",
                   ja="無効化による、ホールドアウト画像での低下（相対値）。"),
    )  # fmt: skip
    epochs: int = epochs_setting(20)
    rate: float = rate_setting(0.01)
    batch: int = batch_setting(128)

    @property
    def total(self) -> int:
        """Steps at most."""
        return 1 + self.epochs

    def steps(self, bench: Workbench) -> Iterator[Step]:
        """Cut, then tune."""
        if "cut" not in bench.state:
            bench.state["ranking"] = -bench.embed(bench.clean.tune).mean(0)
            bench.state["cut"] = self._choose(bench)
            cut_neurons(bench, bench.state["cut"])
            score, figures = held_out(bench, clean_loss(bench))
            yield Step(0, score, {q.CUT: float(len(bench.state["cut"])), **figures})
        gone = bench.state["cut"]
        sgd = Sgd(self.epochs, self.batch, self.rate)
        yield from tune(bench, sgd, clean_loss(bench), after=lambda: cut_neurons(bench, gone),
                        first=1)  # fmt: skip

    def _choose(self, bench: Workbench) -> list[int]:
        """The longest prefix of the order that keeps the accuracy; one thin product per neuron."""
        order = ranked(bench, "activation")
        phi, labels = bench.embed(bench.clean.held), bench.clean.held.labels
        with torch.no_grad():
            logits = bench.head(phi)
            best = (logits.argmax(1) == labels).float().mean().item()
            count = 0
            for k in order[:-1]:
                logits -= phi[:, k : k + 1] * bench.head.weight[:, k]
                right = (logits.argmax(1) == labels).float().mean().item()
                if right < best * (1 - self.tolerance) - q.ROUNDING:
                    break
                bench.job.raise_if_canceled()
                count += 1
        return order[:count]
