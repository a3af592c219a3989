"""The loop that all fine-tuning shares: SGD over the clean images, resumable after each epoch."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from bdshift.errors import InputError
from bdshift.purification import quantities as q
from bdshift.purification.method import Step
from bdshift.purification.workbench import Workbench, shifts_of
from bdshift.setting import setting
from bdshift.words import words

Loss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
"""From φ (n, d) and labels (n,) to a scalar."""

Schedule = Literal["constant", "cosine", "swinging"]

_SHORTEST = 1e-6  # length of a shift that is divided by
_SWING_UPDATES = 100
"""Updates from one end to the other: BackdoorBench's epochs, mistaken for updates."""

Copies = Callable[[torch.Tensor, int], torch.Tensor]
"""From the 8-bit images of a batch and a seed to other versions of them."""

Forward = Callable[[], torch.Tensor]
"""The loss of a batch at the current weights."""


def plain_gradient(_: Workbench, forward: Forward) -> torch.Tensor:
    """The gradient at the weights themselves."""
    value = forward()
    value.backward()
    return value


def epochs_setting(default: int, source: str = "", **more: Any) -> Any:
    """The number of epochs of a fine-tuning."""
    return setting(
        default, words("Epochs", ja="エポック数"),
        words("Passes over the training images.", ja="訓練画像を使う回数。"),
        source=source, **{"low": 1, "high": 500, **more},
    )  # fmt: skip


def rate_setting(default: float, source: str = "") -> Any:
    """The learning rate of SGD."""
    return setting(
        default, words("Learning rate", ja="学習率"),
        words("Of SGD with momentum 0.9.", ja="モーメンタム 0.9 の SGD。"),
        low=0, above=True, high=1_000_000, step=0.005, decimals=4, source=source,
    )  # fmt: skip


def batch_setting(default: int, source: str = "") -> Any:
    """Images in one step of SGD: two or more, for the batch norms."""
    return setting(
        default, words("Batch", ja="バッチ"),
        words("Images in one step.", ja="1 ステップの画像数。"),
        low=2, high=65_536, step=8, source=source,
    )  # fmt: skip


@dataclass(frozen=True)
class Sgd:
    """How to descend.

    Attributes:
        epochs, batch, rate, momentum, weight_decay: of SGD.
        schedule: the rate stays constant; falls to zero along a cosine; or swings from ``rate`` to
            zero in 100 updates, and back.
    """

    epochs: int
    batch: int
    rate: float
    momentum: float = 0.9
    weight_decay: float = 5e-4
    schedule: Schedule = "constant"

    def rate_at(self, done: int, updates: int) -> float:
        """The learning rate after ``done`` of all updates."""
        if self.schedule == "constant":
            return self.rate
        length = updates if self.schedule == "cosine" else _SWING_UPDATES
        return self.rate * 0.5 * (1 + math.cos(math.pi * done / length))


def held_out(bench: Workbench, loss: Loss) -> tuple[float, dict[str, float]]:
    """The score (−loss on held-out images), and the figures to show for the network as it is. If
    its logits are no longer finite, it scores −∞.
    """
    held = bench.clean.held
    phi = bench.embed(held)
    with torch.no_grad():
        value = loss(phi, held.labels).item()
        right = (bench.head(phi).argmax(1) == held.labels).float().mean().item()
    try:
        norms = shifts_of(phi, bench.head, bench.job).l2
    except InputError:  # the logits are infinite, or nearly so: training has diverged
        value, norms = math.inf, np.full(bench.head.out_features, math.nan)
    return -value, {q.HELD_OUT_LOSS: value, q.HELD_OUT_ACCURACY: right,
                    **of_norms(norms, bench.target)}  # fmt: skip


