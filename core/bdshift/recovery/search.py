"""The smallest change that sends images to a class: of one kind, for all classes and all starting
points in one graph.

Each slot, a class and a starting point, minimizes

    mean CE(f(x'), t) + λ·size + w·(1 − cos(mean Δφ, s_t))

over images of other classes by Adam. λ rises while the change works, on a running mean of its
hits, and falls while it does not, so the size ends at the edge of what works (Neural Cleanse, from
far fewer steps). The last term, if a guide is given, asks that the embedding moves along the
class's embedding shift (Eq. 4). Starting points are those of `bdshift.recovery.scouting`; after a
while only the best two of each class go on, and then the best one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch.nn import functional

from bdshift.changes import ChangeKind, Params
from bdshift.jobs import Glimpse
from bdshift.recovery.scene import Scene
from bdshift.recovery.scouting import starting_points
from bdshift.words import Sentence

_WORKS = 0.9  # running mean of the hits from which a change counts as working
_MEMORY = 0.7  # of the running mean
_UP, _DOWN = 1.3, 0.7  # how λ changes in a step
_LEAST_WEIGHT, _MOST_WEIGHT = 1e-5, 10.0
_SIFTS = {0.25: 2, 0.55: 1}  # starting points of each class that go on, after a share of the steps
_FEW, _MANY = 6, 12  # images of a step: before the first sift, and after it
_DECAY = 0.85  # of the learning rate, over all steps
_GLIMPSE_EVERY = 5  # steps


@dataclass(frozen=True)
class Found:
    """The smallest change of each class that worked during the search; T classes.

    Attributes:
        targets: the classes, int64 (T,).
        params: of the changes; of one that never worked, those at the end.
        size: float32 (T,); infinite where none worked.
    """

    targets: torch.Tensor
    params: Params
    size: torch.Tensor

    def of(self, row: int) -> Params:
        """Those of one class, as one change (S = 1)."""
        return {key: value[row : row + 1] for key, value in self.params.items()}


@dataclass
class _Slots:
    """All slots that are still alive; the first dimension of everything is S."""

    target: torch.Tensor
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
            self.target[rows], part(self.params), part(self.first), part(self.second),
            self.weight[rows], self.hits[rows], self.best[rows], part(self.best_params),
        )  # fmt: skip


def search(
    kind: ChangeKind,
    scene: Scene,
    targets: torch.Tensor,
    *,
    seed: int = 0,
    shifts: torch.Tensor | None = None,
    guide: float = 0.0,
    stage: Sentence | None = None,
    shown: bool = True,
) -> Found:
    """The smallest change of ``kind`` for each class of ``targets`` int64 (T,).

    ``shifts``, float32 (C, d), is the embedding shift of every class, and ``guide`` the weight w of
    its term; 0 for none. ``stage`` is what its progress is called; unless it is to be ``shown``, no
    glimpses are reported. The same seed gives the same result on one machine.
    """
    stage = stage or Sentence("Searching: {kind}", {"kind": Sentence(kind.label)})
    work = _work(kind)
    slots = _begin(kind, scene, targets, seed)
    sifts = _sifts(kind)
    count = _FEW
    for step in range(kind.steps):
        if step in sifts:
            slots = slots.select(_best_starts(kind, slots, sifts[step]))
            count = _MANY
        rows = scene.rows(count, step, seed)
        size = _step(kind, scene, slots, rows, step, shifts, guide)
        _keep(slots, size)
        scene.job.progress(stage, step + 1, kind.steps, "steps", work=work[step])
        if not shown:
            continue
        if step % _GLIMPSE_EVERY == 0 or step == kind.steps - 1:
            scene.job.report(_glimpse(kind, slots, targets, step, kind.steps))
    return _smallest(slots, targets)


def _sifts(kind: ChangeKind) -> dict[int, int]:
    """Starting points of each class that go on, by the step at which that is decided."""
    return {round(share * kind.steps): kept for share, kept in _SIFTS.items()}


def _work(kind: ChangeKind) -> list[float]:
    """The share of the work that is done after each step: the first ones take the longest."""
    sifts, alive, count, spent = _sifts(kind), kind.starts + 1, _FEW, [0.0]
    for step in range(kind.steps):
        if step in sifts:
            alive, count = sifts[step], _MANY
        spent.append(spent[-1] + alive * count)
    return [one / spent[-1] for one in spent[1:]]


def passes(kind: ChangeKind, classes: int) -> int:
    """Images that a search sends through the network forward and back, about."""
    alive, last, total = kind.starts + 1, 0.0, 0.0
    for share, kept in (*_SIFTS.items(), (1.0, 0)):
        total += (share - last) * kind.steps * alive * (_MANY if last else _FEW)
        alive, last = kept, share
    return round(total * classes) + 2 * kind.scouts


def _begin(kind: ChangeKind, scene: Scene, targets: torch.Tensor, seed: int) -> _Slots:
    owners, params = starting_points(kind, scene, targets, seed)
    zeros = torch.zeros(len(owners), device=scene.device)

    def each(make: Callable[[torch.Tensor], torch.Tensor]) -> dict[str, torch.Tensor]:
        return {key: make(value) for key, value in params.items()}

    return _Slots(
        target=owners, params=each(torch.clone), first=each(torch.zeros_like),
        second=each(torch.zeros_like), weight=zeros + kind.weight, hits=zeros.clone(),
        best=zeros + torch.inf, best_params=each(torch.clone),
    )  # fmt: skip


def _step(
    kind: ChangeKind,
    scene: Scene,
    slots: _Slots,
    rows: torch.Tensor,
    step: int,
    shifts: torch.Tensor | None,
    guide: float,
) -> torch.Tensor:
    """One step of every slot, in parts that fit a batch; returns the sizes before it, (S,)."""
    images, labels, clean = scene.pixels[rows], scene.labels[rows], scene.phi[rows]
    at_once = max(1, scene.batch // len(rows))
    sizes = []
    for part in torch.arange(len(slots.target), device=images.device).split(at_once):
        params = {key: value[part].requires_grad_(True) for key, value in slots.params.items()}
        target = slots.target[part]
        logits, phi = scene.run(kind.changed(params, images).flatten(0, 1))
        wanted = target.repeat_interleave(len(rows))
        counted = (labels[None] != target[:, None]).float()
        total = counted.sum(1).clamp_min(1)
        loss = functional.cross_entropy(logits, wanted, reduction="none").view(counted.shape)
        hit = (logits.argmax(1) == wanted).view(counted.shape).float()
        size = kind.size(params)
        value = (loss * counted).sum(1) / total + slots.weight[part] * size
        if guide and shifts is not None:
            moved = phi.view(*counted.shape, -1) - clean[None]
            along = (moved * counted[:, :, None]).sum(1)
            value = value + guide * (1 - functional.cosine_similarity(along, shifts[target], dim=1))
        gradients = torch.autograd.grad(value.sum(), list(params.values()))
        for (key, leaf), gradient in zip(params.items(), gradients, strict=True):
            slots.params[key][part] = leaf.detach() - _adam(
                kind, slots.first[key], slots.second[key], part, gradient, step
            )
        hits = (hit * counted).sum(1) / total
        slots.hits[part] = _MEMORY * slots.hits[part] + (1 - _MEMORY) * hits
        sizes.append(size.detach())
    return torch.cat(sizes)


def _adam(
    kind: ChangeKind,
    first: torch.Tensor,
    second: torch.Tensor,
    part: torch.Tensor,
    gradient: torch.Tensor,
    step: int,
) -> torch.Tensor:
    """Adam's step with β = (.5, .9), for slots that come and go; shorter from step to step."""
    square = gradient.square()
    if kind.isotropic:
        square = square.mean(tuple(range(1, square.dim())), keepdim=True).expand_as(square)
    first[part] = 0.5 * first[part] + 0.5 * gradient
    second[part] = 0.9 * second[part] + 0.1 * square
    mean = first[part] / (1 - 0.5 ** (step + 1))
    spread = (second[part] / (1 - 0.9 ** (step + 1))).sqrt()
    rate = kind.rate * (1 - _DECAY * step / kind.steps)
    return rate * mean / (spread + 1e-12)


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


