"""Which of several networks with the same weights to take: evidence against habit.

A network is often nearly as good, on a few hundred images, with something other than what it was
trained with: GELU for ReLU, average- for max-pooling. The best of many such forms owes its lead to
chance. So each form starts with its oddness (`Candidate.oddness`), the natural logarithm of how
much less often code does this, and its lead on the same images counts as a likelihood: a lead of z
standard errors is worth z² / 2.
"""

from __future__ import annotations

from collections.abc import Sequence

from bdshift.checkpoints.entrant import Entrant, behind, equal_within

_MAX_READINGS = 2  # other preprocessings that are looked at
_OPEN = 3.0  # nats: forms with a twentieth of the chosen one's odds are alternatives to it


def implausibility(entrants: Sequence[Entrant]) -> dict[Entrant, float]:
    """How implausible each is, in nats, the most plausible first; that one's may be above 0.

    Where all have norms, one whose inputs to them are much further from what it remembers than the
    best one's is infinitely implausible.
    """
    if not entrants:
        return {}
    limit = float("inf")
    if all(one.norms is not None for one in entrants):
        limit = 1.5 * _distance(by_fit(entrants)[0]) + 0.02
    fitting = [one for one in entrants if _distance(one) <= limit] or list(entrants)
    leader = min(fitting, key=lambda one: (one.says_one_class, one.scaled_loss, one.oddness))
    found = dict.fromkeys(entrants, float("inf"))
    for one in fitting:
        if not (leader.score and one.says_one_class):
            found[one] = max(0.0, leader.lead_over(one)) ** 2 / 2 + one.oddness
    return dict(sorted(found.items(), key=lambda item: item[1]))


def preferred(entrants: Sequence[Entrant]) -> Entrant:
    """The most plausible one; the first among equals."""
    return next(iter(implausibility(entrants)))


def alternatives(entrants: Sequence[Entrant], chosen: Entrant) -> list[Entrant]:
    """Those of other networks that these images do not rule out, the most plausible first; without
    those that compute the same as ``chosen`` or as one before.
    """
    found = implausibility(entrants)
    left: list[Entrant] = []
    for one, nats in found.items():
        same = any(one.computes_the_same_as(other) for other in (chosen, *left))
        known = {other.loaded.architecture for other in (chosen, *left)}
        if nats <= found[chosen] + _OPEN and not same and one.loaded.architecture not in known:
            left.append(one)
    return left


def open_readings(entrants: Sequence[Entrant], chosen: Entrant) -> list[Entrant]:
    """Other preprocessings of the chosen network that these images do not rule out, the best
    first, if pixels do not become nearly the same numbers as under ``chosen`` or one before.
    ``entrants`` are ordered by how well they do; those that did not see all images are out.
    """
    own = [one for one in entrants if one.loaded.architecture == chosen.loaded.architecture]
    most = max((one.images for one in own if one.combination != chosen.combination), default=0)
    left = [chosen]
    for one in own:
        behind_it = max(0.0, chosen.lead_over(one)) ** 2 / 2 > _OPEN
        if one.images < most or behind_it or _fits_worse(one, chosen):
            continue
        if not any(_reads_alike(one, other) for other in left):
            left.append(one)
    return left[1 : 1 + _MAX_READINGS]


def _fits_worse(one: Entrant, chosen: Entrant) -> bool:
    """Whether the first batch norm remembers inputs that are clearly more like the chosen ones."""
    if one.mismatch is None or chosen.mismatch is None:
        return False
    return one.mismatch > 1.5 * chosen.mismatch + 0.02


def _reads_alike(one: Entrant, other: Entrant) -> bool:
    a, b = one.preprocessing, other.preprocessing
    return (a.size, a.order) == (b.size, b.order) and a.normalization.is_nearly(b.normalization)


def _distance(entrant: Entrant) -> float:
    return 0.0 if entrant.norms is None else entrant.norms.mismatch


def by_fit(entrants: Sequence[Entrant]) -> list[Entrant]:
    """Best first. Where there are norms, their statistics distinguish networks; the score then only
    has to be as close to the best as chance allows. Without norms, the score decides, and among
    equals the lower cross-entropy.
    """
    best = max(entrant.score for entrant in entrants)
    most = max(1, max(entrant.images for entrant in entrants))

    def key(one: Entrant) -> tuple[float, float]:
        if one.norms is None:
            return behind(one, best, equal_within(entrants)), one.scaled_loss
        return behind(one, best, 2 / most**0.5), one.norms.mismatch

    return sorted(entrants, key=key)
