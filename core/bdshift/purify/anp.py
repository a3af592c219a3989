"""ANP (Wu and Wang, 2021): neurons that a small, worst-case change of weights sets off are cut."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch.nn import functional

from bdshift.errors import UsageError
from bdshift.purify.channels import Masks, fixed_statistics
from bdshift.purify.masked_pruning import prune
from bdshift.purify.method import Form, Method, Step, check_form, check_tolerance
from bdshift.purify.workbench import Workbench

_PARTS = 10  # steps that the iterations are told in
_PUBLISHED = 0.2  # threshold


@dataclass(frozen=True)
class Anp(Method):
    """Masks m on every γ minimize α·CE(clean) + (1 − α)·CE(under γ(m + δ), β(1 + ξ)), δ and ξ being
    random within ±ε and then moved by a step of ε uphill. Channels with the smallest masks are cut.

    Attributes:
        iterations, batch, rate: of SGD on the masks, momentum 0.9; 2000, 128 and 0.2 in the paper.
        epsilon: bound of the change; 0.4.
        alpha: weight of the clean loss; 0.2.
        threshold: cut where m is not above it. 0: as many as held-out accuracy allows.
        tolerance: held-out accuracy that the cut may cost, absolute.
        form: "fixed" keeps δ and ξ within ±ε. "reference" lets them reach 2ε, as the published code
            does, and cuts at 0.2, as the paper does, if no threshold is given.
    """

    name: ClassVar[str] = "anp"

    iterations: int = 2000
    batch: int = 128
    rate: float = 0.2
    epsilon: float = 0.4
    alpha: float = 0.2
    threshold: float = 0.0
    tolerance: float = 0.03
    form: Form = "fixed"

    def __post_init__(self) -> None:
        check_form(self.name, self.form)
        check_tolerance(self.tolerance)
        if self.iterations < _PARTS or self.batch < 2:
            raise UsageError(f"anp: needs {_PARTS} iterations and batches of 2 at least")
        if not (self.rate > 0 and self.epsilon > 0 and 0 <= self.alpha <= 1):
            raise UsageError("anp: rate and epsilon are positive, alpha is between 0 and 1")

    @property
    def total(self) -> int:
        """Steps at most."""
        return _PARTS + 1

    def steps(self, bench: Workbench) -> Iterator[Step]:
        """Learn the masks, then cut."""
        if "cut" in bench.state:
            return
        masks = Masks(bench)
        bench.network.requires_grad_(False)
        optimizer = torch.optim.SGD(masks.values, self.rate, momentum=0.9)
        state = bench.state
        if "masks" in state:
            masks.load(state["masks"])
            optimizer.load_state_dict(state["optimizer"])
        per_part = self.iterations // _PARTS
        for part in range(state.get("parts", 0), _PARTS):
            endless = (bench.batches(epoch, self.batch) for epoch in itertools.count(part * 1000))
            rows = itertools.islice(itertools.chain.from_iterable(endless), per_part)
            rng = torch.Generator().manual_seed(bench.seed * 100_003 + part)
            total = 0.0
            bench.network.train()
            with fixed_statistics(bench.network):
                for number, some in enumerate(rows):
                    total += self._update(bench, masks, optimizer, some, rng)
                    done = part * per_part + number + 1
                    bench.job.progress("Learning masks", done, self.iterations, "updates")
            state |= {"masks": masks.saved(),
                      "optimizer": optimizer.state_dict(), "parts": part + 1}  # fmt: skip
            least = min(float(value.detach().min()) for value in masks.values)
            yield Step(part, None, {"loss": total / per_part, "smallest_mask": least})
        bench.network.requires_grad_(True)
        threshold = self.threshold or (_PUBLISHED if self.form == "reference" else 0.0)
        yield prune(bench, masks, threshold, self.tolerance, _PARTS)

    def _update(
        self,
        bench: Workbench,
        masks: Masks,
        optimizer: torch.optim.Optimizer,
        rows: torch.Tensor,
        rng: torch.Generator,
    ) -> float:
        tuned = bench.clean.tune
        images, labels = bench.clean.preprocess(tuned.pixels[rows]), tuned.labels[rows]

        def loss(noise: list[torch.Tensor] | None) -> torch.Tensor:
            half = len(masks.values)
            parts = (None, None) if noise is None else (noise[:half], noise[half:])
            with masks.on(*parts):
                return functional.cross_entropy(bench.head(bench.phi(images)), labels)

        noise = [
            ((torch.rand(value.shape, generator=rng) * 2 - 1) * self.epsilon)
            .to(value.device)
            .requires_grad_()
            for value in (*masks.values, *masks.values)
        ]
        uphill = torch.autograd.grad(loss(noise), noise)
        with torch.no_grad():
            noise = [n + self.epsilon * step.sign() for n, step in zip(noise, uphill, strict=True)]
            if self.form == "fixed":
                noise = [n.clamp(-self.epsilon, self.epsilon) for n in noise]
        value = self.alpha * loss(None) + (1 - self.alpha) * loss(noise)
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        masks.clip()
        bench.backwards += 3 * len(rows)
        return value.item()
