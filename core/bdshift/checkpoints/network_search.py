"""Which network, of those that the weights fit: the one with which something is seen at all, and of
one that is put together from its weights, activation, pooling and the like.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bdshift.checkpoints.contest import Contest, Entrant, by_accuracy
from bdshift.checkpoints.families import Candidate
from bdshift.images.preprocessing import NORMALIZATIONS, Order, Preprocessing

ROUNDS = ((12, 14), (30, 5), (140, 2))  # (images so far, how many go on); the last has all images
SECONDS = 20.0  # for the last round, on a slow machine or a large network
PROBES: tuple[tuple[str, Order], ...] = (
    ("imagenet", "rgb"), ("none", "rgb"), ("half", "rgb"), ("raw-255", "rgb"),
    ("none", "rgb-reshaped"), ("half", "rgb-reshaped"),
)  # fmt: skip
GRAY_PROBES: tuple[tuple[str, Order], ...] = (
    ("none", "gray"), ("half", "gray"), ("mnist", "gray"), ("raw-255", "gray"),
)  # fmt: skip
_CERTAIN = 0.95  # with such an accuracy no other activation is tried
_GAIN = 0.05  # and where one is tried, it must do so much better
_CLEAR = 0.8  # below it, networks put together from the weights are searched in all ways at once
_REMEMBERS = 0.03  # so they are, too, where the batch norms' memories are missed by more
_WIDE = 12  # forms of each network that are searched so, of some forty
_FINALISTS = 8  # networks that are shown all images


def find_network(
    contest: Contest, sizes: Sequence[int], tried: list[Entrant]
) -> tuple[Candidate, int]:
    """The candidate and input size with which something is seen at all, whatever the details; what
    was tried is added to ``tried``.
    """
    pairs = [(c, size) for c in contest.opened.candidates for size in input_sizes(c, sizes)]
    if len(pairs) == 1:
        return pairs[0]
    pairs.sort(key=lambda pair: pair[1] not in sizes)  # of equals, the one of the images' own size
    entered = {
        contest.enter(candidate, preprocessing, form=True): (candidate, size)
        for candidate, size in pairs
        for preprocessing in probes(contest, candidate, size)
    }
    tried += entered
    if not contest.opened.is_rebuilt:
        few = by_accuracy(contest.run(list(entered), ROUNDS[0][0]))[: max(4, len(entered) // 3)]
        return entered[by_accuracy(contest.run(few, ROUNDS[1][0]))[0]]
    return entered[_race(contest, list(entered))]


def input_sizes(candidate: Candidate, sizes: Sequence[int]) -> list[int]:
    """Sides at which a candidate is tried: ``sizes``, the images' own, if it takes any; its own."""
    own = candidate.sizes
    return list(dict.fromkeys((*sizes, *own) if candidate.any_size else own))


def probes(contest: Contest, candidate: Candidate, size: int) -> list[Preprocessing]:
    """A few preprocessings that differ much, and those that the file names."""
    gray = contest.classifier(candidate).channels == 1
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
    return [Preprocessing(size, told, order) for told in contest.opened.told] + found


