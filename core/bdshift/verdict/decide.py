"""From the evidence of an audit to the classes that stand out beside clean models.

A class is as suspicious as its strongest evidence of any kind, and a model as its most
suspicious class: the largest of strengths (`bdshift.verdict.strength`), with no weights that
backdoored models would have to teach. Its p is the share of clean models whose largest is no
smaller. That alone suspects nothing: a class is suspected if, besides, a change of the images sends
unused images there and is far smaller than for other classes, or two kinds of evidence of different
natures agree.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from bdshift.detect.detector import DETECTORS, Detector, Evidence
from bdshift.detect.image_search import ImageSearch, has_search
from bdshift.detect.pair_inversion import PairInversion, most_suspicious_pair
from bdshift.verdict.beyond import Explained, beyond
from bdshift.verdict.clean_models import CleanModels, Standing
from bdshift.verdict.counted import NATURAL_SHARE, counted_drops, natural_of
from bdshift.verdict.strength import capped

SUSPECTED_P = 0.02
"""Up to here a class is suspected: so many clean models may be. It was chosen, not fitted.
With so few clean models that no p is as small, the smallest counts.
"""
UNSURE_P = 0.1
"""Up to here nothing is concluded."""
_FREE_SETTINGS = ("budget", "solver")  # say how long it may take, or how, not what is measured
_AGREES = 1.0  # strength from which a kind agrees with another: of 11 clean models one has as much

_NOTHING: Explained = MappingProxyType({})


@dataclass(frozen=True)
class KindStanding:
    """What one kind of evidence says about a model.

    Attributes:
        detector: what gave the evidence.
        own: drop of every class, float64 (C,), as `counted_drops` gives it.
        explained: how much of it a reference has, too, float64 (C,), from 0.
        natural: classes whose own images carry the change, with the share of those images.
        strengths: of every class, float64 (C,).
        standing: of the strongest, for this kind alone.
        source: the only class that the change to the class that stands lowest is for; −1 for all.
    """

    detector: Detector
    own: NDArray[np.float64]
    explained: NDArray[np.float64]
    natural: tuple[tuple[int, float], ...]
    strengths: NDArray[np.float64]
    standing: Standing
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


@dataclass(frozen=True)
class Verdict:
    """What the evidence says beside clean models.

    Attributes:
        kinds: each kind of evidence, the strongest first.
        index: the most suspicious class.
        standing: of the model, for all kinds together.
        limit: p up to which a class is suspected if something bears it out.
        suspected: the classes that are, the most suspicious first.
        standings: of each of these, were it the model's most suspicious.
        unusual: classes that too few clean models have as much evidence against to pass over it,
            whether anything bears it out or not, the most suspicious first.
    """

    kinds: tuple[KindStanding, ...]
    index: int
    standing: Standing
    limit: float
    suspected: tuple[int, ...]
    standings: tuple[Standing, ...]
    unusual: tuple[int, ...]

    def suspected_by(self, name: str) -> tuple[int, ...]:
        """Those of the suspected classes that one kind of evidence speaks against: by its strength,
        or because that class stands lowest there.
        """
        return tuple(
            index for index in self.suspected for one in self.kinds
            if one.detector.name == name
            and (one.strengths[index] >= _AGREES or (one.reaches and one.index == index))
        )  # fmt: skip

    @property
    def rare(self) -> bool:
        """Whether too few clean models have such evidence to pass over it."""
        return bool(self.unusual)

    @property
    def borne_out(self) -> bool:
        """Whether more than its strength speaks against the most suspicious class."""
        return _is_borne_out(self.kinds, self.index)


def decide(
    found: Sequence[tuple[Detector, Evidence]], table: CleanModels, explained: Explained = _NOTHING
) -> Verdict | None:
    """The verdict on evidence of the kinds that the table has, measured as they were there, and on
    what of it is not ``explained`` by a reference; None if none of it comes from a search in the
    images, or the table has too few clean models with all of these kinds to conclude anything.
    """
    kinds = [
        _stands(detector, evidence, table, explained)
        for detector, evidence in found
        if detector.name in table.scales
        and not np.isnan(evidence.scores).all()
        and is_alike(detector, DETECTORS.parse(table.scales[detector.name].detector, strict=False))
    ]  # fmt: skip
    if not has_search(one.detector for one in kinds):
        return None
    strengths = np.max([one.strengths for one in kinds], axis=0)
    order = np.argsort(-strengths, kind="stable").tolist()
    null = table.null([one.detector.name for one in kinds])
    standing = null.standing(float(strengths[order[0]]))
    if standing.least > UNSURE_P:
        return None
    limit = max(SUSPECTED_P, standing.least)
    unusual = {}
    for one in order:  # p rises
        its = null.standing(float(strengths[one]))
        if its.p > UNSURE_P:
            break
        unusual[one] = its
    suspected = {
        one: its for one, its in unusual.items() if its.p <= limit and _is_borne_out(kinds, one)
    }
    strongest = sorted(kinds, key=lambda one: -float(one.strengths.max()))
    return Verdict(
        tuple(strongest), order[0], standing, limit, tuple(suspected), tuple(suspected.values()),
        tuple(unusual),
    )  # fmt: skip


def is_alike(detector: Detector, other: Detector) -> bool:
    """Whether both measure the same, so that what one finds can be compared with the other's."""
    free = {name: getattr(detector, name) for name in _FREE_SETTINGS if hasattr(detector, name)}
    return detector == replace(other, **free)


def _stands(
    detector: Detector, evidence: Evidence, table: CleanModels, explained: Explained
) -> KindStanding:
    found, natural = counted_drops(detector, evidence), natural_of(evidence)
    own = np.flatnonzero(natural >= NATURAL_SHARE).tolist() if natural is not None else []
    known = explained.get(detector.name, np.zeros(len(found)))
    left = capped(beyond(found, known))
    strengths = table.scales[detector.name].strength(left, compared(evidence.scores))
    standing = table.null([detector.name]).standing(float(strengths.max()))
    shares = tuple((one, float(natural[one])) for one in own if natural is not None)
    pair = most_suspicious_pair(evidence, _lowest(beyond(found, known)))
    source = -1 if pair is None else pair[0]
    return KindStanding(detector, found, known, shares, strengths, standing, source)


def _lowest(drops: NDArray[np.float64]) -> int:
    return int(np.argmax(np.where(np.isnan(drops), -np.inf, drops)))


def compared(scores: NDArray[np.float64]) -> int:
    """How many classes there are scores of, those out of reach among them."""
    return int((~np.isnan(scores)).sum())


def _times(drop: float) -> float:
    with np.errstate(over="ignore"):
        return float(np.exp(drop))


def _is_borne_out(kinds: Sequence[KindStanding], index: int) -> bool:
    agreeing = {one.detector.nature for one in kinds if one.strengths[index] >= _AGREES}
    return len(agreeing) > 1 or any(one.works(index) for one in kinds)
