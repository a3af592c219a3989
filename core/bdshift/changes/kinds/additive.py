"""The same pattern added to every image: what a blended picture leaves."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch.nn import functional

from bdshift.changes.kind import CHANGES, ChangeKind, Params, drawn
from bdshift.words import words

_AMPLITUDE = 0.1  # of a scout, in units of [0, 1]
_GRAINS = (1, 2, 4, 8)  # pixels of a scout's patches, in images of 32 pixels


@CHANGES.register
@dataclass(frozen=True)
class Additive(ChangeKind):
    """x' = clip(x + δ); δ (3, s, s), its size is ‖δ‖₂."""

    name = "additive"
    label = words("Additive pattern", ja="加算パターン")
    summary = words("Adds the same pattern to every image.", ja="全画像に同じ模様を加えます。")
    place = 20
    unit = words("L2 of the change", ja="変化の L2")
    scouts = 96
    starts = 1
    rate = 0.02
    isotropic = True
    weight = 0.1

    def scout(self, numbers: torch.Tensor, side: int, seed: int) -> Params:
        """Noise of four grains, in color."""
        found = []
        for number in numbers.tolist():
            grain = max(1, round(_GRAINS[number % len(_GRAINS)] * side / 32))
            coarse = torch.randn(1, 3, -(-side // grain), -(-side // grain),
                                 generator=drawn(number, seed))  # fmt: skip
            fine = functional.interpolate(coarse, (side, side), mode="bilinear")
            found.append(_AMPLITUDE * fine / fine.square().mean().sqrt())
        return {"delta": torch.cat(found)}

    def informed(self, slopes: torch.Tensor) -> Params:
        """Along the gradient of the margin."""
        size = slopes.flatten(1).square().mean(1).sqrt().clamp_min(1e-12)
        return {"delta": _AMPLITUDE * slopes / size.view(-1, 1, 1, 1)}

    def changed(self, params: Params, images: torch.Tensor) -> torch.Tensor:
        """See `ChangeKind`."""
        return (images[None] + params["delta"][:, None]).clamp(0, 1)

    def size(self, params: Params) -> torch.Tensor:
        """‖δ‖₂ over all pixels and channels, in units of [0, 1]."""
        return params["delta"].flatten(1).square().sum(1).add(1e-12).sqrt()

    def picture(self, params: Params) -> torch.Tensor:
        """δ on gray, as strong as it can be shown."""
        delta = params["delta"]
        largest = delta.abs().amax((1, 2, 3), keepdim=True).clamp_min(1e-12)
        return 0.5 + 0.5 * delta / largest

    def strength(self, params: Params) -> torch.Tensor:
        """The largest change of a channel, relative to that of the whole image."""
        delta = params["delta"].abs().amax(1)
        return delta / delta.amax((1, 2), keepdim=True).clamp_min(1e-12)

    def scaled(self, params: Params, factor: float) -> Params:
        """δ times ``factor``."""
        return {"delta": params["delta"] * factor}
