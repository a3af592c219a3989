"""Unlearns the clean task, which RNP and TSBD both start with: SGD uphill on clean images."""

from __future__ import annotations

from typing import Any

import torch
from torch.nn import functional

from bdshift.purification.workbench import Workbench
from bdshift.setting import setting
from bdshift.words import words


def unlearn_rate_setting(default: float) -> Any:
    """Learning rate of the ascent."""
    return setting(
        default, words("Unlearning rate", ja="忘却の学習率"),
        words("Of gradient ascent, away from the clean task.",
              ja="クリーンなタスクから遠ざかる SGD の学習率。"),
        low=0, above=True, high=1_000_000, step=0.0001, decimals=5,
    )  # fmt: skip


def unlearn_epochs_setting(default: int) -> Any:
    """How many epochs the ascent may take at most."""
    return setting(
        default, words("Unlearning epochs", ja="忘却のエポック"), words("At most.", ja="最大値。"),
        low=1, high=100_000,
    )  # fmt: skip


def unlearn(
    bench: Workbench,
    rate: float,
    batch: int,
    least: float,
    epochs: int,
    *,
    grow: float = 1.0,
    look: int = 0,
    clip: float = 20.0,
) -> float:
    """Ascend the cross-entropy of the images to tune on until accuracy on the last ``look`` of them
    (0: all) is not above ``least``, or ``epochs`` are over; ``rate`` is multiplied by ``grow``
    after each epoch. Gradients are clipped to the norm ``clip`` before the update. Returns the
    accuracy.
    """
    tuned = bench.clean.tune
    optimizer = torch.optim.SGD(
        bench.network.parameters(), rate, 0.9, weight_decay=5e-4, maximize=True
    )
    accuracy = 1.0
    look = min(look or len(tuned), len(tuned) - 1)  # a batch of one image is left out
    for epoch in range(epochs):
        bench.network.train()
        right = seen = 0
        for rows in bench.batches(epoch, batch):
            logits = bench.head(bench.phi(bench.clean.preprocess(tuned.pixels[rows])))
            labels = tuned.labels[rows]
            optimizer.zero_grad()
            functional.cross_entropy(logits, labels).backward()
            torch.nn.utils.clip_grad_norm_(bench.network.parameters(), clip)
            optimizer.step()
            right += int((logits.argmax(1) == labels).sum())
            seen += len(rows)
            bench.backwards += len(rows)
            bench.job.raise_if_canceled()
            if seen >= look:
                accuracy, right, seen = right / seen, 0, 0
                if accuracy <= least:
                    break
        bench.job.progress("Unlearning", epoch + 1, epochs, "epochs", f"accuracy {accuracy:.0%}")
        if accuracy <= least:
            break
        for group in optimizer.param_groups:
            group["lr"] *= grow
    bench.network.eval()
    return accuracy
