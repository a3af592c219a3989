"""One mask and one pattern, parametrized by tanh as in Neural Cleanse and in DECREE."""

from __future__ import annotations

import torch

from bdshift.recovery.scene import Scene

_EPSILON = 1e-7  # keeps tanh and its inverse finite
_LARGEST = 2**27  # numbers in all images together: half a GiB


class TanhMask:
    """A mask m (1, s, s) and a pattern p (3, s, s), both in (0, 1), for images in [0, 1]; they
    begin with uniform random values.
    """

    def __init__(self, side: int, rng: torch.Generator, device: torch.device) -> None:
        self._mask = _free(torch.rand(1, side, side, generator=rng)).to(device)
        self._pattern = _free(torch.rand(3, side, side, generator=rng)).to(device)
        self._free = [self._pattern.requires_grad_(True), self._mask.requires_grad_(True)]
        self._first, self._second = ([torch.zeros_like(one) for one in self._free] for _ in "12")
        self._steps = 0

    @property
    def mask(self) -> torch.Tensor:
        """With its gradient."""
        return torch.tanh(self._mask) / (2 - _EPSILON) + 0.5

    @property
    def pattern(self) -> torch.Tensor:
        """With its gradient."""
        return torch.tanh(self._pattern) / (2 - _EPSILON) + 0.5

    def step(self, loss: torch.Tensor, rate: float) -> None:
        """A step of Adam with β = (.5, .9) down the loss, as in both papers. (`torch.optim` takes
        seconds to import what its first step needs.)
        """
        self._steps += 1
        gradients = torch.autograd.grad(loss, self._free)
        parts = zip(self._free, gradients, self._first, self._second, strict=True)
        with torch.no_grad():
            for free, gradient, first, second in parts:
                first.lerp_(gradient, 0.5)
                second.lerp_(gradient.square(), 0.1)
                spread = (second / (1 - 0.9**self._steps)).sqrt_().add_(1e-8)
                free.sub_(first / (1 - 0.5**self._steps) / spread, alpha=rate)


def painted(images: torch.Tensor, mask: torch.Tensor, pattern: torch.Tensor) -> torch.Tensor:
    """Images (n, 3, s, s) with the pattern where the mask is."""
    return (1 - mask) * images + mask * pattern


@torch.no_grad()
def share_sent(scene: Scene, mask: torch.Tensor, pattern: torch.Tensor) -> torch.Tensor:
    """Share of the images of other classes that the pattern sends to each class, float32 (C,); NaN
    where the scene has only images of that class.
    """
    sent = []
    for rows in torch.arange(len(scene.labels), device=scene.device).split(scene.batch):
        scene.job.raise_if_canceled()
        sent.append(scene.run(painted(scene.pixels[rows], mask, pattern))[0].argmax(1))
    to = torch.cat(sent)
    others = scene.labels[:, None] != torch.arange(scene.classes, device=scene.device)
    hits = (to[:, None] == torch.arange(scene.classes, device=scene.device)) & others
    return hits.sum(0) / others.sum(0)


def images_that_fit(count: int, side: int) -> int:
    """``count``, or fewer where images of this size would take too much memory."""
    return max(1, min(count, _LARGEST // (3 * side * side)))


def _free(values: torch.Tensor) -> torch.Tensor:
    return torch.atanh((values - 0.5) * (2 - _EPSILON))