def of_norms(norms: NDArray[np.float64], target: int) -> dict[str, float]:
    """The norm of the target's shift, (C,) of all, beside the others'. Classes that no shift
    reaches are infinitely far, and left out of means.
    """
    reached = norms[~np.isinf(norms)]
    others = np.delete(norms, target)
    mean = float(reached.mean()) if len(reached) else math.nan
    spread = float(reached.std()) if len(reached) else math.nan
    near = others[~np.isinf(others)]
    return {
        q.TARGET_NORM: float(norms[target]),
        q.OTHER_NORMS: float(near.mean()) if len(near) else math.inf,
        q.TARGET_Z: float((norms[target] - mean) / (spread or 1.0)),
    }


def reach(figures: Mapping[str, float]) -> float:
    """How far the target is, relative to the others: infinite if no shift reaches it."""
    target, others = figures[q.TARGET_NORM], figures[q.OTHER_NORMS]
    # Of two classes, the other may need no shift at all: its length is 0.
    return math.inf if math.isinf(target) else target / max(others, _SHORTEST)


def tune(
    bench: Workbench,
    sgd: Sgd,
    loss: Loss,
    *,
    score: Loss | None = None,
    gradient: Callable[[Workbench, Forward], torch.Tensor] = plain_gradient,
    after: Callable[[], None] = lambda: None,
    copies: Copies | None = None,
    first: int = 0,
) -> Iterator[Step]:
    """Descend ``loss`` on the images to tune on, with all weights free and batch norms learning.

    Yields one step per epoch, numbered from ``first``. ``score`` is the loss to choose by, by
    default ``loss``; ``gradient`` leaves a gradient in the weights and returns the loss; ``after``
    is called after every update (to keep pruned weights at zero). With ``copies`` the φ that
    ``loss`` gets (2n, d) ends with that of the images' copies, and there has to be a ``score``.
    """
    optimizer = torch.optim.SGD(
        bench.network.parameters(), sgd.rate, sgd.momentum, weight_decay=sgd.weight_decay
    )
    state: dict[str, Any] = bench.state
    if "optimizer" in state:
        optimizer.load_state_dict(state["optimizer"])
    tuned = bench.clean.tune
    updates = sgd.epochs * math.ceil(len(tuned) / sgd.batch)
    for epoch in range(state.get("epoch", 0), sgd.epochs):
        bench.network.train()
        total, seen = 0.0, 0
        for number, rows in enumerate(bench.batches(epoch, sgd.batch)):
            done = epoch * math.ceil(len(tuned) / sgd.batch) + number
            for group in optimizer.param_groups:
                group["lr"] = sgd.rate_at(done, updates)

            def forward(rows: torch.Tensor = rows, done: int = done) -> torch.Tensor:
                pixels = tuned.pixels[rows]
                if copies is not None:
                    pixels = torch.cat([pixels, copies(pixels, bench.seed * 100_003 + done)])
                bench.backwards += len(pixels)
                return loss(bench.phi(bench.clean.preprocess(pixels)), tuned.labels[rows])

            optimizer.zero_grad()
            value = gradient(bench, forward)
            optimizer.step()
            after()
            total, seen = total + value.item() * len(rows), seen + len(rows)
            bench.job.progress("Purifying", done + 1, updates, "updates", f"epoch {epoch + 1}")
        bench.network.eval()
        worth, figures = held_out(bench, score or loss)
        state |= {"epoch": epoch + 1, "optimizer": optimizer.state_dict()}
        yield Step(first + epoch, worth, {q.LOSS: total / max(seen, 1), **figures})


def clean_loss(bench: Workbench) -> Loss:
    """Cross-entropy of clean images, the loss of plain fine-tuning."""
    return lambda phi, labels: functional.cross_entropy(bench.head(phi), labels)


def shifted_loss(bench: Workbench, scale: float = 1.0) -> Loss:
    """Eq. 5: cross-entropy of clean images plus that under ``scale`` times the shift, from one
    pass.
    """
    shift = scale * bench.shift

    def loss(phi: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        plain = functional.cross_entropy(bench.head(phi), labels)
        return plain + functional.cross_entropy(bench.head(phi + shift), labels)

    return loss
