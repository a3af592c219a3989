"""Cuts neurons of the embedding, selected by hand or by a ranking."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch

from bdshift.errors import UsageError
from bdshift.purification import quantities as q
from bdshift.purification.cutting import Ranking, cut_neurons, ranked
from bdshift.purification.method import METHODS, Method, Step
from bdshift.purification.tuning import clean_loss, held_out, of_norms, reach
from bdshift.purification.workbench import Workbench, shifts_of
from bdshift.setting import setting
from bdshift.words import words


@METHODS.register
@dataclass(frozen=True)
class Cut(Method):
    """Cut the given neurons, or the first K of a ranking: the smallest K for which the target's
    norm is no longer below the mean of the others on held-out images, if accuracy allows it.

    Attributes:
        neurons: "3+17+90", or empty for a ranking.
        ranking: "shift", "weights" (w_t − w̄, data-free) or "activation" (least active first).
        tolerance: held-out accuracy that may be lost, absolute.
    """

    name = "cut"
    label = words("Cut by a ranking", ja="順位による無効化")
    summary = words("Cuts the first neurons of a ranking, as many as accuracy allows.",
                    ja="順位の上位から、正解率が許すだけ無効化します。")  # fmt: skip
    place = 20
    takes_neurons = "neurons"

    neurons: str = setting(
        "", words("Neurons", ja="ニューロン"),
        words("Which ones to cut, joined by +, such as 3+17.",
              ja="無効化するニューロン（+ でつなぐ。例：3+17）。"),
        widget="neurons", when=lambda method: bool(method.neurons),
    )  # fmt: skip
    ranking: Ranking = setting(
        "shift", words("Ranking", ja="順位"),
        words("Which neurons go first: those with the largest shift, those with the largest head "
              "weight, or the least active.",
              ja="先に無効化するニューロン：シフトの大きい順、ヘッドの重みの大きい順、活性の小さい順。"),
        when=lambda method: not method.neurons,
    )  # fmt: skip
    tolerance: float = setting(
        0.02, words("Maximum accuracy loss", ja="許容する正解率の低下"),
        words("On the held-out images, absolute.", ja="ホールドアウト画像での低下幅（絶対値）。"),
        low=0, high=1, step=0.01, decimals=3, when=lambda method: not method.neurons,
    )  # fmt: skip

    def check(self) -> None:
        """Neurons must be numbers."""
        if not all(part.isdecimal() for part in self.neurons.split("+") if self.neurons):
            raise UsageError(
                "cut: neurons are numbers joined by +, not {value}", value=repr(self.neurons)
            )

    @property
    def total(self) -> int:
        """Steps at most."""
        return 1

    def steps(self, bench: Workbench) -> Iterator[Step]:
        """Choose and cut."""
        if "cut" in bench.state:  # called again after a crash
            return
        bench.state["cut"] = True
        if self.neurons:
            chosen = [int(part) for part in self.neurons.split("+")]
            if max(chosen) >= bench.head.in_features:
                raise UsageError("cut: there is no neuron {number}", number=max(chosen))
        else:
            chosen = self._choose(bench)
        cut_neurons(bench, chosen)
        score, figures = held_out(bench, clean_loss(bench))
        yield Step(0, score, {q.CUT: float(len(chosen)), **figures}, final=True)

    def _choose(self, bench: Workbench) -> list[int]:
        order = ranked(bench, self.ranking)
        phi, labels = bench.embed(bench.clean.held), bench.clean.held.labels
        weight = bench.head.weight.detach().clone()

        def after(count: int) -> tuple[float, float]:
            """Accuracy, and the target's norm over the others' mean, with ``count`` cut."""
            bench.job.progress("Choosing K", count, len(order), "neurons")
            with torch.no_grad():
                bench.head.weight[:, order[:count]] = 0
                right = (bench.head(phi).argmax(1) == labels).float().mean().item()
                norms = shifts_of(phi, bench.head, bench.job).l2
                bench.head.weight.copy_(weight)
            return right, reach(of_norms(norms, bench.target))

        best = after(0)[0]
        counts = sorted(
            {max(1, round(len(order) * share)) for share in np.geomspace(0.005, 0.5, 24)}
        )
        fitting = 0
        for count in counts:
            right, relative = after(count)
            if right < best - self.tolerance - q.ROUNDING:
                break
            fitting = count
            if relative >= 1:
                break
        return order[:fitting]
