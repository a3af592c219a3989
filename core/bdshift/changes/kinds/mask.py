"""A mask and a pattern, as in Neural Cleanse (Wang et al., 2019)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch.nn import functional

from bdshift.changes.kind import CHANGES, Canvas, ChangeKind, Params, noise
from bdshift.words import words

_FAINT, _CLEAR = -4.0, 0.5  # logits of the mask outside and inside a starting blob


@CHANGES.register
@dataclass(frozen=True)
class Mask(ChangeKind):
    """x' = (1 − m)·x + m·p; m (1, s, s) and p (3, s, s) are in [0, 1].

    Neural Cleanse starts once, from noise, and often ends in a local minimum. Here the first start
    is noise, the second is where the gradient of the margin is largest, and the others are blobs in
    the corners and in the middle.
    """

    name = "mask"
    label = words("Mask and pattern", ja="マスクとパターン")
    summary = words("Covers a few pixels with a pattern.", ja="少数のピクセルを模様で覆います。")
    place = 10
    unit = words("pixels covered", ja="覆うピクセル数")
    starts = 7
    rate = 0.2
    weight = 1e-3
    covers = True

    def begin(self, targets: torch.Tensor, start: int, canvas: Canvas, seed: int) -> Params:
        """See `ChangeKind`."""
        count, side, device = len(targets), canvas.side, canvas.device
        pattern = 0.5 * noise((count, 3, side, side), seed + 2 * start, device)
        if start == 0:
            mask = -2 + 0.3 * noise((count, 1, side, side), seed + 1, device)
        elif start == 1:
            slopes = canvas.slopes[targets]
            mask = _peaks(slopes.abs().sum(1, keepdim=True))
            pattern = pattern + 2 * slopes.sign()
        else:
            mask = torch.full((count, 1, side, side), _FAINT, device=device)
            rows, columns = _block(start - 2, side)
            mask[:, :, rows, columns] = _CLEAR
        return {"mask": mask, "pattern": pattern}

    def changed(self, params: Params, images: torch.Tensor) -> torch.Tensor:
        """See `ChangeKind`."""
        mask, pattern = (params[key].sigmoid()[:, None] for key in ("mask", "pattern"))
        return images[None] * (1 - mask) + mask * pattern

    def size(self, params: Params) -> torch.Tensor:
        """Σ m, in pixels."""
        return params["mask"].sigmoid().flatten(1).sum(1)

    def whole(self, side: int) -> float:
        """The whole image."""
        return float(side * side)

    def picture(self, params: Params) -> torch.Tensor:
        """The pattern through its mask, on gray."""
        mask, pattern = (params[key].sigmoid() for key in ("mask", "pattern"))
        return 0.5 * (1 - mask) + mask * pattern

    def strength(self, params: Params) -> torch.Tensor:
        """The mask."""
        return params["mask"].sigmoid()[:, 0]

    def overlay(self, params: Params) -> torch.Tensor:
        """The pattern, as opaque as the mask says."""
        return torch.cat([params[key].sigmoid() for key in ("pattern", "mask")], 1)

    def trimmed(self, params: Params, share: float) -> Params:
        """M times ``share``: the same pattern, fainter."""
        mask = (params["mask"].sigmoid() * share).clamp(1e-6, 1 - 1e-6)
        return {**params, "mask": mask.logit()}


def _peaks(strength: torch.Tensor) -> torch.Tensor:
    """Logits of masks (S, 1, s, s) around the place where the smoothed ``strength`` is largest."""
    side = strength.shape[-1]
    width = max(3, side // 4) | 1
    smooth = functional.avg_pool2d(strength, width, 1, width // 2)
    best = smooth.flatten(1).argmax(1)
    rows, columns = best // side, best % side
    grid = torch.arange(side, device=strength.device)
    near_row = (grid[None] - rows[:, None]).abs() <= width // 2
    near_column = (grid[None] - columns[:, None]).abs() <= width // 2
    inside = near_row[:, None, :, None] & near_column[:, None, None, :]
    return torch.where(inside, _CLEAR, _FAINT)


def _block(number: int, side: int) -> tuple[slice, slice]:
    """One of the four corners, or the middle; a third of the image wide."""
    width = max(2, round(side / 3.2))
    low, high = slice(0, width), slice(side - width, side)
    middle = slice((side - width) // 2, (side + width) // 2)
    return [(high, high), (low, low), (low, high), (high, low), (middle, middle)][number]
