"""RNP (Li et al., 2023): what a network that forgot the clean task needs not to recover, is cut."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch.nn import functional

from bdshift.errors import UsageError
from bdshift.purify.ascent import unlearn
from bdshift.purify.channels import Masks, fixed_statistics
from bdshift.purify.masked_pruning import prune
from bdshift.purify.method import Form, Method, Step, check_form, check_tolerance
from bdshift.purify.workbench import Workbench

_LOOK = 500
"""Images between two looks at the accuracy while unlearning: an epoch of the paper's, whose 1 % of
CIFAR-10 are 500. An epoch of more images overshoots, and no mask can recover what is then left."""

_PUBLISHED = 0.2, 0.7  # accuracy that ends the ascent, threshold


@dataclass(frozen=True)
class Rnp(Method):
    """The clean task is unlearned; then masks on γ alone learn it again, all weights fixed; the
    channels whose masks fell are cut from the original network.

    Attributes:
        unlearn_rate, unlearn_epochs: of the ascent.
        epochs, rate, batch, loss_scale: of SGD on the masks, momentum 0.9, and what the loss is
            multiplied by.
        threshold: cut where the mask is not above it. 0: as many as held-out accuracy allows.
        tolerance: held-out accuracy that the cut may cost, absolute.
        form: "fixed" ends the ascent at twice the accuracy of guessing, within an epoch if need be,
            or with the epochs, and clips its gradients. "reference" ends it after the epoch that
            falls to 0.2, for any number of classes, clips nothing (the published code clips before
            there are gradients), raises `UsageError` if accuracy does not fall so far, where the
            published code crashes, and cuts at BackdoorBench's 0.7 if no threshold is given.
    """

    name: ClassVar[str] = "rnp"

    unlearn_rate: float = 0.01
    unlearn_epochs: int = 20
    epochs: int = 20
    rate: float = 0.2
    batch: int = 128
    loss_scale: float = 0.2
    threshold: float = 0.0
    tolerance: float = 0.03
    form: Form = "fixed"

    def __post_init__(self) -> None:
        check_form(self.name, self.form)
        check_tolerance(self.tolerance)
        if min(self.unlearn_epochs, self.epochs) < 1 or self.batch < 2:
            raise UsageError("rnp: needs an epoch of each kind and batches of 2 at least")
        if not min(self.unlearn_rate, self.rate, self.loss_scale) > 0:
            raise UsageError("rnp: rates and loss_scale are positive")

    @property
    def total(self) -> int:
        """Steps at most."""
        return 2 + self.epochs

    def steps(self, bench: Workbench) -> Iterator[Step]:
        """Unlearn, recover, cut."""
        state = bench.state
        if "cut" in state:
            return
        if "original" not in state:
            original = {k: v.detach().clone() for k, v in bench.network.state_dict().items()}
            reached = self._unlearn(bench)
            state["original"] = original
            yield Step(0, None, {"unlearned_accuracy": reached})
        masks = Masks(bench)
        optimizer = torch.optim.SGD(masks.values, self.rate, momentum=0.9)
        if "masks" in state:
            masks.load(state["masks"])
            optimizer.load_state_dict(state["optimizer"])
        bench.network.requires_grad_(False)
        tuned = bench.clean.tune
        for epoch in range(state.get("epochs", 0), self.epochs):
            bench.network.train()
            total = 0.0
            with fixed_statistics(bench.network), masks.on():
                for rows in bench.batches(1000 + epoch, self.batch):
                    images = bench.clean.preprocess(tuned.pixels[rows])
                    loss = functional.cross_entropy(
                        bench.head(bench.phi(images)), tuned.labels[rows]
                    )
                    optimizer.zero_grad()
                    (self.loss_scale * loss).backward()
                    optimizer.step()
                    masks.clip()
                    bench.backwards += len(rows)
                    total += loss.item() * len(rows)
                    bench.job.raise_if_canceled()
            bench.job.progress("Recovering by masks", epoch + 1, self.epochs, "epochs")
            state |= {"masks": masks.saved(), "optimizer": optimizer.state_dict(),
                      "epochs": epoch + 1}  # fmt: skip
            yield Step(1 + epoch, None, {"loss": total / len(tuned)})
        bench.network.requires_grad_(True)
        bench.network.load_state_dict(state["original"])
        threshold = self.threshold or (_PUBLISHED[1] if self.form == "reference" else 0.0)
        yield prune(bench, masks, threshold, self.tolerance, 1 + self.epochs)

    def _unlearn(self, bench: Workbench) -> float:
        """Returns the accuracy that is left."""
        rate, batch, epochs = self.unlearn_rate, self.batch, self.unlearn_epochs
        if self.form == "fixed":
            return unlearn(bench, rate, batch, 2 / bench.head.out_features, epochs, look=_LOOK)
        reached = unlearn(bench, rate, batch, _PUBLISHED[0], epochs, clip=math.inf)
        if not reached <= _PUBLISHED[0]:
            raise UsageError(
                f"rnp: accuracy is {reached:.0%} after {epochs} epochs of unlearning, not "
                f"{_PUBLISHED[0]:.0%}: the published code ends here too; form=fixed goes on"
            )
        return reached
