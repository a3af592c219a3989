"""ANP (Wu and Wang, 2021): cuts neurons that a small, worst-case change of weights sets off."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch.nn import functional

from bdshift.checkpoints.recompute import same_statistics
from bdshift.purification import quantities as q
from bdshift.purification.channels import Masks
from bdshift.purification.masked_pruning import CUT_COST, prune, threshold_setting
from bdshift.purification.method import (
    METHODS,
    Method,
    Step,
    Variant,
    tolerance_setting,
    variant_setting,
)
from bdshift.purification.tuning import batch_setting, rate_setting
from bdshift.purification.workbench import Workbench
from bdshift.setting import setting
from bdshift.words import words

_PARTS = 10  # steps that the iterations are reported in
_PUBLISHED_THRESHOLD = 0.2

SMALLEST_MASK = q.quantity("smallest_mask", words("smallest mask", ja="最小のマスク"))


@METHODS.register
@dataclass(frozen=True)
class Anp(Method):
    """Masks m on every γ minimize α·CE(clean) + (1 − α)·CE(under γ(m + δ), β(1 + ξ)), where δ and ξ
    are random within ±ε and then moved uphill by a step of ε. Channels with the smallest masks are
    cut.

    Attributes:
        iterations, batch, rate: of SGD on the masks, momentum 0.9; 2000, 128 and 0.2 in the paper.
        epsilon: bound of the change; 0.4.
        alpha: weight of the clean loss; 0.2.
        threshold: channels are cut if m is not above it. 0: as many as held-out accuracy allows.
        tolerance: held-out accuracy that the cut may cost, absolute.
        form: "fixed" keeps δ and ξ within ±ε. "reference" lets them reach 2ε, as the published code
            does, and cuts at 0.2, as the paper does, unless a threshold is given.
    """

    name = "anp"
    label = "ANP"
    summary = words("Cuts channels that a small, worst-case change of weights sets off.",
                    ja="重みの小さな最悪の変化で反応するチャネルを無効化します。")  # fmt: skip
    place = 100
    table_rows = (("ANP", "anp"),)
    published_rows = (("ANP as published", "anp:form=reference"),)
    quick_rows = (
        ("ANP", "anp:iterations=400"),
        ("ANP as published", "anp:iterations=400,form=reference"),
    )

    iterations: int = setting(
        2000, words("Iterations", ja="反復回数"),
        words("Updates of the masks.", ja="マスクの更新回数。"),
        low=_PARTS, high=100_000, step=100,
        source=words("2000 in the paper.", ja="論文では 2000。"),
    )  # fmt: skip
    batch: int = batch_setting(128, words("128 in the paper.", ja="論文では 128。"))
    rate: float = rate_setting(0.2, words("0.2 in the paper.", ja="論文では 0.2。"))
    epsilon: float = setting(
        0.4, words("Largest change of weights", ja="重みの最大の変化"),
        words("How far weights are moved to find what breaks.",
              ja="崩れる所を探すために重みを動かす幅。"),
        low=0, above=True, high=1_000_000, step=0.1, decimals=2,
        source=words("0.4 in the paper.", ja="論文では 0.4。"),
    )  # fmt: skip
    alpha: float = setting(
        0.2, words("Weight of the clean loss", ja="クリーン損失の重み"),
        words("Of the loss without that change.", ja="変化なしの損失の重み。"),
        low=0, high=1, step=0.1, decimals=2, source=words("0.2 in the paper.", ja="論文では 0.2。"),
    )  # fmt: skip
    threshold: float = threshold_setting(words("0.2 in the paper.", ja="論文では 0.2。"))
    tolerance: float = tolerance_setting(0.03, CUT_COST)
    form: Variant = variant_setting(
        words("fixed keeps the change of weights within its bound; reference lets it reach twice "
              "the bound, as the published code does.",
              ja="fixed は重みの変化を上限内に保ち、"
                 "reference は公開コードと同じく 2 倍まで許します。")
    )  # fmt: skip

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
            with same_statistics(bench.network):
                for number, some in enumerate(rows):
                    total += self._update(bench, masks, optimizer, some, rng)
                    done = part * per_part + number + 1
                    bench.job.progress("Learning masks", done, self.iterations, "updates")
            state |= {"masks": masks.saved(),
                      "optimizer": optimizer.state_dict(), "parts": part + 1}  # fmt: skip
            least = min(float(value.detach().min()) for value in masks.values)
            yield Step(part, None, {q.LOSS: total / per_part, SMALLEST_MASK: least})
        bench.network.requires_grad_(True)
        threshold = self.threshold or (_PUBLISHED_THRESHOLD if self.form == "reference" else 0.0)
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

        def loss() -> torch.Tensor:
            return functional.cross_entropy(bench.head(bench.phi(images)), labels)

        noise = [
            ((torch.rand(value.shape, generator=rng) * 2 - 1) * self.epsilon)
            .to(value.device)
            .requires_grad_()
            for value in (*masks.values, *masks.values)
        ]
        half = len(masks.values)
        with masks.on(noise[:half], noise[half:]):  # on the way back, too: blocks may run again
            uphill = torch.autograd.grad(loss(), noise)
        with torch.no_grad():
            noise = [n + self.epsilon * step.sign() for n, step in zip(noise, uphill, strict=True)]
            if self.form == "fixed":
                noise = [n.clamp(-self.epsilon, self.epsilon) for n in noise]
        optimizer.zero_grad()
        with masks.on():
            plain = self.alpha * loss()
            plain.backward()
        with masks.on(noise[:half], noise[half:]):
            disturbed = (1 - self.alpha) * loss()
            disturbed.backward()
        optimizer.step()
        masks.clip()
        bench.backwards += 3 * len(rows)
        return plain.item() + disturbed.item()
