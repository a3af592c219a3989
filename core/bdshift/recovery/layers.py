"""The maps inside a network that everything has to pass through, and the rest of the network from
there on.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from bdshift.checkpoints.classifier import to_head
from bdshift.devices import autocast
from bdshift.recovery.scene import Scene

_MOST_LAYERS = 4  # layers, the last ones
_TRIED = 4  # images that show whether all passes through a layer
_ALIKE = 0.02  # bfloat16 rounds by up to 0.004: relative error of their logits or embeddings


@dataclass(frozen=True)
class MapLayer:
    """A module whose maps are all that the rest of the network gets to see.

    Attributes:
        name: path of the module in the network.
        shape: of its maps: channels, height and width.
    """

    name: str
    shape: tuple[int, int, int]

    def maps(self, scene: Scene, rows: torch.Tensor) -> torch.Tensor:
        """Its output, float32 (n, *shape), for some of the scene's images."""
        caught: list[torch.Tensor] = []
        module = scene.classifier.network.get_submodule(self.name)
        with torch.no_grad():
            for part in rows.split(scene.batch):
                hook = module.register_forward_hook(
                    lambda _, inputs, output: caught.append(output.float().clone())
                )
                try:
                    scene.run(scene.pixels[part])
                finally:
                    hook.remove()
        return torch.cat(caught)

    def run(self, scene: Scene, maps: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Logits (n, C) and φ (n, d), float32, of maps (n, *shape), with gradients if enabled.

        The layers before it run on a single image: nothing of that is seen behind this one.
        """
        module = scene.classifier.network.get_submodule(self.name)
        hook = module.register_forward_hook(lambda _, inputs, output: maps.to(output.dtype))
        one = scene.classifier
        image = scene.pixels[:1]
        try:
            with autocast(scene.device, scene.precision):
                caught, _ = to_head(one.network, one.head, one.preprocessing(image * 255.0))
        finally:
            hook.remove()
        phi = caught[0].float()
        scene.count(len(maps))
        return torch.addmm(one.bias.to(scene.device), phi, one.weight.to(scene.device).T), phi


def layers_of(scene: Scene) -> tuple[MapLayer, ...]:
    """Of each size of the maps the last layer that everything passes through, from the first to the
    last; at most four. A layer whose mean over all positions is φ itself is left out.

    Networks that have no such layer, as those of vectors, give ().
    """
    found = []
    for group in _by_size(scene):
        layer = next((one for one in reversed(group) if _is_all(scene, one)), None)
        if layer is not None and not _is_embedding(scene, layer):
            found.append(layer)
    return tuple(found[-_MOST_LAYERS:])


def _by_size(scene: Scene) -> list[list[MapLayer]]:
    """Modules that are called once and return maps, in the order in which they end, by the size of
    their maps.
    """
    seen: dict[str, list[torch.Size]] = {}

    def note(name: str, output: object) -> None:
        shape = output.shape if isinstance(output, torch.Tensor) else torch.Size()
        seen.setdefault(name, []).append(shape)

    hooks = [
        module.register_forward_hook(lambda _, inputs, output, name=name: note(name, output))
        for name, module in scene.classifier.network.named_modules()
        if name
    ]
    try:
        with torch.no_grad():
            scene.run(scene.pixels[:1])
    finally:
        for hook in hooks:
            hook.remove()
    groups: dict[tuple[int, int], list[MapLayer]] = {}
    for name, shapes in seen.items():
        if len(shapes) == 1 and len(shapes[0]) == 4 and shapes[0][2] * shapes[0][3] > 1:
            _, channels, height, width = shapes[0]
            groups.setdefault((height, width), []).append(MapLayer(name, (channels, height, width)))
    return list(groups.values())


def _is_all(scene: Scene, layer: MapLayer) -> bool:
    """Whether the maps of some images give their logits, whatever image ran up to there."""
    rows = torch.arange(min(_TRIED, len(scene.labels)), device=scene.device).flip(0)
    with torch.no_grad():
        try:
            logits, _ = layer.run(scene, layer.maps(scene, rows))
        except (RuntimeError, IndexError):  # the network remembers how many images there were
            return False
        expected, _ = scene.run(scene.pixels[rows])
    return logits.shape == expected.shape and _same(logits, expected)


def _is_embedding(scene: Scene, layer: MapLayer) -> bool:
    rows = torch.arange(min(_TRIED, len(scene.labels)), device=scene.device)
    mean = layer.maps(scene, rows).mean((2, 3))
    return mean.shape == scene.phi[rows].shape and _same(mean, scene.phi[rows])


def _same(left: torch.Tensor, right: torch.Tensor) -> bool:
    return bool((left - right).norm() <= _ALIKE * right.norm().clamp_min(1e-12))
