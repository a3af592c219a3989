"""What the weights do not say is settled by clean accuracy: stride, pooling, activation, input
size, mean and std, channel order.

Every combination is tried on a few labeled images, the better ones on more, the best on all
(successive halving), so that sixty candidates cost less than one pass of a scan. Accuracy decides,
with every class counting the same. Between accuracies that these images cannot distinguish, the
statistics in the first batch norm decide (`bdshift.checkpoints.input_statistics`), or the
cross-entropy if there is none; between networks, what code usually does
(`bdshift.checkpoints.preference`).

First the network and its input size are chosen, with a few very different preprocessings; then its
activation and the like; then the preprocessing, out of all of them. At last the best of each
network are shown the same images, further ones if these do not decide.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from bdshift.checkpoints.classifier import Classifier, Opened
from bdshift.checkpoints.contest import Contest, More, Pixels, TrialSet
from bdshift.checkpoints.entrant import Entrant, Trial, by_score
from bdshift.checkpoints.families import Candidate
from bdshift.checkpoints.network_search import (
    GRAY_PROBES,
    PROBES,
    ROUNDS,
    find_form,
    find_network,
    input_sizes,
)
from bdshift.checkpoints.one_class import refuse_one_class
from bdshift.checkpoints.preference import (
    alternatives,
    implausibility,
    open_readings,
    preferred,
)
from bdshift.images.preprocessing import (
    NORMALIZATIONS,
    Channels,
    Normalization,
    Order,
    Preprocessing,
)
from bdshift.jobs import SILENT, JobContext

_MIN_ACCURACY = 0.5  # below it, pixels may have been reshaped instead of transposed
_MAX_REMEMBERED = 10  # preprocessings that stay in the race for fitting the batch norm's statistics
_MAX_RANKED = 80  # trials in the ranking
_MAX_FINALISTS = 6  # networks that are compared on the same images at last
_MAX_MORE_USUAL = 12  # networks that are compared with it because they are more usual
_MAX_SEARCHES = 3  # networks that get a search for their preprocessing, at most
_MAX_ALTERNATIVES = 3  # other networks that are reported, and audited as well
_MAX_MORE = 2000  # further images for networks that the first ones do not tell apart
_HOPELESS = 12.0  # nats behind the most plausible: no number of images makes up for that
_CLOSE = 8.0  # nats: further images may
_FLAT = 1e-3  # spread of pixels that all look the same
_MAX_MATCHING_IMAGES, _MAX_MATCHING_ENTRANTS = 240, 4


@dataclass(frozen=True)
class Settled:
    """The chosen classifier, and every trial: the chosen one, then from best to worst.

    Attributes:
        classifier: with its preprocessing.
        ranking: all trials, also of other networks.
        alternatives: other networks that the images do not rule out, each with its preprocessing,
            the most plausible first; each is in the ranking, too.
        readings: other preprocessings of the chosen network that the images do not rule out, the
            best first; each is in the ranking, too.
    """

    classifier: Classifier
    ranking: tuple[Trial, ...]
    alternatives: tuple[Classifier, ...] = ()
    readings: tuple[Preprocessing, ...] = ()


def settle(
    opened: Opened,
    pixels: Pixels,
    labels: NDArray[np.int64],
    *,
    sizes: Sequence[int] = (),
    normalization: Normalization | None = None,
    device: torch.device | None = None,
    precision: str = "float32",
    more: More | None = None,
    job: JobContext = SILENT,
) -> Settled:
    """Choose the candidate and the preprocessing with the best clean accuracy. The same images give
    the same choice: nothing in it depends on time, and on free memory only if a batch does not fit.

    Args:
        opened: the checkpoint and its candidates.
        pixels: the trial images at any size, in random order of class.
        labels: class of each, int64 (n,), or `NO_LABEL` for all; up to 500 are enough.
        sizes: input sizes to try first (the images' own).
        normalization: try only this one (with all channel orders), not all known ones.
        device, precision: where and how to run.
        more: reads further images, for networks that the first ones do not tell apart.
        job: progress and cancellation.

    Raises `InputError` if no combination can be run at all, or if none predicts more than one
    class.
    """
    contest = Contest(
        opened, TrialSet(pixels, labels, labels), device or torch.device("cpu"), precision, job,
        sizes=sizes, normalization=normalization, more=more,
    )  # fmt: skip
    tried: list[Entrant] = []
    trials = _choose(contest, sizes, tried)
    if trials[0].accuracy < _MIN_ACCURACY and trials[0].loaded.channels == 3:
        contest.reshaped = True
        again = _choose(contest, sizes, tried)
        trials, rest = (
            (again, trials) if again[0].accuracy > trials[0].accuracy else (trials, again)
        )
        tried += rest
    trials, finalists = _decide(contest, trials, tried)
    chosen = trials[0]
    ranked = _ranked(e for e in (*trials, *tried, *finalists) if e.images)
    refuse_one_class(contest, ranked)
    others = alternatives(finalists, chosen)[:_MAX_ALTERNATIVES]
    readings = open_readings(trials, chosen)
    rest = [e for e in ranked if e.combination != chosen.combination]
    open_ones = {entrant.combination for entrant in readings}
    rest = [e for i, e in enumerate(rest) if i < _MAX_RANKED or e.combination in open_ones]
    return Settled(
        chosen.loaded.with_preprocessing(chosen.preprocessing),
        (chosen.trial(contest.norms_mismatch(chosen)), *(entrant.trial() for entrant in rest)),
        tuple(entrant.loaded.with_preprocessing(entrant.preprocessing) for entrant in others),
        tuple(entrant.preprocessing for entrant in readings),
    )


def _choose(contest: Contest, sizes: Sequence[int], tried: list[Entrant]) -> list[Entrant]:
    """Choose network, form and preprocessing in turn; return the trials of the last, best first.
    All other trials are added to ``tried``.
    """
    candidate, size = find_network(contest, sizes, tried)
    trials = _trials(contest, candidate, size)
    other = find_form(contest, candidate, trials[0], tried)
    if other is not None:
        tried += trials
        trials = _trials(contest, *other)
    return trials


def _decide(
    contest: Contest, trials: list[Entrant], tried: list[Entrant]
) -> tuple[list[Entrant], list[Entrant]]:
    """Compare the chosen network with the best of the others on the same images. If another one is
    more plausible, it gets a preprocessing search of its own, and they are compared again. Returns
    the trials of the winner, best first, and the finalists.
    """
    searched = {trials[0].loaded.architecture: trials}
    while True:
        finalists = _finalists(contest, trials[0], tried)
        winner = preferred(finalists)
        is_last = len(searched) == _MAX_SEARCHES
        if is_last:  # all that were searched may have proved hopeless
            known = [e for e in finalists if e.loaded.architecture in searched]
            winner = preferred(known or finalists)
        if is_last or winner.loaded.architecture in searched:
            own = searched.get(winner.loaded.architecture, [])
            return [winner, *(e for e in own if e.combination != winner.combination)], finalists
        tried += (*trials, *finalists)
        trials = _trials(contest, contest.candidate(winner), winner.preprocessing.size)
        searched[winner.loaded.architecture] = trials


def _finalists(contest: Contest, best: Entrant, tried: Sequence[Entrant]) -> list[Entrant]:
    """The chosen one, the best of the other networks, and those that are more usual than it, all
    shown the same images: as many as it takes to tell them apart, if there are and it is
    affordable. The others are also tried under the preprocessing of the chosen one.
    """
    by_name: dict[str, Entrant] = {}
    for entrant in _ranked(e for e in tried if e.images and e.score >= best.score / 2):
        by_name.setdefault(entrant.loaded.architecture, entrant)
    by_name.pop(best.loaded.architecture, None)
    others = list(implausibility(list(by_name.values())))[:_MAX_FINALISTS]
    field = [best, *others]
    for candidate, size in (
        *((contest.candidate(one), one.preprocessing.size) for one in others),
        *_more_usual(contest, best),
    ):
        same = replace(best.preprocessing, size=size)
        if contest.loaded(candidate).channels == same.channels:
            field.append(contest.enter(candidate, same, form=True))
    field = list({one.combination: one for one in reversed(field)}.values())[::-1]
    if len(field) == 1:
        return field
    field = [_watched(contest, one) for one in field]
    left = contest.run(field, contest.affordable(field, ROUNDS[-1][0]))
    left = _within(_HOPELESS, left)
    left = contest.run(left, contest.affordable(left, contest.images))
    left = _distinct(_within(_CLOSE, left))
    if len({one.loaded.architecture for one in left}) > 1:
        most = contest.read_more(left, _MAX_MORE)
        left = contest.run(left, contest.affordable(left, most))
    return left


def _more_usual(contest: Contest, best: Entrant) -> list[tuple[Candidate, int]]:
    """Networks with less oddness than ``best``, the most usual first, and their input sizes: until
    they are seen to be worse, they are more plausible.
    """
    found = [
        (form, size)
        for candidate in contest.opened.candidates
        for form in (candidate, *candidate.rare)
        for size in input_sizes(form, contest.sizes)[:1]
        if contest.oddness(form, size) < best.oddness
    ]
    return sorted(found, key=lambda pair: contest.oddness(*pair))[:_MAX_MORE_USUAL]


def _watched(contest: Contest, entrant: Entrant) -> Entrant:
    """The same combination with all norms watched, if there are any."""
    if entrant.norms is not None:
        return entrant
    fresh = contest.enter(contest.candidate(entrant), entrant.preprocessing, form=True)
    if fresh.norms is None:
        return entrant
    fresh.mismatch = entrant.mismatch
    return fresh


def _within(nats: float, field: Sequence[Entrant]) -> list[Entrant]:
    """Those at most so much less plausible than the most plausible one; it comes first."""
    found = implausibility(field)
    limit = next(iter(found.values())) + nats
    return [entrant for entrant, value in found.items() if value <= limit]


def _distinct(field: Sequence[Entrant]) -> list[Entrant]:
    """Without those that compute the same as one before them."""
    left: list[Entrant] = []
    for one in field:
        if not any(one.computes_the_same_as(other) for other in left):
            left.append(one)
    return left


def _ranked(entrants: Iterable[Entrant]) -> list[Entrant]:
    """Best first: those that went furthest, then by accuracy; if a combination was entered twice,
    only the trial that went further.
    """
    unique: dict[tuple[str, Preprocessing], Entrant] = {}
    for entrant in sorted(entrants, key=lambda e: (-e.images, -e.score, e.loss)):
        unique.setdefault(entrant.combination, entrant)
    return list(unique.values())


def _normalizations(opened: Opened, pixels: NDArray[np.uint8]) -> list[Normalization]:
    """What the file names, all known ones, and the mean and std of the images themselves."""
    values = pixels.astype(np.float32) / 255
    mean, std = values.mean((0, 2, 3)), values.std((0, 2, 3))
    if min(std.min(), values.std()) < _FLAT:
        return [*opened.declared, *NORMALIZATIONS.values()]
    own = Normalization("these images", _three(mean), _three(std))
    scalar = Normalization(
        "these images, scalar", _three([values.mean()] * 3), _three([values.std()] * 3)
    )
    return [*opened.declared, *NORMALIZATIONS.values(), own, scalar]


def _three(values: Iterable[float]) -> Channels:
    red, green, blue = (round(float(value), 4) for value in values)
    return red, green, blue


def _orders(channels: int, choice: Normalization, reshaped: bool = False) -> tuple[Order, ...]:
    """Channel orders under which a normalization is worth a trial. Code that reshapes pixels
    instead of transposing them does not normalize by channel.
    """
    if channels == 1:
        return ("gray",) if choice.is_scalar else ()
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
    most predictable, whichever classes they are: for when the folders' order is in doubt.

    ``folders`` is the folder of each trial image, int64 (n,); the other arguments and the errors
    are those of `settle`.
    """
    where = device or torch.device("cpu")
    nothing = np.zeros_like(folders)  # labels are not used
    trial = TrialSet(pixels, nothing, folders)
    contest = Contest(opened, trial, where, precision, job, sizes=sizes)
    field = [
        contest.enter(candidate, Preprocessing(size, choice, order))
        for candidate in opened.candidates
        for size in input_sizes(candidate, sizes)
        for choice in NORMALIZATIONS.values()
        for order in _orders(contest.loaded(candidate).channels, choice)
    ]
    if all(entrant.mismatch is not None for entrant in field):
        per_network: dict[tuple[str, int], list[Entrant]] = {}
        for entrant in sorted(field, key=lambda e: e.tie_break):
            key = (entrant.loaded.architecture, entrant.preprocessing.size)
            per_network.setdefault(key, []).append(entrant)
        field = [e for group in per_network.values() for e in group[:_MAX_MATCHING_ENTRANTS]]
    else:
        left = contest.run(field, ROUNDS[0][0])
        field = sorted(left, key=lambda e: -e.matched)[: 2 * ROUNDS[0][1]]
    left = contest.run(field, contest.affordable(field, _MAX_MATCHING_IMAGES))
    return max(left, key=lambda entrant: entrant.matched).confusion


def _trials(contest: Contest, candidate: Candidate, size: int) -> list[Entrant]:
    """All normalizations and channel orders for one network and input size, best first."""
    only = contest.normalization
    choices = [only] if only else _normalizations(contest.opened, contest.pixels(size))
    channels = contest.loaded(candidate).channels
    entrants = [
        contest.enter(candidate, Preprocessing(size, choice, order))
        for choice in choices
        for order in _orders(channels, choice, contest.reshaped) or ("gray",)
    ]
    field = _remembered(entrants)
    for until, keep in ROUNDS:
        ranked = by_score(contest.run(field, until))
        field = ranked[:keep]
        if field[0].mismatch is None:  # accuracy alone decides, and on few images it says little
            field += [e for e in ranked[keep : 3 * keep] if not e.is_worse_than(ranked[0])]
        remembered = min(ranked, key=lambda entrant: entrant.tie_break)
        if remembered not in field:
            field.append(remembered)
    field = by_score(contest.run(field, contest.affordable(field, contest.images)))
    rest = [entrant for entrant in entrants if entrant.images and entrant not in field]
    return field + _ranked(rest)


def _remembered(entrants: list[Entrant]) -> list[Entrant]:
    """Those that fit the batch norm's statistics best, and some very different ones in case it was
    trained on other images; all of them if there is no batch norm.
    """
    known = [e for e in entrants if e.mismatch is not None]
    if len(known) < len(entrants) or len(entrants) <= _MAX_REMEMBERED:
        return entrants
    best = sorted(known, key=lambda e: e.tie_break)[:_MAX_REMEMBERED]
    probes = {(name, order) for name, order in (*PROBES, *GRAY_PROBES)}
    return best + [
        e
        for e in known
        if e not in best and (e.preprocessing.normalization.name, e.preprocessing.order) in probes
    ]
