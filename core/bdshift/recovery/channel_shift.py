"""Eq. 4 asked of an earlier layer: the smallest shift of its channels that sends images to a class.

A shift is one number for each channel, the same at all positions and for all images. Behind an
earlier layer the network is not linear, so nothing is proven here: each class follows its gradient
within a ball, whose radius shrinks while the loss is below α and grows while it is not.
"""

from __future__ import annotations

import torch
from torch.nn import functional

from bdshift.recovery.layers import MapLayer
from bdshift.recovery.scene import Scene
from bdshift.words import Sentence, words

_STAGE = words("Shifts at layer {layer}", ja="層 {layer} でのシフト")
_IMAGES = 8  # of a step
_FIRST, _LARGEST = 0.7, 10.0  # radii, relative to the spread of the layer's maps
_MOMENTUM = 0.8
_LOSS_MEMORY = 0.6
_RESIZE = 0.12  # of the radius in the first step; it falls to a sixth of that
_STRIDE = 0.43  # of the radius in the first step; it falls to 0.03
_AVERAGED = 0.25  # share of the steps, the last ones, whose radii are averaged


def channel_shifts(
    scene: Scene, layer: MapLayer, targets: torch.Tensor, *, alpha: float, steps: int, seed: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """The size of the shift of each class of ``targets`` int64 (T,), float32 (T,), and the shifts,
    float32 (T, channels), in units of the maps.

    A size is the L2 norm, relative to that of the channels' standard deviations over the clean
    images; 10 stands for shifts that are larger or do not exist.
    """
    maps = layer.maps(scene, torch.arange(len(scene.labels), device=scene.device))
    spread = maps.transpose(0, 1).flatten(1).std(1).norm().clamp_min(1e-12)
    shift = maps.new_zeros((len(targets), maps.shape[1]))
    pull = torch.zeros_like(shift)
    radius = shift.new_full((len(targets), 1), _FIRST)
    running = None
    late = []
    for step in range(steps):
        rows = scene.rows(_IMAGES, step, seed)
        loss, slope = _slope(scene, layer, maps[rows], scene.labels[rows], targets, shift)
        left = 1 - step / steps
        pull = _MOMENTUM * pull + functional.normalize(slope)
        stride = (0.03 + (_STRIDE - 0.03) * left) * radius * spread
        shift = shift - stride * functional.normalize(pull)
        running = loss if running is None else torch.lerp(loss, running, _LOSS_MEMORY)
        change = _RESIZE * (1 + 5 * left) / 6
        reached = (running <= alpha)[:, None]
        radius = (radius * torch.where(reached, 1 - change, 1 + change)).clamp_max(_LARGEST)
        length = shift.norm(dim=1, keepdim=True).clamp_min(1e-12)
        shift = shift * (radius * spread / length).clamp_max(1)
        if step >= (1 - _AVERAGED) * steps:
            late.append(radius[:, 0].log())
        stage = Sentence(_STAGE, {"layer": layer.name})
        scene.job.progress(stage, step + 1, steps, "steps")
    size = torch.stack(late).mean(0).exp()
    return size, functional.normalize(shift) * (size * spread)[:, None]


def _slope(
    scene: Scene,
    layer: MapLayer,
    maps: torch.Tensor,
    labels: torch.Tensor,
    targets: torch.Tensor,
    shift: torch.Tensor,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean cross-entropy over images of other classes, float32 (T,), and its gradient."""
    losses: list[torch.Tensor] = []
    slopes: list[torch.Tensor] = []
    for part in torch.arange(len(targets), device=maps.device).split(
        max(1, scene.batch // len(labels))
    ):
        leaf = shift[part].requires_grad_(True)
        moved = maps[None] + leaf[:, None, :, None, None]
        logits, _ = layer.run(scene, moved.flatten(0, 1))
        wanted = targets[part].repeat_interleave(len(labels))
        counted = (labels[None] != targets[part, None]).float()
        each = functional.cross_entropy(logits, wanted, reduction="none").view(counted.shape)
        loss = (each * counted).sum(1) / counted.sum(1).clamp_min(1)
        slopes += torch.autograd.grad(loss.sum(), leaf)
        losses.append(loss.detach())
    return torch.cat(losses), torch.cat(slopes)
