"""Pixels made brighter or darker, without a mask (Pixel, Tao et al., 2022)."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from bdshift.changes.kind import CHANGES, ChangeKind, Params, drawn
from bdshift.changes.kinds.mask import Mask
from bdshift.words import words

_COUNTED = 10 / 255  # a change that counts as tanh(1) = 0.76 of a pixel
_BEGIN = 0.01  # of the noise on the pixels outside a scout's block
_BRIGHTER = 0.5  # of those within it
_STEEP = 0.3  # of the pixel where the margin is steepest


@CHANGES.register
@dataclass(frozen=True)
class Pixels(ChangeKind):
    """x' = clip(x + clip(p⁺) − clip(p⁻)); p⁺ and p⁻ (3, s, s) are clipped to [0, 1], so that most
    pixels can be left exactly as they are; one that is left stays so. The size counts pixels, each
    by tanh(25.5·its largest change).
    """

    name = "pixels"
    label = words("Signed pixels", ja="符号付きピクセル")
    summary = words("Makes a few pixels brighter or darker.",
                    ja="少数のピクセルを明るく、または暗くします。")  # fmt: skip
    place = 50
    unit = words("pixels changed", ja="変化したピクセル数")
    scouts = Mask.scouts
    rate = 0.1
    weight = 1e-2

    def scout(self, numbers: torch.Tensor, side: int, seed: int) -> Params:
        """The blocks that a mask begins from, added to the image, and faint noise everywhere."""
        blocks = Mask().scout(numbers, side, seed)
        signs = (blocks["mask"] > 0) * blocks["pattern"].sign()
        noise = [torch.rand(2, 3, side, side, generator=drawn(one, seed))
                 for one in numbers.tolist()]  # fmt: skip
        up, down = (_BEGIN * torch.stack(noise)).unbind(1)
        return {"up": up + _BRIGHTER * signs, "down": down - _BRIGHTER * signs}

    def group(self, number: int) -> int:
        """The place of the block."""
        return Mask().group(number)

    def informed(self, slopes: torch.Tensor) -> Params:
        """Along the gradient of the margin."""
        most = slopes.abs().amax((1, 2, 3), keepdim=True).clamp_min(1e-12)
        return {"up": _STEEP * slopes / most, "down": -_STEEP * slopes / most}

    def changed(self, params: Params, images: torch.Tensor) -> torch.Tensor:
        """See `ChangeKind`."""
        added = params["up"].clamp(0, 1) - params["down"].clamp(0, 1)
        return (images[None] + added[:, None]).clamp(0, 1)

    def size(self, params: Params) -> torch.Tensor:
        """Smooth count of the pixels that are changed."""
        added = params["up"].clamp(0, 1), params["down"].clamp(0, 1)
        most = torch.maximum(*added).amax(1)
        return torch.tanh(most / _COUNTED).flatten(1).sum(1)

    def picture(self, params: Params) -> torch.Tensor:
        """The change on gray."""
        return 0.5 + 0.5 * (params["up"].clamp(0, 1) - params["down"].clamp(0, 1))

    def strength(self, params: Params) -> torch.Tensor:
        """The largest change of a channel."""
        return (params["up"].clamp(0, 1) - params["down"].clamp(0, 1)).abs().amax(1)

    def scaled(self, params: Params, factor: float) -> Params:
        """All changes times ``factor``: the same pixels, changed less."""
        if factor == 1:
            return params
        return {key: value.clamp(max=1) * factor for key, value in params.items()}
