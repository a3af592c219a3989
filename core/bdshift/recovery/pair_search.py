"""The smallest changes along pairs of classes, each found and measured on images of its source."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray

from bdshift.changes import ChangeKind, Params
from bdshift.recovery.curve import measure_sizes
from bdshift.recovery.recovery import SizeOf
from bdshift.recovery.scene import Scene
from bdshift.recovery.search import search
from bdshift.words import Sentence

_LEAST_IMAGES = 2  # of a source: one to search on, and one to measure on

Pair = tuple[int, int]
"""Source and target."""


@dataclass
class PairSearch:
    """What was found of every pair that was searched for.

    Attributes:
        kind: of the changes.
        scene: the images; those of a source are told by their labels.
        images: most of a source, half of them to search on and half to measure on. Only those count
            that the network takes for their class: what it takes for the target already is reached
            without any change.
        class_names: for progress.
        seed: of everything random.
        changes: the change along each pair, as one change (S = 1).
        sizes: what it does on the images that the search did not use.
    """

    kind: ChangeKind
    scene: Scene
    images: int
    class_names: Sequence[str]
    seed: int
    changes: dict[Pair, Params] = field(default_factory=dict)
    sizes: dict[Pair, SizeOf] = field(default_factory=dict)

    def run(self, pairs: Iterable[Pair]) -> None:
        """Search along these pairs, those from one source together, unless that has been done, or
        there are too few images of the source.
        """
        targets: dict[int, set[int]] = {}
        for source, target in pairs:
            if (source, target) not in self.sizes:
                targets.setdefault(source, set()).add(target)
        for source, some in targets.items():
            self._from(source, sorted(some))

    def _from(self, source: int, targets: list[int]) -> None:
        own = (self.scene.labels == source) & (self.scene.predicted == source)
        rows = torch.nonzero(own)[: self.images, 0]
        if len(rows) < _LEAST_IMAGES:
            return
        used, unused = self.scene.part(rows).halves()
        name = self.class_names[source]
        stage = Sentence("Comparing pairs of classes: from {source}", {"source": name})
        wanted = torch.tensor(targets, device=self.scene.device)
        found = search(self.kind, used, wanted, seed=self.seed, stage=stage)
        for place, size in enumerate(measure_sizes(self.kind, unused, found)):
            self.changes[source, size.target] = found.of(place)
            self.sizes[source, size.target] = size
        self.scene.forwards += used.forwards + unused.forwards
        self.scene.backwards += used.backwards

    def size_table(self) -> NDArray[np.float64]:
        """Sizes at a success of 0.8, float64 (C, C); NaN for pairs that were not searched for."""
        found = np.full((self.scene.classes, self.scene.classes), np.nan)
        for pair, one in self.sizes.items():
            found[pair] = one.size
        return found
