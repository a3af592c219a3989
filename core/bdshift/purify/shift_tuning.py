"""Fine-tuning under the embedding shift (Eq. 5 of Iwahana et al., 2025).

The network learns to be right where it is, and also where the shift to the poisoned class would
carry it: CE(h(φ(x)), y) + CE(h(φ(x) + s_t), y). Both terms need one pass of φ.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import torch

from bdshift.errors import UsageError
from bdshift.purify.frozen import tune_from
from bdshift.purify.method import Method, Step, check_tolerance
from bdshift.purify.sharpness import sharp_gradient
from bdshift.purify.tuning import (
    Loss,
    Schedule,
    Sgd,
    held_out,
    plain_gradient,
    shifted_loss,
    tune,
)
from bdshift.purify.workbench import Workbench

_RIDGE = 1e-3  # of the head's change, so that its problem has one solution
_MOST_UPDATES = 200  # of L-BFGS; some 60 are usual


@dataclass(frozen=True)
class ShiftTuning(Method):
    """SGD on Eq. 5, all weights free. Of the epochs that cost no more held-out accuracy than
    ``tolerance``, the one is kept after which the target is hardest to reach: whose norm is largest
    beside the mean of the others, on held-out images. The loss of Eq. 5 sees only the shift, and
    falls on while a backdoor comes back (docs/results.md).

    With ``head_first`` the head is first solved alone on the cached embedding, where Eq. 5 is
    convex: a second, and on some victims all there is to do, on others nothing (docs/results.md).

    Attributes:
        epochs, rate, batch: of SGD with momentum 0.9 and weight decay 5e-4; no epochs at all with
            ``head_first`` for the head alone.
        cosine: whether the rate falls to zero, or stays as in the paper.
        scale: the shift is taken so many times as long; 1 in the paper. A trigger may move the
            embedding farther than the shift, which is by definition the shortest way.
        head_first: whether to solve the head alone first.
        tolerance: held-out accuracy that an epoch may cost to be kept, absolute.
        tune_from: the first layer of the network that is tuned, those before it being fixed and run
            only once; empty for all.
        rho: length of the step uphill before the gradient is taken, as FT-SAM does (2 on CIFAR-10),
            which takes twice the time; 0 for none, as in the paper.
        keep: "reach" as above, or "last": the last epoch whatever became of it, as in the paper.
    """

    name: ClassVar[str] = "shift-tuning"

    epochs: int = 12
    rate: float = 0.01
    batch: int = 128
    cosine: bool = True
    scale: float = 1.0
    head_first: bool = False
    tolerance: float = 0.03
    tune_from: str = ""
    rho: float = 2.0
    keep: Literal["reach", "last"] = "reach"

    def __post_init__(self) -> None:
        if self.epochs or not self.head_first:
            Sgd(self.epochs, self.batch, self.rate)  # which checks them
        if not 0 < self.scale < math.inf:
            raise UsageError(f"scale must be a positive number, not {self.scale}")
        if not 0 <= self.rho < math.inf:
            raise UsageError(f"rho must be 0 or a positive number, not {self.rho}")
        check_tolerance(self.tolerance)
        if self.keep not in ("reach", "last"):
            raise UsageError(f"shift-tuning: keep is reach or last, not {self.keep!r}")

    @property
    def total(self) -> int:
        """Steps at most."""
        return self.head_first + self.epochs

    def steps(self, bench: Workbench) -> Iterator[Step]:
        """Solve the head, then tune."""
        if self.tune_from:
            tune_from(bench, self.tune_from)
        bench.state["ranking"] = bench.shift
        loss = shifted_loss(bench, self.scale)
        if "before" not in bench.state:
            bench.state["before"] = held_out(bench, loss)[1]["held_out_accuracy"]
        if self.head_first and not bench.state.get("head_done"):
            solve_head(bench, loss)
            bench.state["head_done"] = True
            yield self._judged(bench, Step(0, *held_out(bench, loss)))
        if not self.epochs:
            return
        schedule: Schedule = "cosine" if self.cosine else "constant"
        sgd = Sgd(self.epochs, self.batch, self.rate, schedule=schedule)
        gradient = sharp_gradient(self.rho, adaptive=True) if self.rho else plain_gradient
        for step in tune(bench, sgd, loss, gradient=gradient, first=int(self.head_first)):
            yield self._judged(bench, step)

    def _judged(self, bench: Workbench, step: Step) -> Step:
        """By the target's norm beside the others', if accuracy holds; else by accuracy, below all
        that do.
        """
        lost = bench.state["before"] - step.figures["held_out_accuracy"]
        reach = step.figures["target_norm"] / step.figures["other_norms"]
        last = self.keep == "last" and step.number == self.total - 1
        score = reach if lost <= self.tolerance else -1 - lost
        return replace(step, score=-math.inf if step.score == -math.inf else score, final=last)


PAPER = ShiftTuning(epochs=50, cosine=False, rho=0.0, keep="last")
"""The paper's settings: SGD, rate 0.01, the network after 50 epochs."""


def solve_head(bench: Workbench, loss: Loss) -> None:
    """Minimize ``loss`` over the head alone, everything before it as it is, by L-BFGS."""
    phi, labels = bench.embed(bench.clean.tune), bench.clean.tune.labels
    head = bench.head
    start = [parameter.detach().clone() for parameter in head.parameters()]
    optimizer = torch.optim.LBFGS(
        head.parameters(), max_iter=_MOST_UPDATES, line_search_fn="strong_wolfe"
    )

    def closure() -> torch.Tensor:
        bench.job.raise_if_canceled()
        optimizer.zero_grad()
        pairs = zip(head.parameters(), start, strict=True)
        moved = sum((now - was).square().sum() for now, was in pairs)
        value = loss(phi, labels) + _RIDGE * moved
        value.backward()
        return value

    optimizer.step(closure)
    optimizer.zero_grad()
