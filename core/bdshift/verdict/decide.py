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
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from bdshift.detect.detector import DETECTORS, Detector, Evidence
from bdshift.detect.image_search import ImageSearch, has_search
from bdshift.verdict.beyond import Explained
from bdshift.verdict.clean_models import CleanModels, CleanStrengths, Standing
from bdshift.verdict.kind_found import KindFound, kind_found
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
class KindStanding(KindFound):
    """One kind of evidence beside that of clean models.

    Attributes:
        strengths: of every class, float64 (C,).
        standing: of the strongest, for this kind alone.
    """

    strengths: NDArray[np.float64]
    standing: Standing

    def speaks_against(self, index: int) -> bool:
        """Whether it does against a class: by its strength, or because that stands lowest."""
        lowest = self.index == index and bool(self.drops[index] > 0)
        return bool(self.strengths[index] >= _AGREES) or lowest


@dataclass(frozen=True)
class Verdict:
    """What the evidence says beside clean models.

    Attributes:
        kinds: each kind of evidence that the table has, the strongest first.
        witnesses: the other searches in the images, of kinds that the table does not have or not
            with these settings. They make no class unusual, but may bear out one that is.
        index: the most suspicious class.
        standing: of the model, for all kinds together.
        limit: p up to which a class is suspected if something bears it out.
        suspected: the classes that are, the most suspicious first.
        standings: of each of these, were it the model's most suspicious.
        unusual: classes that too few clean models have as much evidence against to pass over it,
            whether anything bears it out or not, the most suspicious first.
        alone: those of them that would be suspected if anything bore it out.
    """

    kinds: tuple[KindStanding, ...]
    witnesses: tuple[KindFound, ...]
    index: int
    standing: Standing
    limit: float
    suspected: tuple[int, ...]
    standings: tuple[Standing, ...]
    unusual: tuple[int, ...]
    alone: tuple[int, ...]

    def suspected_by(self, name: str) -> tuple[int, ...]:
        """Those of the suspected classes that one kind of evidence speaks against: by its strength,
        or because that class stands lowest there.
        """
        kinds = [one for one in self.kinds if one.detector.name == name]
        witnesses = [one for one in self.witnesses if one.detector.name == name]
        return tuple(
            index for index in self.suspected
            if any(one.speaks_against(index) for one in kinds)
            or any(one.works(index) for one in witnesses)
        )  # fmt: skip

    @property
    def is_unusual(self) -> bool:
        """Whether too few clean models have such evidence to pass over it."""
        return bool(self.unusual)

    @property
    def borne_out(self) -> bool:
        """Whether more than its strength speaks against the most suspicious class."""
        return _is_borne_out(self.kinds, self.witnesses, self.index)


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
        if _in_table(detector, table) and not np.isnan(evidence.scores).all()
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
    unusual = _up_to(UNSURE_P, strengths, null)
    compared_with = {one.detector.name for one in kinds}
    witnesses = tuple(
        kind_found(detector, evidence, explained) for detector, evidence in found
        if isinstance(detector, ImageSearch) and detector.name not in compared_with
        and not np.isnan(evidence.scores).all()
    )  # fmt: skip
    rare = {one: its for one, its in unusual.items() if its.p <= limit}
    suspected = {one: its for one, its in rare.items() if _is_borne_out(kinds, witnesses, one)}
    strongest = sorted(kinds, key=lambda one: -float(one.strengths.max()))
    return Verdict(
        tuple(strongest), witnesses, order[0], standing, limit, tuple(suspected),
        tuple(suspected.values()), tuple(unusual),
        tuple(one for one in rare if one not in suspected),
    )  # fmt: skip


def rare_by(detector: Detector, evidence: Evidence, table: CleanModels) -> tuple[int, ...]:
    """The classes that one kind of evidence alone makes as unusual beside clean models as a
    suspected one, the most unusual first; none if the table does not have it, measured as it was.
    """
    if not _in_table(detector, table):
        return ()
    strengths = _stands(detector, evidence, table, _NOTHING).strengths
    null = table.null([detector.name])
    limit = max(SUSPECTED_P, null.standing(float(strengths.max())).least)
    return tuple(_up_to(limit, strengths, null))


def _up_to(
    limit: float, strengths: NDArray[np.float64], null: CleanStrengths
) -> dict[int, Standing]:
    """The standings of classes whose p is at most ``limit``, the most suspicious first."""
    found = {}
    for one in np.argsort(-strengths, kind="stable").tolist():  # p rises
        standing = null.standing(float(strengths[one]))
        if standing.p > limit:
            break
        found[one] = standing
    return found


def _in_table(detector: Detector, table: CleanModels) -> bool:
    scale = table.scales.get(detector.name)
    return scale is not None and is_alike(detector, DETECTORS.parse(scale.detector, strict=False))


def is_alike(detector: Detector, other: Detector) -> bool:
    """Whether both measure the same, so that what one finds can be compared with the other's."""
    free = {name: getattr(detector, name) for name in _FREE_SETTINGS if hasattr(detector, name)}
    return detector == replace(other, **free)


def _stands(
    detector: Detector, evidence: Evidence, table: CleanModels, explained: Explained
) -> KindStanding:
    found = kind_found(detector, evidence, explained)
    scale = table.scales[detector.name]
    strengths = scale.strength(capped(found.drops), compared(evidence.scores))
    standing = table.null([detector.name]).standing(float(strengths.max()))
    return KindStanding(
        found.detector, found.own, found.explained, found.natural, found.source, strengths, standing
    )


def compared(scores: NDArray[np.float64]) -> int:
    """How many classes there are scores of, those out of reach among them."""
    return int((~np.isnan(scores)).sum())


def _is_borne_out(
    kinds: Sequence[KindStanding], witnesses: Sequence[KindFound], index: int
) -> bool:
    agreeing = {one.detector.nature for one in kinds if one.strengths[index] >= _AGREES}
    return len(agreeing) > 1 or any(one.works(index) for one in (*kinds, *witnesses))
