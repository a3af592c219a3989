"""What methods that unlearn a trigger have in common: images with it, and how they choose.

They keep the network that the trigger works least on among those that keep most of the accuracy,
both on held-out images. Since a trigger is unlearned at the cost of the class that it sends images
to, that class's recall is always shown beside them.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import Any, Literal

import torch
from torch.nn import functional

from bdshift.errors import UsageError
from bdshift.purify import quantities as q
from bdshift.purify.clean_data import LabeledImages, Triggered
from bdshift.purify.method import Step, needs_one
from bdshift.purify.workbench import Workbench
from bdshift.setting import setting
from bdshift.words import words

_LIGHT = 1e-5  # weight of the accuracy: less than one image's of the ASR

Optimizer = Literal["sgd", "adamw"]

TRIGGER_WORKS = q.quantity(
    "held_out_asr", words("held-out ASR", ja="ホールドアウト ASR"), "shares", ".1%"
)
RECALL = q.quantity("target_recall", words("target's recall", ja="標的の再現率"), "shares", ".1%")


def images_setting() -> Any:
    """How many triggered images are used."""
    return setting(
        300, words("Number of images", ja="画像の枚数"),
        words("With the trigger, at most; more help little.",
              ja="トリガーを付けた画像の最大数。増やしても効果はわずかです。"),
        low=2, high=100_000, step=50,
        source=words("300 to 30,000 in the TBAR paper.", ja="TBAR の論文では 300〜30,000。"),
    )  # fmt: skip


def kept_accuracy_setting() -> Any:
    """The share of the accuracy that must be left."""
    return setting(
        0.95, words("Accuracy to keep", ja="維持する正解率"),
        words("Of the held-out accuracy before, a share: what costs more is not kept.",
              ja="元のホールドアウト正解率に対する割合。これを下回る結果は残しません。"),
        low=0, high=1, step=0.01, decimals=2,
    )  # fmt: skip


def triggered_images(bench: Workbench, name: str) -> Triggered:
    """The images with the trigger. Raises `UsageError` without any."""
    found = bench.clean.triggered
    if found is None:
        raise needs_one(name)
    return found


def some(part: LabeledImages, count: int, seed: int) -> LabeledImages:
    """``count`` of the images at most, drawn with ``seed``."""
    rng = torch.Generator().manual_seed(seed)
    rows = torch.randperm(len(part), generator=rng)[:count]
    return part[rows.sort().values.to(part.labels.device)]


def diverged(name: str) -> UsageError:
    """What is wrong if a method, by its text, led to numbers that are not finite."""
    return UsageError("{method}: training diverged; try a smaller rate", method=name)


def optimizer_of(
    name: Optimizer, weights: Iterable[torch.nn.Parameter], rate: float
) -> torch.optim.Optimizer:
    """Without weight decay, which would be a part of what is learned."""
    if name == "adamw":
        return torch.optim.AdamW(weights, rate, weight_decay=0)
    return torch.optim.SGD(weights, rate, 0.9)


def learn(
    bench: Workbench,
    optimizer: torch.optim.Optimizer,
    images: LabeledImages,
    epoch: int,
    batch: int,
    *,
    uphill: bool = False,
    limit: float = math.inf,
) -> float:
    """One epoch on ``images`` toward their labels, or away from them, with the batch norms fixed;
    returns the mean loss. Gradients are clipped to the norm ``limit``.
    """
    bench.network.eval()
    rng = torch.Generator().manual_seed(bench.seed * 100_003 + epoch + 1)
    order = torch.randperm(len(images), generator=rng).to(bench.device)
    total = 0.0
    for rows in order.split(batch):
        bench.job.raise_if_canceled()
        optimizer.zero_grad()
        phi = bench.phi(bench.clean.preprocess(images.pixels[rows]))
        loss = functional.cross_entropy(bench.head(phi), images.labels[rows])
        (-loss if uphill else loss).backward()
        if limit < math.inf:
            torch.nn.utils.clip_grad_norm_(bench.network.parameters(), limit)
        optimizer.step()
        bench.backwards += len(rows)
        total += loss.item() * len(rows)
    return total / len(images)


def unlearn(
    bench: Workbench,
    name: str,
    images: LabeledImages,
    epochs: int,
    batch: int,
    rate: float,
    keep: float,
    *,
    uphill: bool = False,
    limit: float = math.inf,
) -> Iterator[Step]:
    """SGD on ``images``, toward their labels or away from them, scored by `worth`: a step for the
    network as it was, and one for each epoch. ``name`` is the method's.

    Raises `UsageError` if the first epoch diverges.
    """
    state = bench.state
    if "before" not in state:
        state["before"] = looked_at(bench)
        yield Step(0, worth(state["before"], state["before"], keep), state["before"])
    optimizer = optimizer_of("sgd", bench.network.parameters(), rate)
    if "optimizer" in state:
        optimizer.load_state_dict(state["optimizer"])
    for epoch in range(state.get("epoch", 0), epochs):
        loss = learn(bench, optimizer, images, epoch, batch, uphill=uphill, limit=limit)
        bench.job.progress("Unlearning", epoch + 1, epochs, "epochs")
        found = looked_at(bench)
        if not epoch and math.isnan(found[q.HELD_OUT_ACCURACY]):
            raise diverged(name)
        state |= {"epoch": epoch + 1, "optimizer": optimizer.state_dict()}
        yield Step(1 + epoch, worth(found, state["before"], keep), {q.LOSS: loss, **found})


def looked_at(bench: Workbench) -> dict[str, float]:
    """Held-out accuracy and recall of the target for the network as it is, and the share of
    held-out images that the trigger sends there, if there is one. All are NaN if its logits are no
    longer finite.
    """
    held, target = bench.clean.held, bench.target
    logits = bench.head(bench.embed(held))
    if not logits.isfinite().all():
        return dict.fromkeys((q.HELD_OUT_ACCURACY, RECALL, TRIGGER_WORKS), math.nan)
    found = logits.argmax(1)
    right = found == held.labels
    own = held.labels == target
    figures = {
        q.HELD_OUT_ACCURACY: right.float().mean().item(),
        RECALL: right[own].float().mean().item() if own.any() else math.nan,
    }
    if bench.clean.triggered is not None:
        changed = bench.head(bench.embed(bench.clean.triggered.held)).argmax(1)
        figures[TRIGGER_WORKS] = (changed == target).float().mean().item()
    return figures


def worth(figures: dict[str, float], before: dict[str, float], keep: float) -> float:
    """The score of a network: the less the trigger works the higher, and then by accuracy, if
    enough of that is left; otherwise by accuracy alone, below all of those; −∞ if its logits are
    not finite.
    """
    accuracy = figures[q.HELD_OUT_ACCURACY]
    if math.isnan(accuracy):
        return -math.inf
    if accuracy < keep * before[q.HELD_OUT_ACCURACY]:
        return -2 + accuracy
    return -figures[TRIGGER_WORKS] + _LIGHT * accuracy
