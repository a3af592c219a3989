"""A smooth bend that is the same for all images: what WaNet (Nguyen and Tran, 2021) teaches."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import torch
from torch.nn import functional

from bdshift.changes.kind import CHANGES, ChangeKind, Params, drawn
from bdshift.words import words

_GRID = 5  # control points per side
_BENDS = (0.5, 1.0, 2.0)  # pixels: how far scouts move the pixels of an image of 32×32
_SQUARES = 8  # per side of the checkerboard that shows a bend


@CHANGES.register
@dataclass(frozen=True)
class WarpField(ChangeKind):
    """x'(p) = x(p + field(p)); the field (2, s, s), in pixels, is made as smooth as 5×5 control
    points that are enlarged bicubically: it is projected onto these.

    Beyond the edge the image goes on as at its edge. Projecting and interpolating are products and
    look-ups, whose gradients are the same on every run; those of PyTorch's own are not, on a GPU.
    """

    name = "warp"
    label = words("Warp", ja="歪み")
    summary = words("Bends every image a little, in the same way.",
                    ja="全画像を同じように、わずかに歪めます。")  # fmt: skip
    place = 40
    unit = words("pixels moved", ja="移動量（ピクセル）")
    scouts = 96
    starts = 3
    rate = 0.05
    isotropic = True
    weight = 0.05

    def scout(self, numbers: torch.Tensor, side: int, seed: int) -> Params:
        """Random bends of three strengths."""
        found = []
        basis = _basis(side)
        for number in numbers.tolist():
            points = torch.randn(2, basis.shape[1], basis.shape[1], generator=drawn(number, seed))
            field = basis @ points @ basis.T
            length = field.square().sum(0).mean().sqrt().clamp_min(1e-12)
            found.append(_BENDS[number % len(_BENDS)] * side / 32 / length * field)
        return {"field": torch.stack(found)}

    def changed(self, params: Params, images: torch.Tensor) -> torch.Tensor:
        """See `ChangeKind`."""
        return _bent(images, _smooth(params))

    def size(self, params: Params) -> torch.Tensor:
        """Root mean square of how far a pixel moves, in pixels."""
        return _smooth(params).square().sum(1).flatten(1).mean(1).add(1e-12).sqrt()

    def picture(self, params: Params) -> torch.Tensor:
        """A checkerboard, bent so much more that it can be seen: by half a square at most."""
        field = _smooth(params)
        side = field.shape[-1]
        most = field.square().sum(1).amax((1, 2)).sqrt().clamp_min(1e-12)
        field = field * (side / _SQUARES / 2 / most)[:, None, None, None]
        square = torch.arange(side, device=field.device) * _SQUARES // side
        board = 0.25 + 0.5 * ((square[:, None] + square) % 2).float()
        return _bent(board.expand(1, 3, side, side), field)[:, 0]

    def strength(self, params: Params) -> torch.Tensor:
        """How far each pixel moves, relative to the one that moves furthest."""
        length = _smooth(params).square().sum(1).sqrt()
        return length / length.amax((1, 2), keepdim=True).clamp_min(1e-12)

    def scaled(self, params: Params, factor: float) -> Params:
        """The same bend, ``factor`` as far."""
        return {"field": params["field"] * factor}


def _smooth(params: Params) -> torch.Tensor:
    """How far each pixel of an image moves across and down, in pixels: (S, 2, s, s)."""
    field = params["field"]
    basis = _basis(field.shape[-1]).to(field.device)
    return basis @ (basis.T @ field @ basis) @ basis.T


@cache
def _basis(side: int) -> torch.Tensor:
    """Orthonormal columns that span what control points give along a side: (side, up to 5)."""
    unit = torch.eye(_GRID).view(_GRID, 1, _GRID, 1)
    enlarged = functional.interpolate(unit, (side, 1), mode="bicubic", align_corners=True)
    return torch.linalg.qr(enlarged.view(_GRID, side).T)[0]


def _bent(images: torch.Tensor, field: torch.Tensor) -> torch.Tensor:
    """Images (n, 3, s, s) along S fields: (S, n, 3, s, s), interpolated bilinearly."""
    side, slots = images.shape[-1], len(field)
    place = torch.arange(side, device=images.device, dtype=field.dtype)
    across = (place + field[:, 0]).clamp(0, side - 1)
    down = (place[:, None] + field[:, 1]).clamp(0, side - 1)
    left, top = (where.detach().floor().long().clamp_max(side - 2) for where in (across, down))
    right_share, bottom_share = across - left, down - top
    pixels = images.flatten(2)

    def at(rows: torch.Tensor, columns: torch.Tensor) -> torch.Tensor:
        place = rows.clamp_min(0) * side + columns.clamp_min(0)  # of a single pixel, there is no −1
        found = pixels[:, :, place.flatten()]
        return found.view(*images.shape[:2], slots, side, side)

    upper = torch.lerp(at(top, left), at(top, left + 1), right_share)
    lower = torch.lerp(at(top + 1, left), at(top + 1, left + 1), right_share)
    return torch.lerp(upper, lower, bottom_share).permute(2, 0, 1, 3, 4)
