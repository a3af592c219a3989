"""Where a search starts: many changes are tried once, by forward passes alone, for all classes at
once.

A pass says of every class how close a change comes to it, so this costs the same for ten classes
and for a thousand. Local minima are what trigger inversion fails on, and starting points matter
more than steps.
"""

from __future__ import annotations

import torch

from bdshift.changes import ChangeKind, Params
from bdshift.recovery.scene import Scene
from bdshift.words import Sentence

_IMAGES = 6
_SLOPE_IMAGES = 24
_ALIKE = 2  # starting points from one group


def starting_points(
    kind: ChangeKind, scene: Scene, targets: torch.Tensor, seed: int
) -> tuple[torch.Tensor, Params]:
    """Classes int64 (S,) and parameters of the S starting points of ``targets`` int64 (T,)."""
    merit = _tried(kind, scene, targets, seed)
    owners, numbers = [], []
    for row, target in enumerate(targets.tolist()):
        for number in _chosen(kind, merit[:, row]):
            owners.append(target)
            numbers.append(number)
    params = kind.scout(torch.tensor(numbers), scene.side, seed)
    found = {key: value.to(scene.device) for key, value in params.items()}
    informed = kind.informed(_slopes(scene, targets))
    if informed is not None:
        owners += targets.tolist()
        found = {key: torch.cat((value, informed[key])) for key, value in found.items()}
    return torch.tensor(owners, device=scene.device), found


def _tried(kind: ChangeKind, scene: Scene, targets: torch.Tensor, seed: int) -> torch.Tensor:
    """Mean cross-entropy of every scout toward every target, over images of other classes; float32
    (`scouts`, T).
    """
    rows = scene.rows(_IMAGES, 0, seed)
    images, labels = scene.pixels[rows], scene.labels[rows]
    counted = (labels[:, None] != targets[None]).float()
    total = counted.sum(0).clamp_min(1)
    found = []
    with torch.no_grad():
        for numbers in torch.arange(kind.scouts).split(max(1, scene.batch // len(rows))):
            params = kind.scout(numbers, scene.side, seed)
            here = {key: value.to(scene.device) for key, value in params.items()}
            logits, _ = scene.run(kind.changed(here, images).flatten(0, 1))
            loss = -logits.log_softmax(1)[:, targets].view(len(numbers), len(rows), -1)
            found.append((loss * counted).sum(1) / total)
            done = int(numbers[-1]) + 1
            stage = Sentence("Trying starting points: {kind}", {"kind": Sentence(kind.label)})
            scene.job.progress(stage, done, kind.scouts, "changes")
    return torch.cat(found)


def _chosen(kind: ChangeKind, merit: torch.Tensor) -> list[int]:
    """The best scouts for one class, few of them alike."""
    chosen: list[int] = []
    groups: list[int] = []
    for number in merit.argsort(stable=True).tolist():
        if groups.count(kind.group(number)) < _ALIKE:
            chosen.append(number)
            groups.append(kind.group(number))
        if len(chosen) == kind.starts:
            break
    return chosen


def _slopes(scene: Scene, targets: torch.Tensor) -> torch.Tensor:
    """Mean gradient of each target's margin at the clean images, float32 (T, 3, s, s)."""
    images = scene.pixels[scene.rows(_SLOPE_IMAGES, 0, 0)]
    found = []
    for target in targets.tolist():
        scene.job.raise_if_canceled()
        leaf = images.clone().requires_grad_(True)
        logits, _ = scene.run(leaf)
        others = logits.clone()
        others[:, target] = -torch.inf
        margin = (logits[:, target] - others.amax(1)).sum()
        found.append(torch.autograd.grad(margin, leaf)[0].mean(0))
    return torch.stack(found)
