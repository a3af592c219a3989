"""Softmax averages over all images for many shifted classes at once: the only expensive part.

For class k and its shift of the logits t_k (C numbers) the solver needs, over images n,

    F_k = mean CE(z_n + t_k, k),   p̄_k = mean softmax(z_n + t_k),
    H_k v = p̄_k ∘ v − mean p_n (p_n · v)   (the Hessian of F_k in t, applied to v).

`FactoredKernel` uses softmax(z + t) ∝ exp(z) ∘ exp(t): with E = exp(Z) computed once, each of the
three is two matrix products for *all* classes together. At 1000 classes, that is about a hundred
times less work than one softmax per class. E is kept where there is room, and else computed again
from the logits, block by block: one exponential where a product does hundreds of additions. It
needs logits whose spread fits a float64's exponent; `DirectKernel` does not, and is the fallback.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

import torch

from bdshift.shift.logit_rows import LogitRows

MAX_SPREAD = 300.0
"""Largest spread of one image's logits for `FactoredKernel`: exp(−300) is far from underflow, even
with shifts of the same size on top."""


class KernelState(Protocol):
    """What a kernel keeps from an evaluation, for Hessian products; belongs to certain classes."""

    def select(self, keep: torch.Tensor) -> KernelState:
        """The state of the classes where ``keep`` (bool) is true."""
        ...


class Kernel(Protocol):
    """Softmax averages for shifts ``t`` (k, C) of classes ``targets`` (k,); all float64."""

    def loss(self, t: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """F (k,)."""
        ...

    def evaluate(
        self, t: torch.Tensor, targets: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, KernelState]:
        """F (k,), p̄ (k, C), and the state for `hessian_product`."""
        ...

    def hessian_product(
        self, state: KernelState, mean_p: torch.Tensor, v: torch.Tensor
    ) -> torch.Tensor:
        """H_k v_k for each class: (k, C) from (k, C)."""
        ...


@dataclass(frozen=True)
class _FactoredState:
    scale: torch.Tensor  # (k, C): exp(t), relative to each class's largest
    inverse: torch.Tensor  # (N, k): 1 / Σ_c exp(z_nc + t_kc)

    def select(self, keep: torch.Tensor) -> _FactoredState:
        return _FactoredState(self.scale[keep], self.inverse[:, keep])


class FactoredKernel:
    """Averages by matrix products over E = exp(Z), of which ``keep`` bytes may be kept;
    ``checkpoint`` is called once per block.
    """

    def __init__(self, logits: LogitRows, checkpoint: Callable[[], None], keep: int) -> None:
        count, classes = logits.shape
        self._logits, self._checkpoint, self._count = logits, checkpoint, count
        self._mean_logit = torch.zeros(classes, dtype=torch.float64, device=logits.device)
        self._kept: torch.Tensor | None = None
        kept = None
        if 8 * count * classes <= keep:
            kept = torch.empty(logits.shape, dtype=torch.float64, device=logits.device)
        for rows in logits.blocks():
            checkpoint()
            relative = self._relative(rows)
            self._mean_logit += relative.sum(0) / count
            if kept is not None:
                torch.exp(relative, out=kept[rows])
        self._kept = kept

    def _relative(self, rows: slice) -> torch.Tensor:
        """Logits beside the largest of their image."""
        block = self._logits.block(rows)
        return block.sub_(block.amax(1, keepdim=True))

    def _blocks(self) -> Iterator[tuple[slice, torch.Tensor]]:
        """All of E, in parts."""
        for rows in self._logits.blocks():
            self._checkpoint()
            kept = self._kept
            yield rows, self._relative(rows).exp_() if kept is None else kept[rows]

    def _finish(
        self, log_sum: torch.Tensor, t: torch.Tensor, top: torch.Tensor, targets: torch.Tensor
    ) -> torch.Tensor:
        own = t.gather(1, targets[:, None])[:, 0]
        return log_sum / self._count + top - own - self._mean_logit[targets]

    def loss(self, t: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """F (k,)."""
        top = t.amax(1)
        scale = (t - top[:, None]).exp_().T.contiguous()
        log_sum = torch.zeros_like(top)
        for _, block in self._blocks():
            log_sum += (block @ scale).log_().sum(0)
        return self._finish(log_sum, t, top, targets)

    def evaluate(
        self, t: torch.Tensor, targets: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, _FactoredState]:
        """F (k,), p̄ (k, C), state."""
        top = t.amax(1)
        scale = (t - top[:, None]).exp_()
        transposed = scale.T.contiguous()
        log_sum, mean_p = torch.zeros_like(top), torch.zeros_like(t)
        inverse = t.new_empty(self._count, len(t))
        for rows, block in self._blocks():
            total = block @ transposed
            torch.reciprocal(total, out=inverse[rows])
            log_sum += total.log_().sum(0)
            mean_p += inverse[rows].T @ block
        mean_p.mul_(scale).div_(self._count)
        return self._finish(log_sum, t, top, targets), mean_p, _FactoredState(scale, inverse)

    def hessian_product(
        self, state: KernelState, mean_p: torch.Tensor, v: torch.Tensor
    ) -> torch.Tensor:
        """H_k v_k, (k, C)."""
        assert isinstance(state, _FactoredState)
        weighted = (state.scale * v).T.contiguous()
        second = torch.zeros_like(v)
        for rows, block in self._blocks():
            inverse = state.inverse[rows]
            second += (block @ weighted).mul_(inverse).mul_(inverse).T @ block
        return mean_p * v - second.mul_(state.scale).div_(self._count)


@dataclass(frozen=True)
class _DirectState:
    p: torch.Tensor  # (k, N, C)

    def select(self, keep: torch.Tensor) -> _DirectState:
        return _DirectState(self.p[keep])


class DirectKernel:
    """Averages from a softmax per class, exact at any scale of the logits."""

    def __init__(self, logits: LogitRows, checkpoint: Callable[[], None]) -> None:
        self._logits = logits.block(slice(None))
        self._checkpoint = checkpoint

    def _log_p(self, t: torch.Tensor) -> torch.Tensor:
        self._checkpoint()
        return torch.log_softmax(self._logits + t[:, None, :], -1)

    @staticmethod
    def _loss(log_p: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        return -log_p[torch.arange(len(targets), device=targets.device), :, targets].mean(1)

    def loss(self, t: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """F (k,)."""
        return self._loss(self._log_p(t), targets)

    def evaluate(
        self, t: torch.Tensor, targets: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, _DirectState]:
        """F (k,), p̄ (k, C), state."""
        log_p = self._log_p(t)
        loss = self._loss(log_p, targets)
        p = log_p.exp_()
        return loss, p.mean(1), _DirectState(p)

    def hessian_product(
        self, state: KernelState, mean_p: torch.Tensor, v: torch.Tensor
    ) -> torch.Tensor:
        """H_k v_k, (k, C)."""
        assert isinstance(state, _DirectState)
        self._checkpoint()
        along = state.p @ v[:, :, None]
        return mean_p * v - (state.p.transpose(1, 2) @ along)[:, :, 0] / len(self._logits)
