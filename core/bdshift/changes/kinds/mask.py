"""A mask and a pattern, as in Neural Cleanse (Wang et al., 2019)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch.nn import functional

from bdshift.changes.kind import CHANGES, ChangeKind, Params, drawn
from bdshift.words import words

_FAINT, _CLEAR = -4.0, 2.5  # logits of the mask outside and inside a block
_VIVID = 3.0  # logit of a pattern's bright pixels: gray ones excite too little to begin with
_PLACES = 9
_EACH = 48  # patterns at every place
_GRAINS = (1, 1, 2, 3)  # pixels of a pattern's squares, in images of 32 pixels


@CHANGES.register
@dataclass(frozen=True)
class Mask(ChangeKind):
    """x' = (1 − m)·x + m·p; m (1, s, s) and p (3, s, s) are in [0, 1].

    Neural Cleanse starts once, from gray noise under a mask over everything, and often ends in a
    local minimum: where a trigger is a fine, vivid pattern, the loss has no slope toward it. So
    blocks of random vivid squares are tried first, a third of the image wide, at nine places.
    """

    name = "mask"
    label = words("Mask and pattern", ja="マスクとパターン")
    summary = words("Covers a few pixels with a pattern.", ja="少数のピクセルを模様で覆います。")
    place = 10
    unit = words("pixels covered", ja="覆うピクセル数")
    scouts = _PLACES * _EACH
    starts = 6
    rate = 0.2
    weight = 1e-2
    covers = True

    def scout(self, numbers: torch.Tensor, side: int, seed: int) -> Params:
        """Blocks of random squares in eight colors, or in black and white."""
        masks = torch.full((len(numbers), 1, side, side), _FAINT)
        patterns = torch.zeros(len(numbers), 3, side, side)
        for row, number in enumerate(numbers.tolist()):
            top, left, width = _block(self.group(number), side)
            grain = max(1, round(_GRAINS[number % len(_GRAINS)] * side / 32))
            count = -(-width // grain)
            planes = 3 if number % 2 else 1
            squares = torch.rand(planes, count, count, generator=drawn(number, seed)) > 0.5
            fine = squares.repeat_interleave(grain, 1).repeat_interleave(grain, 2)
            block = slice(top, top + width), slice(left, left + width)
            masks[row, :, *block] = _CLEAR
            patterns[row, :, *block] = _VIVID * (2 * fine[:, :width, :width].float() - 1)
        return {"mask": masks, "pattern": patterns}

    def group(self, number: int) -> int:
        """The place."""
        return number // _EACH

    def informed(self, slopes: torch.Tensor) -> Params:
        """A block where the margin is steepest, in the direction of its gradient."""
        steep = _peaks(slopes.abs().sum(1, keepdim=True))
        return {"mask": steep, "pattern": _VIVID * slopes.sign()}

    def changed(self, params: Params, images: torch.Tensor) -> torch.Tensor:
        """See `ChangeKind`."""
        mask, pattern = (params[key].sigmoid()[:, None] for key in ("mask", "pattern"))
        return images[None] * (1 - mask) + mask * pattern

    def size(self, params: Params) -> torch.Tensor:
        """Σ m, in pixels."""
        return params["mask"].sigmoid().flatten(1).sum(1)

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

    def scaled(self, params: Params, factor: float) -> Params:
        """The mask times ``factor``: the same pattern, fainter or clearer."""
        if factor == 1:
            return params
        mask = (params["mask"].sigmoid() * factor).clamp(1e-6, 1 - 1e-6)
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


def _block(place: int, side: int) -> tuple[int, int, int]:
    """Top, left and width of a block: three rows of three, the lower right one first."""
    width = max(2, round(side / 3.2))
    ends = side - width, 0, (side - width) // 2
    return ends[place // 3], ends[place % 3], width
