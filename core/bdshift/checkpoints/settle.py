"""What the weights do not say is settled by clean accuracy: stride, pooling, activation, input
size, mean and std, channel order.

Every combination is tried on a few labelled images, the better ones on more, the best on all
(successive halving), so that sixty candidates cost less than one pass of a scan. Accuracy decides.
Between accuracies that these images cannot tell apart, the statistics in the first batch norm do
(`bdshift.checkpoints.input_statistics`), and without one the cross-entropy.

First the network and its input size, under a few preprocessings that differ much; then, where it is
put together from the weights alone, its activation and the like; then all preprocessings.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from bdshift.checkpoints.classifier import Classifier, Opened
from bdshift.checkpoints.contest import Contest, Entrant, Pixels, Trial, by_accuracy
from bdshift.checkpoints.families import Candidate
from bdshift.images.preprocessing import (
    NORMALISATIONS,
    Channels,
    Normalisation,
    Order,
    Preprocessing,
)
from bdshift.jobs import SILENT, JobContext

_ROUNDS = ((12, 14), (30, 5), (140, 2))  # (images so far, how many go on); the last has all images
_PROBES: tuple[tuple[str, Order], ...] = (
    ("imagenet", "rgb"), ("none", "rgb"), ("half", "rgb"), ("raw-255", "rgb"),
    ("none", "rgb-reshaped"), ("half", "rgb-reshaped"),
)  # fmt: skip
_GREY_PROBES: tuple[tuple[str, Order], ...] = (
    ("none", "grey"), ("half", "grey"), ("mnist", "grey"), ("raw-255", "grey"),
)  # fmt: skip
_CERTAIN = 0.95  # with such an accuracy no other activation is tried
_GAIN = 0.05  # and where one is tried, it must do so much better
_EXPLAINED = 0.5  # below it, pixels may have been given another shape without transposing them
_CLEAR = 0.8  # below it, networks put together from the weights are searched in all ways at once
_REMEMBERS = 0.03  # so they are, too, where the batch norms' memories are missed by more
_REMEMBERED = 10  # preprocessings that the batch norm's memory leaves in the race
_WIDE = 12  # forms of each network that are searched so, of some forty
_MOST_SHOWN = 80  # trials in the ranking
_FINALISTS = 8  # networks that are shown all images
_RIVALS = 3  # other networks that are shown as many images as the chosen one
_SECONDS = 20.0  # for the last round, on a slow machine or a large network
_MATCHING_IMAGES, _MATCHING_FIELD = 240, 4


@dataclass(frozen=True)
class Settled:
    """The chosen classifier, and every trial: the chosen one, then from best to worst.

    Attributes:
        classifier: with its preprocessing.
        ranking: all trials, of other networks too.
        ties: names of other networks that do as well on as many images.
    """

    classifier: Classifier
    ranking: tuple[Trial, ...]
    ties: tuple[str, ...] = ()


def settle(
    opened: Opened,
    pixels: Pixels,
    labels: NDArray[np.int64],
    *,
    sizes: Sequence[int] = (),
    normalisation: Normalisation | None = None,
    device: torch.device | None = None,
    precision: str = "float32",
    job: JobContext = SILENT,
) -> Settled:
    """Choose the candidate and the preprocessing with the best clean accuracy.

    Args:
        opened: the checkpoint and its candidates.
        pixels: the trial images at any size, in random order of class.
        labels: class of each, int64 (n,); up to 500 are enough.
        sizes: input sizes to try first (the images' own).
        normalisation: try only this one (with all channel orders), not all known.
        device, precision: where and how to run.
        job: progress and cancellation.

    Raises `InputError` if no combination can be run at all.
    """
    where = device or torch.device("cpu")
    contest = Contest(
        opened, pixels, labels, labels, where, precision, job, normalisation=normalisation
    )
    tried: list[Entrant] = []
    trials = _choose(contest, sizes, tried)
    if trials[0].accuracy < _EXPLAINED and trials[0].classifier.channels == 3:
        contest.reshaped = True
        again = _choose(contest, sizes, tried)
        trials, rest = (
            (again, trials) if again[0].accuracy > trials[0].accuracy else (trials, again)
        )
        tried += rest
    rivals = _rivals(contest, trials[0], tried)
    chosen = trials[0].classifier.with_preprocessing(trials[0].preprocessing)
    ranked = _ranked(e for e in (*trials, *tried) if e.images)
    rest = [
        e
        for e in ranked
        if (e.classifier.architecture, e.preprocessing)
        != (trials[0].classifier.architecture, trials[0].preprocessing)
    ][:_MOST_SHOWN]
    equal = by_accuracy([trials[0], *rivals])
    near = [e for e in rivals if e.accuracy >= trials[0].accuracy - 0.01 and e in equal]
    return Settled(
        chosen,
        tuple(entrant.trial() for entrant in (trials[0], *rest)),
        tuple(dict.fromkeys(entrant.classifier.architecture for entrant in near)),
    )


def _choose(contest: Contest, sizes: Sequence[int], tried: list[Entrant]) -> list[Entrant]:
    """Network, form and preprocessing in turn: the trials of the last, best first; all others that
    were made are added to ``tried``.
    """
    candidate, size = _network(contest, sizes, tried)
    only = contest.normalisation
    choices = [only] if only else _normalisations(contest.opened, contest.pixels(size))
    trials = _trials(contest, candidate, size, choices)
    other = _form(contest, candidate, trials[0], tried)
    if other is not None:
        tried += trials
        trials = _trials(contest, *other, choices)
    return trials


def _ranked(entrants: Iterable[Entrant]) -> list[Entrant]:
    """Best first: those that went furthest, then by accuracy; of one combination that was entered
    twice, the trial that went further.
    """
    unique: dict[tuple[str, Preprocessing], Entrant] = {}
    for entrant in sorted(entrants, key=lambda e: (-e.images, -e.accuracy, e.loss)):
        unique.setdefault((entrant.classifier.architecture, entrant.preprocessing), entrant)
    return list(unique.values())


def _normalisations(opened: Opened, pixels: NDArray[np.uint8]) -> list[Normalisation]:
    """What the file names, all known ones, and the mean and std of these very images."""
    values = pixels.astype(np.float32) / 255
    mean, std = values.mean((0, 2, 3)), values.std((0, 2, 3))
    own = Normalisation("these images", _three(mean), _three(std))
    scalar = Normalisation(
        "these images, scalar", _three([values.mean()] * 3), _three([values.std()] * 3)
    )
    flat = any(min(n.std) < 1e-3 for n in (own, scalar))
    return [*opened.told, *NORMALISATIONS.values(), *(() if flat else (own, scalar))]


def _three(values: Iterable[float]) -> Channels:
    red, green, blue = (round(float(value), 4) for value in values)
    return red, green, blue


def _orders(channels: int, choice: Normalisation, reshaped: bool = False) -> tuple[Order, ...]:
    """Channel orders under which a normalisation is worth a trial. Who gives pixels another shape
    without transposing them does not normalise by channel.
    """
    if channels == 1:
        return ("grey",) if choice.is_scalar else ()
    plain: tuple[Order, ...] = ("rgb", "bgr")
    return (*plain, "rgb-reshaped", "bgr-reshaped") if reshaped and choice.is_scalar else plain


def confusion_of_folders(
    opened: Opened,
    pixels: Pixels,
    folders: NDArray[np.int64],
    *,
    sizes: Sequence[int] = (),
    device: torch.device | None = None,
    precision: str = "float32",
    job: JobContext = SILENT,
) -> NDArray[np.int64]:
    """Predicted class by folder, int64 (C, folders), under the preprocessing that makes the folders
    most predictable, whatever classes they are: for when the folders' order is in doubt.

    ``folders`` is the folder of each trial image, int64 (n,); the other arguments and the errors
    are those of `settle`.
    """
    where = device or torch.device("cpu")
    nothing = np.zeros_like(folders)  # labels play no part
    contest = Contest(opened, pixels, nothing, folders, where, precision, job)
    field = [
        contest.enter(candidate, Preprocessing(size, choice, order))
        for candidate in opened.candidates
        for size in _sizes(candidate, sizes)
        for choice in NORMALISATIONS.values()
        for order in _orders(contest.classifier(candidate).channels, choice)
    ]
    if all(entrant.mismatch is not None for entrant in field):
        per_network: dict[tuple[str, int], list[Entrant]] = {}
        for entrant in sorted(field, key=lambda e: e.tie_break):
            key = (entrant.classifier.architecture, entrant.preprocessing.size)
            per_network.setdefault(key, []).append(entrant)
        field = [e for group in per_network.values() for e in group[:_MATCHING_FIELD]]
    else:
        left = contest.run(field, _ROUNDS[0][0])
        field = sorted(left, key=lambda e: -e.matched)[: 2 * _ROUNDS[0][1]]
    left = contest.run(field, contest.affordable(field, _MATCHING_IMAGES, _SECONDS))
    return max(left, key=lambda entrant: entrant.matched).confusion


def _trials(
    contest: Contest, candidate: Candidate, size: int, choices: Sequence[Normalisation]
) -> list[Entrant]:
    """All normalisations and channel orders for one network and input size, best first."""
    channels = contest.classifier(candidate).channels
    entrants = [
        contest.enter(candidate, Preprocessing(size, choice, order))
        for choice in choices
        for order in _orders(channels, choice, contest.reshaped) or ("grey",)
    ]
    field = _remembered(entrants)
    for until, keep in _ROUNDS:
        ranked = by_accuracy(contest.run(field, until))
        field = ranked[:keep]
        if (
            field[0].mismatch is None
        ):  # then accuracy alone tells, and of few images it tells little
            field += [e for e in ranked[keep : 3 * keep] if not e.is_worse_than(ranked[0])]
        remembered = min(ranked, key=lambda entrant: entrant.tie_break)
        if remembered not in field:
            field.append(remembered)
    most = contest.affordable(field, len(contest.labels), _SECONDS)
    field = by_accuracy(contest.run(field, most))
    rest = [entrant for entrant in entrants if entrant.images and entrant not in field]
    return field + _ranked(rest)


def _remembered(entrants: list[Entrant]) -> list[Entrant]:
    """Those that the batch norm remembers best, and some that differ much in case it was trained on
    other images; all of them without a batch norm.
    """
    known = [e for e in entrants if e.mismatch is not None]
    if len(known) < len(entrants) or len(entrants) <= _REMEMBERED:
        return entrants
    best = sorted(known, key=lambda e: e.tie_break)[:_REMEMBERED]
    probes = {(name, order) for name, order in (*_PROBES, *_GREY_PROBES)}
    return best + [
        e
        for e in known
        if e not in best and (e.preprocessing.normalisation.name, e.preprocessing.order) in probes
    ]


def _sizes(candidate: Candidate, sizes: Sequence[int]) -> list[int]:
    own = candidate.sizes
    return list(dict.fromkeys((*sizes, *own) if candidate.any_size else own))


def _probes(contest: Contest, candidate: Candidate, size: int) -> list[Preprocessing]:
    grey = contest.classifier(candidate).channels == 1
    only = contest.normalisation
    if only is not None:
        orders: tuple[Order, ...] = ("grey",) if grey else ("rgb", "rgb-reshaped")
        return [Preprocessing(size, only, o) for o in orders[: 1 + contest.reshaped]]
    found = [
        Preprocessing(size, NORMALISATIONS[name], order)
        for name, order in (_GREY_PROBES if grey else _PROBES)
        if contest.reshaped or not order.endswith("reshaped")
    ]
    order: Order = "grey" if grey else "rgb"
    return [Preprocessing(size, told, order) for told in contest.opened.told] + found


def _network(contest: Contest, sizes: Sequence[int], tried: list[Entrant]) -> tuple[Candidate, int]:
    """The candidate and input size with which something is seen at all, whatever the details; what
    was tried is added to ``tried``.
    """
    pairs = [(c, size) for c in contest.opened.candidates for size in _sizes(c, sizes)]
    if len(pairs) == 1:
        return pairs[0]
    pairs.sort(key=lambda pair: pair[1] not in sizes)  # of equals, the one of the images' own size
    entered = {
        contest.enter(candidate, preprocessing, form=True): (candidate, size)
        for candidate, size in pairs
        for preprocessing in _probes(contest, candidate, size)
    }
    tried += entered
    if not contest.opened.is_rebuilt:
        few = by_accuracy(contest.run(list(entered), _ROUNDS[0][0]))[: max(4, len(entered) // 3)]
        return entered[by_accuracy(contest.run(few, _ROUNDS[1][0]))[0]]
    return entered[_race(contest, list(entered))]


def _race(contest: Contest, field: list[Entrant]) -> Entrant:
    """The best of many, by few images first: a third goes on from each round."""
    order = {entrant: place for place, entrant in enumerate(field)}
    for until in (_ROUNDS[0][0], _ROUNDS[1][0], _ROUNDS[2][0]):
        field = _by_fit(contest.run(field, contest.affordable(field, until, _SECONDS)))
        if len(field) <= _FINALISTS:
            break
        field = field[: max(_FINALISTS, len(field) // 3)]
    return _likeliest(contest, field, order)


def _form(
    contest: Contest, candidate: Candidate, best: Entrant, tried: list[Entrant]
) -> tuple[Candidate, int] | None:
    """Another activation, pooling or the like that does clearly better than the usual one, and the
    input size; None if there is none.
    """
    if not candidate.rare or (best.accuracy >= _CERTAIN and not candidate.rebuilt):
        return None
    if not candidate.rebuilt:
        entrants = [contest.enter(one, best.preprocessing) for one in (candidate, *candidate.rare)]
        tried += contest.run(entrants, _ROUNDS[1][0])
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
    left = contest.run(list(forms), _ROUNDS[2][0])
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
    most = contest.affordable(field, len(contest.labels), _SECONDS)
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
    grey = contest.classifier(candidate).channels == 1
    order: Order = "grey" if grey else "rgb"
    if contest.normalisation is not None:
        return _probes(contest, candidate, size)
    found = [Preprocessing(size, NORMALISATIONS[name], order) for name in ("none", "half")]
    if (best.preprocessing.order == "grey") == grey:
        n = best.preprocessing.normalisation
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


def _rivals(contest: Contest, best: Entrant, tried: Sequence[Entrant]) -> list[Entrant]:
    """The best of the other networks, shown as many images as the chosen one."""
    by_name: dict[str, Entrant] = {}
    for entrant in _ranked(e for e in tried if e.images):
        by_name.setdefault(entrant.classifier.architecture, entrant)
    by_name.pop(best.classifier.architecture, None)
    others = sorted(by_name.values(), key=lambda e: (-e.accuracy, e.loss))[:_RIVALS]
    others = [e for e in others if e.accuracy >= best.accuracy / 2]
    return contest.run(others, best.images) if others else []