def _leaders(slots: _Slots, targets: torch.Tensor) -> torch.Tensor:
    """The best slot of each class; without one that worked, the one with the most hits."""
    chosen = []
    for target in targets:
        own = torch.nonzero(slots.target == target)[:, 0]
        best = slots.best[own]
        place = best.argmin() if torch.isfinite(best).any() else slots.hits[own].argmax()
        chosen.append(own[place])
    return torch.stack(chosen)


def _smallest(slots: _Slots, targets: torch.Tensor) -> Found:
    rows = _leaders(slots, targets)
    worked = torch.isfinite(slots.best[rows])
    params = {
        key: torch.where(
            worked.view(-1, *[1] * (value.dim() - 1)), value[rows], slots.params[key][rows]
        )
        for key, value in slots.best_params.items()
    }
    return Found(targets, params, slots.best[rows])


def _glimpse(
    kind: ChangeKind, slots: _Slots, targets: torch.Tensor, step: int, total: int
) -> Glimpse:
    rows = _leaders(slots, targets)
    params = {key: value[rows] for key, value in slots.params.items()}
    with torch.no_grad():
        pictures, strengths = kind.picture(params), kind.strength(params)
    return Glimpse(
        kind.spec, step + 1, total, targets.cpu().numpy(), slots.best[rows].cpu().numpy(),
        slots.hits[rows].cpu().numpy(), (pictures * 255).byte().cpu().numpy(),
        (strengths * 255).byte().cpu().numpy(),
    )  # fmt: skip
