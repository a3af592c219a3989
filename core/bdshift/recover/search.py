"""The smallest change that sends images to a class: of one kind, for all classes and all starting
points in one graph.

Each slot, a class and a starting point, minimizes

    mean CE(f(x'), t) + λ·size + w·(1 − cos(mean Δφ, s_t))

over images of other classes by Adam. λ rises while the change works, on a running mean of its
hits, and falls while it does not, so the size ends at the edge of what works (Neural Cleanse, from
far fewer steps). The last term, if a guide is given, asks that the embedding moves along the
class's embedding shift (Eq. 4). After a while only the best starting points of each class go on.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch.nn import functional

from bdshift.changes.kind import Canvas, ChangeKind, Params
from bdshift.recover.scene import Scene
from bdshift.words import Sentence

_WORKS = 0.85  # running mean of the hits from which a change counts as working
_MEMORY = 0.7  # of the running mean
_UP, _DOWN = 1.3, 0.7  # how λ changes in a step
_LEAST_WEIGHT, _MOST_WEIGHT = 1e-5, 10.0
_SLOPE_IMAGES = 32


@dataclass(frozen=True)
class Plan:
    """How long a search takes.

    Attributes:
        steps: of Adam in all.
        sift: steps after which only `kept` starting points of each class go on.
        kept: how many those are.
        images, sifting_images: of each step, afterward and until then.
        guide: weight w of the embedding shift in the loss; 0 for none.
    """

    steps: int = 100
    sift: int = 30
    kept: int = 2
    images: int = 12
    sifting_images: int = 6
    guide: float = 0.0

    def passes(self, starts: int) -> int:
        """Images forward and back for each class."""
        first = self.sift * self.sifting_images * starts
        return first + (self.steps - self.sift) * self.images * min(self.kept, starts)


@dataclass(frozen=True)
class Found:
    """The smallest change of each class that worked during the search; T classes.

    Attributes:
        targets: the classes, int64 (T,).
        params: of the changes; of one that never worked, those at the end.
        size: float32 (T,); infinite where none worked.
        start: number of the starting point that each came from, int64 (T,).
    """

    targets: torch.Tensor
    params: Params
    size: torch.Tensor
    start: torch.Tensor


@dataclass
class _Slots:
    """All slots that are still alive; the first dimension of everything is S."""

    target: torch.Tensor
    start: torch.Tensor
    params: dict[str, torch.Tensor]
    first: dict[str, torch.Tensor]
    second: dict[str, torch.Tensor]
    weight: torch.Tensor
    hits: torch.Tensor
    best: torch.Tensor
    best_params: dict[str, torch.Tensor]

    def select(self, rows: torch.Tensor) -> _Slots:
        def part(of: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
            return {key: value[rows] for key, value in of.items()}

        return _Slots(
            self.target[rows], self.start[rows], part(self.params), part(self.first),
            part(self.second), self.weight[rows], self.hits[rows], self.best[rows],
            part(self.best_params),
        )  # fmt: skip


def slopes(scene: Scene, targets: torch.Tensor) -> torch.Tensor:
    """Mean gradient of each target's margin at the clean images, float32 (C, 3, s, s); zero for
    other classes.
    """
    rows = scene.rows(_SLOPE_IMAGES, 0, 0)
    images = scene.pixels[rows]
    found = images.new_zeros((scene.classes, *images.shape[1:]))
    for target in targets.tolist():
        scene.job.raise_if_canceled()
        leaf = images.clone().requires_grad_(True)
        logits, _ = scene.run(leaf)
        others = logits.clone()
        others[:, target] = -torch.inf
        margin = (logits[:, target] - others.amax(1)).sum()
        (found[target],) = (part.mean(0) for part in torch.autograd.grad(margin, leaf))
    return found


def search(
    kind: ChangeKind,
    scene: Scene,
    targets: torch.Tensor,
    canvas: Canvas,
    plan: Plan,
    *,
    seed: int = 0,
    shifts: torch.Tensor | None = None,
) -> Found:
    """The smallest change of ``kind`` for each class of ``targets`` int64 (T,).

    ``shifts``, float32 (C, d), is the embedding shift of every class, for a plan with a guide.
    The same seed gives the same result on one machine.
    """
    slots = _begin(kind, targets, canvas, seed)
    for step in range(plan.steps):
        if step == plan.sift:
            slots = slots.select(_best_starts(kind, slots, plan.kept))
        count = plan.sifting_images if step < plan.sift else plan.images
        rows = scene.rows(count, step, seed)
        size = _step(kind, scene, slots, rows, step, plan, shifts)
        if step >= plan.sift // 2:
            _keep(slots, size)
        scene.job.progress(_stage(kind), step + 1, plan.steps, "steps")
    return _smallest(slots, targets)


def _stage(kind: ChangeKind) -> Sentence:
    return Sentence("Recovering: {kind}", {"kind": Sentence(kind.label)})


def _begin(kind: ChangeKind, targets: torch.Tensor, canvas: Canvas, seed: int) -> _Slots:
    parts = [kind.begin(targets, start, canvas, seed) for start in range(kind.starts)]
    params = {key: torch.cat([one[key] for one in parts]).contiguous() for key in parts[0]}
    count = len(targets) * kind.starts
    zeros = torch.zeros(count, device=targets.device)
    return _Slots(
        target=targets.repeat(kind.starts),
        start=torch.arange(kind.starts, device=targets.device).repeat_interleave(len(targets)),
        params=params,
        first={key: torch.zeros_like(value) for key, value in params.items()},
        second={key: torch.zeros_like(value) for key, value in params.items()},
        weight=zeros + kind.weight,
        hits=zeros.clone(),
        best=zeros + torch.inf,
        best_params={key: value.clone() for key, value in params.items()},
    )


def _step(
    kind: ChangeKind,
    scene: Scene,
    slots: _Slots,
    rows: torch.Tensor,
    step: int,
    plan: Plan,
    shifts: torch.Tensor | None,
) -> torch.Tensor:
    """One step of every slot, in parts that fit a batch; returns the sizes before it, (S,)."""
    images, labels, clean = scene.pixels[rows], scene.labels[rows], scene.phi[rows]
    at_once = max(1, scene.batch // len(rows))
    sizes = []
    for part in torch.arange(len(slots.target), device=images.device).split(at_once):
        params = {key: value[part].requires_grad_(True) for key, value in slots.params.items()}
        target = slots.target[part]
        changed = kind.changed(params, images)
        logits, phi = scene.run(changed.flatten(0, 1))
        wanted = target.repeat_interleave(len(rows))
        counted = (labels[None] != target[:, None]).float()
        total = counted.sum(1).clamp_min(1)
        loss = functional.cross_entropy(logits, wanted, reduction="none").view(counted.shape)
        hit = (logits.argmax(1) == wanted).view(counted.shape).float()
        size = kind.size(params)
        value = (loss * counted).sum(1) / total + slots.weight[part] * size
        if plan.guide and shifts is not None:
            moved = phi.view(*counted.shape, -1) - clean[None]
            along = (moved * counted[:, :, None]).sum(1)
            value = value + plan.guide * (
                1 - functional.cosine_similarity(along, shifts[target], dim=1)
            )
        gradients = torch.autograd.grad(value.sum(), list(params.values()))
        for (key, leaf), gradient in zip(params.items(), gradients, strict=True):
            slots.params[key][part] = leaf.detach() - _adam(
                slots.first[key], slots.second[key], part, gradient, step, kind.rate
            )
        hits = (hit * counted).sum(1) / total
        slots.hits[part] = _MEMORY * slots.hits[part] + (1 - _MEMORY) * hits
        sizes.append(size.detach())
    return torch.cat(sizes)


def _adam(
    first: torch.Tensor,
    second: torch.Tensor,
    part: torch.Tensor,
    gradient: torch.Tensor,
    step: int,
    rate: float,
) -> torch.Tensor:
    """Adam's step with β = (.5, .9), for slots that come and go."""
    first[part] = 0.5 * first[part] + 0.5 * gradient
    second[part] = 0.9 * second[part] + 0.1 * gradient.square()
    mean = first[part] / (1 - 0.5 ** (step + 1))
    spread = (second[part] / (1 - 0.9 ** (step + 1))).sqrt()
    return rate * mean / (spread + 1e-8)


