"""What one kind of evidence says of each class of a model, less what a reference explains."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from bdshift.detect.detector import Detector, Evidence
from bdshift.detect.image_search import ImageSearch
from bdshift.detect.pair_inversion import PairInversion, most_suspicious_pair
from bdshift.verdict.beyond import Explained, beyond
from bdshift.verdict.counted import NATURAL_SHARE, counted_drops, natural_of


@dataclass(frozen=True)
class KindFound:
    """What one kind found.

    Attributes:
        detector: what gave the evidence.
        own: drop of every class, float64 (C,), as `counted_drops` gives it.
        explained: how much of it a reference has, too, float64 (C,), from 0.
        natural: classes whose own images carry the change, with the share of those images.
        source: the only class that the change to the class that stands lowest is for; −1 for all.
    """

    detector: Detector
    own: NDArray[np.float64]
    explained: NDArray[np.float64]
    natural: tuple[tuple[int, float], ...]
    source: int

    @cached_property
    def drops(self) -> NDArray[np.float64]:
        """What counts of every class, float64 (C,): its drop less what is explained of it."""
        return beyond(self.own, self.explained)

    @property
    def index(self) -> int:
        """The class that stands lowest."""
        return _lowest(self.drops)

    def factor(self, index: int) -> float:
        """How many times smaller a class's score is than the median of the others'; larger, where
        high scores are suspicious. Infinite if it is the only one that is reached, or needs no
        change at all; NaN if no class is reached. What a reference explains is not taken off.
        """
        return _times(self.own[index])

    def of_reference(self, index: int) -> float:
        """How many times that is in the reference; 1 if it is no more than once, or without one."""
        return _times(self.explained[index])

    @property
    def reaches(self) -> bool:
        """Whether any class that counts is reached."""
        return bool((self.drops > -np.inf).any())

    @property
    def has_no_pair(self) -> bool:
        """Whether it looks at pairs of classes, and none needs less than its controls."""
        if not isinstance(self.detector, PairInversion):
            return False
        return self.source < 0 or not self.own[self.index] > 0

    @property
    def reaches_one(self) -> bool:
        """Whether no other class is reached than the one that stands lowest."""
        others = np.delete(self.drops, self.index)
        return bool(self.own[self.index] == np.inf) and not bool((others > -np.inf).any())

    def works(self, index: int) -> bool:
        """Whether a change of images was found that sends unused ones to a class, and is far
        smaller than for other classes, more than a reference explains.
        """
        one = self.detector
        return isinstance(one, ImageSearch) and _times(self.drops[index]) >= one.enough


def kind_found(detector: Detector, evidence: Evidence, explained: Explained) -> KindFound:
    """What ``evidence`` of ``detector`` says, less what is ``explained`` of it, by the detector's
    name.
    """
    found, natural = counted_drops(detector, evidence), natural_of(evidence)
    own = np.flatnonzero(natural >= NATURAL_SHARE).tolist() if natural is not None else []
    known = explained.get(detector.name, np.zeros(len(found)))
    shares = tuple((one, float(natural[one])) for one in own if natural is not None)
    pair = most_suspicious_pair(evidence, _lowest(beyond(found, known)))
    return KindFound(detector, found, known, shares, -1 if pair is None else pair[0])


def _lowest(drops: NDArray[np.float64]) -> int:
    return int(np.argmax(np.where(np.isnan(drops), -np.inf, drops)))


def _times(drop: float) -> float:
    with np.errstate(over="ignore"):
        return float(np.exp(drop))
