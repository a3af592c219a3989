"""What methods that unlearn a trigger have in common: images with it, and how they choose.

They keep the network that the trigger works least on among those that keep most of the accuracy,
both on held-out images. Since a trigger is unlearned at the cost of the class that it sends images
to, that class's recall is always shown beside them.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from torch.nn import functional

from bdshift.purification import quantities as q
from bdshift.purification.clean_data import LabeledImages, Triggered
from bdshift.purification.method import Method, Step, diverged, needs_one
from bdshift.purification.tuning import batch_setting, epochs_setting, rate_setting
from bdshift.purification.workbench import Workbench
from bdshift.setting import setting
from bdshift.words import Sentence, words

GRADIENT_LIMIT = 1.0
"""Of a gradient's norm, where triggered images are far from their labels."""
_LIGHT = 1e-5  # weight of the accuracy: less than one image's of the ASR
_FITS = -1.0  # score from which on enough of the accuracy is left

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


def sent_to(target: int, part: LabeledImages) -> LabeledImages:
    """The images, labeled with the target."""
    return LabeledImages(part.pixels, torch.full_like(part.labels, target))


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
    if accuracy < keep * before[q.HELD_OUT_ACCURACY] - q.ROUNDING:
        return _FITS - 1 + accuracy
    return -figures[TRIGGER_WORKS] + _LIGHT * accuracy


@dataclass(frozen=True)
class EpochsOnTriggered(Method, ABC):
    """A method that descends, or climbs, the cross-entropy of some images by SGD, with the batch
    norms fixed and gradients clipped to the norm 1: where triggered images are far from what is
    wanted, or uphill, where there is no minimum, they are very long. The epoch kept is chosen by
    `worth`.

    Attributes:
        images: triggered images, at most.
        epochs, rate, batch: of SGD with momentum 0.9, without weight decay.
        keep: share of the held-out accuracy that must be left.
    """

    sees_trigger = True
    uphill: ClassVar[bool] = False

    images: int = images_setting()
    epochs: int = epochs_setting(4)
    rate: float = rate_setting(0.01)
    batch: int = batch_setting(64)
    keep: float = kept_accuracy_setting()

    @abstractmethod
    def lesson(self, bench: Workbench, triggered: LabeledImages) -> LabeledImages:
        """What is learned, or unlearned, from ``triggered`` images with their true labels."""

    @property
    def total(self) -> int:
        """Steps at most: one before the first epoch."""
        return 1 + self.epochs

    def steps(self, bench: Workbench) -> Iterator[Step]:
        """Learn it. Raises `UsageError` if the first epoch diverges."""
        triggered = some(triggered_images(bench, self.name).tune, self.images, bench.seed)
        images, state = self.lesson(bench, triggered), bench.state
        if "before" not in state:
            state["before"] = looked_at(bench)
            yield Step(0, worth(state["before"], state["before"], self.keep), state["before"])
        optimizer = optimizer_of("sgd", bench.network.parameters(), self.rate)
        if "optimizer" in state:
            optimizer.load_state_dict(state["optimizer"])
        for epoch in range(state.get("epoch", 0), self.epochs):
            loss = learn(
                bench,
                optimizer,
                images,
                epoch,
                self.batch,
                uphill=self.uphill,
                limit=GRADIENT_LIMIT,
            )
            bench.job.progress("Unlearning", epoch + 1, self.epochs, "epochs")
            found = looked_at(bench)
            if not epoch and math.isnan(found[q.HELD_OUT_ACCURACY]):
                raise diverged(self)
            state |= {"epoch": epoch + 1, "optimizer": optimizer.state_dict()}
            score = worth(found, state["before"], self.keep)
            yield Step(1 + epoch, score, {q.LOSS: loss, **found})

    def conclusion(self, steps: Sequence[Step], kept: Step) -> Sentence | None:
        """That nothing was changed, and why, if so."""
        if kept.number > 0:
            return None
        useless = any(
            step.number > 0 and step.score is not None and step.score >= _FITS for step in steps
        )
        return Sentence(NONE_WORKS if useless else NONE_FITS, {"keep": self.keep})


NONE_FITS = words(
    "Nothing was changed: no epoch keeps {keep:.0%} of the held-out accuracy. A smaller rate may "
    "do better.",
    ja="何も変更していません。ホールドアウト正解率の {keep:.0%} を保てたエポックがありません。"
       "学習率を下げると改善することがあります。",
)  # fmt: skip
NONE_WORKS = words(
    "Nothing was changed: of the epochs that keep {keep:.0%} of the held-out accuracy, none makes "
    "the trigger work less. More epochs or a larger rate may.",
    ja="何も変更していません。ホールドアウト正解率の {keep:.0%} を保ったエポックでは、"
       "トリガーの効きが弱まりませんでした。"
       "エポック数を増やすか学習率を上げると改善することがあります。",
)  # fmt: skip