def _race(contest: Contest, field: list[Entrant]) -> Entrant:
    """The best of many, by few images first: a third goes on from each round."""
    order = {entrant: place for place, entrant in enumerate(field)}
    for until in (ROUNDS[0][0], ROUNDS[1][0], ROUNDS[2][0]):
        field = _by_fit(contest.run(field, contest.affordable(field, until, SECONDS)))
        if len(field) <= _FINALISTS:
            break
        field = field[: max(_FINALISTS, len(field) // 3)]
    return _likeliest(contest, field, order)


def find_form(
    contest: Contest, candidate: Candidate, best: Entrant, tried: list[Entrant]
) -> tuple[Candidate, int] | None:
    """Another activation, pooling or the like that does clearly better than the usual one, and the
    input size; None if there is none.
    """
    if not candidate.rare or (best.accuracy >= _CERTAIN and not candidate.rebuilt):
        return None
    if not candidate.rebuilt:
        entrants = [contest.enter(one, best.preprocessing) for one in (candidate, *candidate.rare)]
        tried += contest.run(entrants, ROUNDS[1][0])
        winner = max(entrants[1:], key=lambda entrant: entrant.accuracy)
        if winner.accuracy < entrants[0].accuracy + _GAIN:
            return None
        return candidate.rare[entrants.index(winner) - 1], best.preprocessing.size
    found, form = _best_form(contest, candidate, best.preprocessing, tried)
    if not _fits(found):
        wide = {
            contest.enter(form, preprocessing, form=True): (one, preprocessing)
            for one in contest.opened.candidates
            for form in (one, *one.rare[:_WIDE])
            for preprocessing in _alike(contest, one, best)
        }
        tried += wide
        first = _race(contest, list(wide))
        again, other = _best_form(contest, *wide[first], tried)
        if _by_fit([again, found])[0] is again:
            found, form = again, other
    return (form, found.preprocessing.size) if form is not candidate else None


def _best_form(
    contest: Contest, candidate: Candidate, preprocessing: Preprocessing, tried: list[Entrant]
) -> tuple[Entrant, Candidate]:
    """Of a candidate and its rare forms the one that fits best; the usual one where they are
    alike.
    """
    forms = {
        contest.enter(form, preprocessing, form=True): form for form in (candidate, *candidate.rare)
    }
    order = {entrant: place for place, entrant in enumerate(forms)}
    left = contest.run(list(forms), ROUNDS[2][0])
    tried += left
    winner = _likeliest(contest, _by_fit(left), order)
    return winner, forms[winner]


def _fits(entrant: Entrant) -> bool:
    """Whether a form is so good that no other needs to be looked for."""
    if entrant.norms is not None:
        return entrant.norms.mismatch < _REMEMBERS
    return entrant.accuracy >= _CLEAR


def _likeliest(
    contest: Contest, ranked: Sequence[Entrant], order: Mapping[Entrant, int]
) -> Entrant:
    """Of the first of ``ranked``, shown all images, the best; but of those in the usual form that
    chance does not tell from it, the one that comes first in ``order``: a network is often as good
    with something else than it was trained with.
    """
    field = list(ranked[:_FINALISTS])
    most = contest.affordable(field, len(contest.labels), SECONDS)
    best, *others = _by_fit(contest.run(field, most))
    alike = [best, *(e for e in others if not e.is_worse_than(best))]
    if best.norms is not None:
        limit = 1.5 * best.norms.mismatch + 0.02
        alike = [e for e in alike if e.norms is not None and e.norms.mismatch <= limit]
    names = {candidate.name for candidate in contest.opened.candidates}
    usual = [e for e in alike if e.classifier.architecture in names]
    return min(usual, key=lambda entrant: order[entrant]) if usual else best


def _alike(contest: Contest, candidate: Candidate, best: Entrant) -> list[Preprocessing]:
    """Two scales that differ, and the preprocessing that did best so far with another network."""
    size = candidate.sizes[0]
    gray = contest.classifier(candidate).channels == 1
    order: Order = "gray" if gray else "rgb"
    if contest.normalization is not None:
        return probes(contest, candidate, size)
    found = [Preprocessing(size, NORMALIZATIONS[name], order) for name in ("none", "half")]
    if (best.preprocessing.order == "gray") == gray:
        n = best.preprocessing.normalization
        found.append(Preprocessing(size, n, best.preprocessing.order))
    return list(dict.fromkeys(found))


def _by_fit(entrants: Sequence[Entrant]) -> list[Entrant]:
    """Best first. Where there are norms, what they remember tells networks apart; accuracy then
    only has to be far from the best no more than chance allows. Without norms, accuracy, and of
    equal ones the lower cross-entropy.
    """
    best = max(entrant.accuracy for entrant in entrants)
    most = max(1, max(entrant.images for entrant in entrants))

    def key(entrant: Entrant) -> tuple[float, float]:
        margin = max(0.01, 2 / most)
        fit = entrant.loss
        if entrant.norms is not None:
            margin, fit = 2 / most**0.5, entrant.norms.mismatch
        return (0.0 if entrant.accuracy >= best - margin else 1 - entrant.accuracy), fit

    return sorted(entrants, key=key)