def _keep(slots: _Slots, size: torch.Tensor) -> None:
    """Remember changes that work and are smaller than before; let λ follow.

    ``size`` is that of the parameters that ``hits`` was counted with, before the step; the
    difference to those that are kept is one small step.
    """
    works = slots.hits > _WORKS
    factor = torch.where(works, _UP, _DOWN)
    slots.weight = (slots.weight * factor).clamp(_LEAST_WEIGHT, _MOST_WEIGHT)
    better = works & (size < slots.best)
    slots.best = torch.where(better, size, slots.best)
    for key, value in slots.params.items():
        slots.best_params[key][better] = value[better]


def _best_starts(kind: ChangeKind, slots: _Slots, kept: int) -> torch.Tensor:
    """Rows of the ``kept`` most promising slots of each class: small, and often a hit."""
    with torch.no_grad():
        score = kind.size(slots.params).log() + 2 * (1 - slots.hits)
    rows = []
    for target in slots.target.unique():
        own = torch.nonzero(slots.target == target)[:, 0]
        rows.append(own[score[own].argsort(stable=True)[:kept]])
    return torch.cat(rows).sort().values


def _smallest(slots: _Slots, targets: torch.Tensor) -> Found:
    """The best slot of each class; without one that worked, the one with the most hits."""
    chosen = []
    for target in targets:
        own = torch.nonzero(slots.target == target)[:, 0]
        best = slots.best[own]
        place = best.argmin() if torch.isfinite(best).any() else slots.hits[own].argmax()
        chosen.append(own[place])
    rows = torch.stack(chosen)
    worked = torch.isfinite(slots.best[rows])
    params = {
        key: torch.where(
            worked.view(-1, *[1] * (value.dim() - 1)), value[rows], slots.params[key][rows]
        )
        for key, value in slots.best_params.items()
    }
    return Found(targets, params, slots.best[rows], slots.start[rows])
