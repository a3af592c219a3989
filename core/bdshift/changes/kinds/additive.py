"""The same small number added to every image's pixels: what a blended pattern looks like."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from bdshift.changes.kind import CHANGES, Canvas, ChangeKind, Params, noise
from bdshift.words import words


@CHANGES.register
@dataclass(frozen=True)
class Additive(ChangeKind):
    """x' = clip(x + δ); δ (3, s, s), its size is ‖δ‖₂."""

    name = "additive"
    label = words("Additive pattern", ja="加算パターン")
    summary = words("Adds the same pattern to every image.", ja="全画像に同じ模様を加えます。")
    place = 20
    unit = words("L2 of the change", ja="変化の L2")
    starts = 2
    rate = 0.02
    weight = 1e-2

    def begin(self, targets: torch.Tensor, start: int, canvas: Canvas, seed: int) -> Params:
        """From noise, or along the gradient of the margin."""
        shape = (len(targets), 3, canvas.side, canvas.side)
        delta = noise(shape, seed + start, canvas.device)
        if start:
            delta = canvas.slopes[targets] + 1e-12 * delta
        length = delta.flatten(1).norm(dim=1).view(-1, 1, 1, 1)
        return {"delta": delta / length}

    def changed(self, params: Params, images: torch.Tensor) -> torch.Tensor:
        """See `ChangeKind`."""
        return (images[None] + params["delta"][:, None]).clamp(0, 1)

    def size(self, params: Params) -> torch.Tensor:
        """‖δ‖₂ over all pixels and channels, in units of [0, 1]."""
        return params["delta"].flatten(1).square().sum(1).add(1e-12).sqrt()

    def whole(self, side: int) -> float:
        """Half of the range of every pixel."""
        return 0.5 * side * 3**0.5

    def picture(self, params: Params) -> torch.Tensor:
        """δ on gray, as strong as it can be shown."""
        delta = params["delta"]
        largest = delta.abs().amax((1, 2, 3), keepdim=True).clamp_min(1e-12)
        return 0.5 + 0.5 * delta / largest

    def strength(self, params: Params) -> torch.Tensor:
        """The largest change of a channel, relative to that of the whole image."""
        delta = params["delta"].abs().amax(1)
        return delta / delta.amax((1, 2), keepdim=True).clamp_min(1e-12)

    def trimmed(self, params: Params, share: float) -> Params:
        """δ times ``share``."""
        return {"delta": params["delta"] * share}
