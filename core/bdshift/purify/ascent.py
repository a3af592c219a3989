"""Unlearning the clean task, which RNP and TSBD both begin with: SGD uphill on clean images."""

from __future__ import annotations

import torch
from torch.nn import functional

from bdshift.purify.workbench import Workbench


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
    after each. Returns the accuracy. Gradients are clipped to the norm ``clip``, before the update.
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
