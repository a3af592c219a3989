"""Chooses among the networks that the weights fit: the one that recognizes anything at all. For one
that is reconstructed from its weights, also chooses activation, pooling and the like.
"""

from __future__ import annotations

from collections.abc import Sequence

from bdshift.checkpoints.contest import Contest
from bdshift.checkpoints.entrant import Entrant, by_score
from bdshift.checkpoints.families import Candidate
from bdshift.checkpoints.preference import by_fit, preferred
from bdshift.images.preprocessing import NORMALIZATIONS, Order, Preprocessing

ROUNDS = ((12, 14), (30, 5), (140, 2))  # (images so far, how many stay); the last uses all images
PROBES: tuple[tuple[str, Order], ...] = (
    ("imagenet", "rgb"), ("none", "rgb"), ("half", "rgb"), ("raw-255", "rgb"),
    ("none", "rgb-reshaped"), ("half", "rgb-reshaped"),
)  # fmt: skip
GRAY_PROBES: tuple[tuple[str, Order], ...] = (
    ("none", "gray"), ("half", "gray"), ("mnist", "gray"), ("raw-255", "gray"),
)  # fmt: skip
_CERTAIN_ACCURACY = 0.95  # from which no other activation is tried
_CLEAR_ACCURACY = 0.8  # below it, reconstructed networks are searched in all ways at once
_MAX_NORM_MISMATCH = 0.03  # above this as well, where there are batch norms
_MAX_FORMS = 12  # of each network in that search, out of about forty
_MAX_FINALISTS = 8  # networks that are shown all images


def find_network(
    contest: Contest, sizes: Sequence[int], tried: list[Entrant]
) -> tuple[Candidate, int]:
    """The candidate and input size that recognize anything at all, whatever the details; everything
    that was tried is added to ``tried``.
    """
    pairs = [(c, size) for c in contest.opened.candidates for size in input_sizes(c, sizes)]
    if len(pairs) == 1:
        return pairs[0]
    pairs.sort(key=lambda pair: pair[1] not in sizes)  # among equals, the images' own size first
    entered = {
        contest.enter(candidate, preprocessing, form=True): (candidate, size)
        for candidate, size in pairs
        for preprocessing in probes(contest, candidate, size)
    }
    tried += entered
    if not any(candidate.rebuilt for candidate in contest.opened.candidates):
        few = by_score(contest.run(list(entered), ROUNDS[0][0]))[: max(4, len(entered) // 3)]
        return entered[by_score(contest.run(few, ROUNDS[1][0]))[0]]
    return entered[_race(contest, list(entered))]


def input_sizes(candidate: Candidate, sizes: Sequence[int]) -> list[int]:
    """Input sizes to try: ``sizes``, the images' own, if the candidate takes any size; then its
    own.
    """
    own = candidate.sizes
    return list(dict.fromkeys((*sizes, *own) if candidate.any_size else own))


def probes(contest: Contest, candidate: Candidate, size: int) -> list[Preprocessing]:
    """A few very different preprocessings, and those that the file names."""
    gray = contest.loaded(candidate).channels == 1
    only = contest.normalization
    if only is not None:
        orders: tuple[Order, ...] = ("gray",) if gray else ("rgb", "rgb-reshaped")
        return [Preprocessing(size, only, o) for o in orders[: 1 + contest.reshaped]]
    found = [
        Preprocessing(size, NORMALIZATIONS[name], order)
        for name, order in (GRAY_PROBES if gray else PROBES)
        if contest.reshaped or not order.endswith("reshaped")
    ]
    order: Order = "gray" if gray else "rgb"
    return [Preprocessing(size, one, order) for one in contest.opened.declared] + found


def _race(contest: Contest, field: list[Entrant]) -> Entrant:
    """The best of many, on few images first: a third stays in after each round."""
    for until in (ROUNDS[0][0], ROUNDS[1][0], ROUNDS[2][0]):
        field = by_fit(contest.run(field, contest.affordable(field, until)))
        if len(field) <= _MAX_FINALISTS:
            break
        field = field[: max(_MAX_FINALISTS, len(field) // 3)]
    return _likeliest(contest, field)


def find_form(
    contest: Contest, candidate: Candidate, best: Entrant, tried: list[Entrant]
) -> tuple[Candidate, int] | None:
    """Another activation, pooling or the like that does clearly better than the usual one, and the
    input size; None if there is none.
    """
    if not candidate.rare or (best.accuracy >= _CERTAIN_ACCURACY and not candidate.rebuilt):
        return None
    found, form = _best_form(contest, candidate, best.preprocessing, tried)
    if candidate.rebuilt and not _fits(found):
        wide = {
            contest.enter(form, preprocessing, form=True): (one, preprocessing)
            for one in contest.opened.candidates
            for form in (one, *one.rare[:_MAX_FORMS])
            for preprocessing in _alike(contest, one, best)
        }
        tried += wide
        first = _race(contest, list(wide))
        again, other = _best_form(contest, *wide[first], tried)
        if by_fit([again, found])[0] is again:
            found, form = again, other
    return (form, found.preprocessing.size) if form is not candidate else None


def _best_form(
    contest: Contest, candidate: Candidate, preprocessing: Preprocessing, tried: list[Entrant]
) -> tuple[Entrant, Candidate]:
    """Of a candidate and its rare forms, the one that fits best; the usual one if they do equally
    well.
    """
    forms = {
        contest.enter(form, preprocessing, form=True): form for form in (candidate, *candidate.rare)
    }
    left = contest.run(list(forms), contest.affordable(list(forms), ROUNDS[2][0]))
    tried += left
    winner = _likeliest(contest, by_fit(left))
    return winner, forms[winner]


def _fits(entrant: Entrant) -> bool:
    """Whether a form is so good that no other needs to be searched for."""
    if entrant.norms is not None:
        return entrant.norms.mismatch < _MAX_NORM_MISMATCH
    return entrant.accuracy >= _CLEAR_ACCURACY


def _likeliest(contest: Contest, ranked: Sequence[Entrant]) -> Entrant:
    """Of the first of ``ranked``, the most plausible on all images."""
    field = list(ranked[:_MAX_FINALISTS])
    return preferred(by_fit(contest.run(field, contest.affordable(field, contest.images))))


def _alike(contest: Contest, candidate: Candidate, best: Entrant) -> list[Preprocessing]:
    """Three different scales, and the preprocessing that did best so far with another network: that
    of a wrong network may be far from the right one.
    """
    size = candidate.sizes[0]
    gray = contest.loaded(candidate).channels == 1
    order: Order = "gray" if gray else "rgb"
    if contest.normalization is not None:
        return probes(contest, candidate, size)
    scales = "none", "half", "mnist" if gray else "imagenet"
    found = [Preprocessing(size, NORMALIZATIONS[name], order) for name in scales]
    if (best.preprocessing.order == "gray") == gray:
        n = best.preprocessing.normalization
        found.append(Preprocessing(size, n, best.preprocessing.order))
    return list(dict.fromkeys(found))
