"""Cutting neurons of the embedding: by hand, by a ranking, or by Fine-Pruning.

A neuron is cut by setting its column of the head to zero: the logits are those of a φ without it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import torch

from bdshift.errors import UsageError
from bdshift.neurons.rankings import data_free_direction
from bdshift.purify.method import Method, Step, check_tolerance
from bdshift.purify.tuning import Sgd, clean_loss, held_out, tune
from bdshift.purify.workbench import Workbench, shifts_of

Ranking = Literal["shift", "weights", "activation"]
RANKINGS: tuple[Ranking, ...] = ("shift", "weights", "activation")


def cut(bench: Workbench, neurons: list[int]) -> None:
    """Set the head's columns of ``neurons`` to zero."""
    with torch.no_grad():
        bench.head.weight[:, neurons] = 0


@dataclass(frozen=True)
class Cut(Method):
    """Cut the given neurons; or the first K of a ranking, K the smallest for which the target's
    norm is no longer below the mean of the others on held-out images, if accuracy allows that.

    Attributes:
        neurons: "3+17+90", or empty for a ranking.
        ranking: "shift", "weights" (w_t − w̄, data-free) or "activation" (the least active first).
        tolerance: held-out accuracy that may be lost, absolute.
    """

    name: ClassVar[str] = "cut"

    neurons: str = ""
    ranking: Ranking = "shift"
    tolerance: float = 0.02

    def __post_init__(self) -> None:
        check_tolerance(self.tolerance)
        if self.ranking not in RANKINGS:
            raise UsageError(f"cut: ranking is one of {', '.join(RANKINGS)}, not {self.ranking!r}")
        if not all(part.isdecimal() for part in self.neurons.split("+") if self.neurons):
            raise UsageError(f"cut: neurons are numbers joined by +, not {self.neurons!r}")

    @property
    def total(self) -> int:
        """Steps at most."""
        return 1

    def steps(self, bench: Workbench) -> Iterator[Step]:
        """Choose, and cut."""
        if "cut" in bench.state:  # called again after a crash
            return
        bench.state["cut"] = True
        if self.neurons:
            chosen = [int(part) for part in self.neurons.split("+")]
            if max(chosen) >= bench.head.in_features:
                raise UsageError(f"cut: there is no neuron {max(chosen)}")
        else:
            chosen = self._choose(bench)
        cut(bench, chosen)
        score, figures = held_out(bench, clean_loss(bench))
        yield Step(0, score, {"cut": float(len(chosen)), **figures}, final=True)

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
                norms = shifts_of(phi, bench.head).l2
                bench.head.weight.copy_(weight)
            others = np.delete(norms, bench.target).mean()
            return right, float(norms[bench.target] / others)

        best = after(0)[0]
        counts = sorted(
            {max(1, round(len(order) * share)) for share in np.geomspace(0.005, 0.5, 24)}
        )
        fitting = 0
        for count in counts:
            right, relative = after(count)
            if right < best - self.tolerance:
                break
            fitting = count
            if relative >= 1:
                break
        return order[:fitting]


@dataclass(frozen=True)
class FinePruning(Method):
    """Fine-Pruning (Liu et al., 2018): cut the neurons that clean images excite least, as many as
    held-out accuracy allows, then fine-tune with them gone.

    Attributes:
        tolerance: held-out accuracy that may be lost by the cut, relative.
        epochs, rate, batch: of the fine-tuning.
    """

    name: ClassVar[str] = "fine-pruning"

    tolerance: float = 0.1
    epochs: int = 20
    rate: float = 0.01
    batch: int = 128

    def __post_init__(self) -> None:
        Sgd(self.epochs, self.batch, self.rate)  # which checks them
        check_tolerance(self.tolerance)

    @property
    def total(self) -> int:
        """Steps at most."""
        return 1 + self.epochs

    def steps(self, bench: Workbench) -> Iterator[Step]:
        """Cut, then tune."""
        if "cut" not in bench.state:
            bench.state["ranking"] = -bench.embed(bench.clean.tune).mean(0)
            bench.state["cut"] = self._choose(bench)
            cut(bench, bench.state["cut"])
            score, figures = held_out(bench, clean_loss(bench))
            yield Step(0, score, {"cut": float(len(bench.state["cut"])), **figures})
        gone = bench.state["cut"]
        sgd = Sgd(self.epochs, self.batch, self.rate)
        yield from tune(bench, sgd, clean_loss(bench), after=lambda: cut(bench, gone), first=1)

    def _choose(self, bench: Workbench) -> list[int]:
        """The longest prefix of the order that keeps the accuracy; one thin product a neuron."""
        order = ranked(bench, "activation")
        phi, labels = bench.embed(bench.clean.held), bench.clean.held.labels
        with torch.no_grad():
            logits = bench.head(phi)
            best = (logits.argmax(1) == labels).float().mean().item()
            count = 0
            for k in order[:-1]:
                logits -= phi[:, k : k + 1] * bench.head.weight[:, k]
                if (logits.argmax(1) == labels).float().mean().item() < best * (1 - self.tolerance):
                    break
                count += 1
        return order[:count]


def ranked(bench: Workbench, ranking: Ranking) -> list[int]:
    """All neurons, those to cut first in front."""
    if ranking == "shift":
        values = bench.shift.double().cpu().numpy()
    elif ranking == "weights":
        values = data_free_direction(bench.head.weight.detach().cpu().numpy(), bench.target)
    else:
        values = -bench.embed(bench.clean.tune).mean(0).double().cpu().numpy()
    return [int(k) for k in np.argsort(-values, kind="stable")]
