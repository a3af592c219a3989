"""A few waves added to every image: a sine as SIG's, or a smooth blend."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from bdshift.changes.kind import CHANGES, ChangeKind, Params, drawn
from bdshift.words import words

_AMPLITUDE = 0.15  # of a scout's wave, in units of [0, 1]
_SEED = 0.04  # root of the other waves at first: at zero, nothing pulls at them
_WAVES = 8  # half waves per direction among the scouts, and those in one direction up to twice that


@CHANGES.register
@dataclass(frozen=True)
class Frequency(ChangeKind):
    """x' = clip(x + DCT⁻¹(c)); c (3, s, s), its size is Σ|c|, so that few waves carry it.

    The parameters are the signed roots a, c = a·|a|: small waves then fade out instead of
    jittering around zero, and Σ|c| is smooth.

    Neither a mask nor an L2 ball finds SIG: its sine touches every pixel, and in the frequency
    domain it is one number.
    """

    name = "frequency"
    label = words("Sparse in frequency", ja="周波数で疎な変化")
    summary = words("Adds a few waves to every image.", ja="全画像に少数の波を加えます。")
    place = 30
    unit = words("L1 of the DCT coefficients", ja="DCT 係数の L1")
    scouts = 160
    starts = 3
    rate = 0.08
    weight = 0.03

    def scout(self, numbers: torch.Tensor, side: int, seed: int) -> Params:
        """One wave each: rows, columns and both, either sign, gray or in one random color."""
        found = torch.empty(len(numbers), 3, side, side)
        for row, number in enumerate(numbers.tolist()):
            rng = drawn(number, seed)
            found[row] = _SEED * torch.randn(3, side, side, generator=rng)
            along, sign = number % 4, 1 - 2 * (number // 4 % 2)
            most = min(side - 1, 2 * _WAVES)
            first, second = (1 + torch.randperm(most, generator=rng)[:2]).tolist()
            y, x = [(0, first), (first, 0), (first, second), (first // 2, second // 2 + 1)][along]
            color = torch.ones(3) if number // 8 % 2 else torch.randn(3, generator=rng).sign()
            found[row, :, y, x] = sign * color * _root(side, 2 if x and y else 1)
        return {"roots": found}

    def informed(self, slopes: torch.Tensor) -> Params:
        """The wave along which the margin is steepest in every channel."""
        basis = _dct(slopes.shape[-1]).to(slopes.device)
        waves = basis @ slopes @ basis.T
        flat = waves.abs().sum(1).flatten(1)
        flat[:, 0] = 0
        chosen = torch.zeros_like(flat).scatter_(1, flat.argmax(1, keepdim=True), 1.0)
        side = slopes.shape[-1]
        one = chosen.view(-1, 1, side, side) * _root(side, 1)
        return {"roots": waves.sign() * (one + _SEED)}

    def changed(self, params: Params, images: torch.Tensor) -> torch.Tensor:
        """See `ChangeKind`."""
        return (images[None] + _pattern(params)[:, None]).clamp(0, 1)

    def size(self, params: Params) -> torch.Tensor:
        """Σ|c| over all waves and channels."""
        return params["roots"].square().flatten(1).sum(1)

    def picture(self, params: Params) -> torch.Tensor:
        """The pattern on gray, as strong as it can be shown."""
        pattern = _pattern(params)
        return 0.5 + 0.5 * pattern / pattern.abs().amax((1, 2, 3), keepdim=True).clamp_min(1e-12)

    def strength(self, params: Params) -> torch.Tensor:
        """The largest change of a channel, relative to that of the whole image."""
        pattern = _pattern(params).abs().amax(1)
        return pattern / pattern.amax((1, 2), keepdim=True).clamp_min(1e-12)

    def scaled(self, params: Params, factor: float) -> Params:
        """The coefficients times ``factor``."""
        return {"roots": params["roots"] * math.sqrt(factor)}


def _pattern(params: Params) -> torch.Tensor:
    """The waves as pixels, (S, 3, s, s)."""
    roots = params["roots"]
    basis = _dct(roots.shape[-1]).to(roots.device)
    return basis.T @ (roots * roots.abs()) @ basis


def _root(side: int, directions: int) -> float:
    """The root of the coefficient of a wave of `_AMPLITUDE`, in one or two directions."""
    return math.sqrt(_AMPLITUDE * side / math.sqrt(2 * directions))


def _dct(side: int) -> torch.Tensor:
    """The orthonormal DCT-II as a matrix (s, s); row k is a wave of k half periods."""
    k, i = torch.arange(side)[:, None], torch.arange(side)[None]
    basis = (math.pi * (i + 0.5) * k / side).cos() * math.sqrt(2 / side)
    basis[0] /= math.sqrt(2)
    return basis
