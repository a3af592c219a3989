"""What the weights do not say is settled by clean accuracy: stride, pooling, activation, input
size, mean and std, channel order.

Every combination is tried on a few labeled images, the better ones on more, the best on all
(successive halving), so that sixty candidates cost less than one pass of a scan. Accuracy decides.
Between accuracies that these images cannot distinguish, the statistics in the first batch norm
decide (`bdshift.checkpoints.input_statistics`), or the cross-entropy if there is none.

First the network and its input size are chosen, with a few very different preprocessings; then, if
it is reconstructed from the weights alone, its activation and the like; then the preprocessing, out
of all of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from bdshift.checkpoints.classifier import Classifier, Opened
from bdshift.checkpoints.contest import Contest, Entrant, Pixels, Trial, by_accuracy
from bdshift.checkpoints.families import Candidate
from bdshift.checkpoints.network_search import (
    GRAY_PROBES,
    PROBES,
    ROUNDS,
    SECONDS,
    find_form,
    find_network,
    input_sizes,
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
_MAX_RIVALS = 3  # other networks that are shown as many images as the chosen one
_TIED_WITHIN = 0.01  # in accuracy; such a network counts as equally good
_MAX_MATCHING_IMAGES, _MAX_MATCHING_ENTRANTS = 240, 4


@dataclass(frozen=True)
class Settled:
    """The chosen classifier, and every trial: the chosen one, then from best to worst.

    Attributes:
        classifier: with its preprocessing.
        ranking: all trials, also of other networks.
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
    normalization: Normalization | None = None,
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
        normalization: try only this one (with all channel orders), not all known ones.
        device, precision: where and how to run.
        job: progress and cancellation.

    Raises `InputError` if no combination can be run at all.
    """
    where = device or torch.device("cpu")
    contest = Contest(
        opened, pixels, labels, labels, where, precision, job, normalization=normalization
    )
    tried: list[Entrant] = []
    trials = _choose(contest, sizes, tried)
    if trials[0].accuracy < _MIN_ACCURACY and trials[0].loaded.channels == 3:
        contest.reshaped = True
        again = _choose(contest, sizes, tried)
        trials, rest = (
            (again, trials) if again[0].accuracy > trials[0].accuracy else (trials, again)
        )
        tried += rest
    rivals = _rivals(contest, trials[0], tried)
    chosen = trials[0].loaded.with_preprocessing(trials[0].preprocessing)
    ranked = _ranked(e for e in (*trials, *tried) if e.images)
    rest = [e for e in ranked if e.combination != trials[0].combination][:_MAX_RANKED]
    near = [e for e in rivals if e.accuracy >= trials[0].accuracy - _TIED_WITHIN]
    return Settled(
        chosen,
        tuple(entrant.trial() for entrant in (trials[0], *rest)),
        tuple(dict.fromkeys(entrant.loaded.architecture for entrant in near)),
    )


def _choose(contest: Contest, sizes: Sequence[int], tried: list[Entrant]) -> list[Entrant]:
    """Choose network, form and preprocessing in turn; return the trials of the last, best first.
    All other trials are added to ``tried``.
    """
    candidate, size = find_network(contest, sizes, tried)
    only = contest.normalization
    choices = [only] if only else _normalizations(contest.opened, contest.pixels(size))
    trials = _trials(contest, candidate, size, choices)
    other = find_form(contest, candidate, trials[0], tried)
    if other is not None:
        tried += trials
        trials = _trials(contest, *other, choices)
    return trials


def _ranked(entrants: Iterable[Entrant]) -> list[Entrant]:
    """Best first: those that went furthest, then by accuracy; if a combination was entered twice,
    only the trial that went further.
    """
    unique: dict[tuple[str, Preprocessing], Entrant] = {}
    for entrant in sorted(entrants, key=lambda e: (-e.images, -e.accuracy, e.loss)):
        unique.setdefault(entrant.combination, entrant)
    return list(unique.values())


def _normalizations(opened: Opened, pixels: NDArray[np.uint8]) -> list[Normalization]:
    """What the file names, all known ones, and the mean and std of the images themselves."""
    values = pixels.astype(np.float32) / 255
    mean, std = values.mean((0, 2, 3)), values.std((0, 2, 3))
    own = Normalization("these images", _three(mean), _three(std))
    scalar = Normalization(
        "these images, scalar", _three([values.mean()] * 3), _three([values.std()] * 3)
    )
    flat = any(min(n.std) < 1e-3 for n in (own, scalar))
    return [*opened.declared, *NORMALIZATIONS.values(), *(() if flat else (own, scalar))]


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
    contest = Contest(opened, pixels, nothing, folders, where, precision, job)
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
    left = contest.run(field, contest.affordable(field, _MAX_MATCHING_IMAGES, SECONDS))
    return max(left, key=lambda entrant: entrant.matched).confusion


def _trials(
    contest: Contest, candidate: Candidate, size: int, choices: Sequence[Normalization]
) -> list[Entrant]:
    """All normalizations and channel orders for one network and input size, best first."""
    channels = contest.loaded(candidate).channels
    entrants = [
        contest.enter(candidate, Preprocessing(size, choice, order))
        for choice in choices
        for order in _orders(channels, choice, contest.reshaped) or ("gray",)
    ]
    field = _remembered(entrants)
    for until, keep in ROUNDS:
        ranked = by_accuracy(contest.run(field, until))
        field = ranked[:keep]
        if field[0].mismatch is None:  # accuracy alone decides, and on few images it says little
            field += [e for e in ranked[keep : 3 * keep] if not e.is_worse_than(ranked[0])]
        remembered = min(ranked, key=lambda entrant: entrant.tie_break)
        if remembered not in field:
            field.append(remembered)
    most = contest.affordable(field, len(contest.labels), SECONDS)
    field = by_accuracy(contest.run(field, most))
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


def _rivals(contest: Contest, best: Entrant, tried: Sequence[Entrant]) -> list[Entrant]:
    """The best of the other networks, shown as many images as the chosen one."""
    by_name: dict[str, Entrant] = {}
    for entrant in _ranked(e for e in tried if e.images):
        by_name.setdefault(entrant.loaded.architecture, entrant)
    by_name.pop(best.loaded.architecture, None)
    others = sorted(by_name.values(), key=lambda e: (-e.accuracy, e.loss))[:_MAX_RIVALS]
    others = [e for e in others if e.accuracy >= best.accuracy / 2]
    return contest.run(others, best.images) if others else []
