"""What the weights do not say is settled by clean accuracy: stride, pooling, activation, input
size, mean and std, channel order.

Every combination is tried on a few labelled images, the better ones on more, the best on all
(successive halving), so that two dozen candidates cost less than one pass of a scan. Accuracy
decides. Between accuracies that these images cannot tell apart, the statistics in the first batch
norm do (`bdshift.checkpoints.input_statistics`), and without one the cross-entropy.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from bdshift.checkpoints.classifier import Classifier, Opened
from bdshift.checkpoints.contest import Contest, Entrant, Pixels, Trial, by_accuracy
from bdshift.checkpoints.families import Candidate
from bdshift.images.preprocessing import NORMALISATIONS, Normalisation, Order, Preprocessing
from bdshift.jobs import SILENT, JobContext

_ROUNDS = ((30, 5), (140, 2))  # (images so far, how many go on); the last round has all images
_ORDERS: tuple[Order, ...] = ("rgb", "bgr")
_PROBES = ("imagenet", "none", "half")  # enough to see which stem and size is right at all
_CERTAIN = 0.95  # with such an accuracy no other activation is tried
_GAIN = 0.05  # and where one is tried, it must do so much better
_MATCHING_IMAGES, _MATCHING_FIELD = 240, 4


@dataclass(frozen=True)
class Settled:
    """The chosen classifier, and every trial: the chosen one, then from best to worst."""

    classifier: Classifier
    ranking: tuple[Trial, ...]


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
        normalisation: try only this one (with both channel orders), not all known.
        device, precision: where and how to run.
        job: progress and cancellation.

    Raises `InputError` if no combination can be run at all.
    """
    where = device or torch.device("cpu")
    contest = Contest(opened, pixels, labels, labels, where, precision, job)
    choices = [normalisation] if normalisation else list(NORMALISATIONS.values())
    candidate, size = _network(contest, sizes)
    trials = _trials(contest, candidate, size, choices)
    rare = _rare_network(contest, candidate, trials[0])
    if rare is not None:
        trials = _trials(contest, rare, size, choices)
    chosen = trials[0].classifier.with_preprocessing(trials[0].preprocessing)
    return Settled(chosen, tuple(entrant.trial() for entrant in trials))


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
        for size in dict.fromkeys([*sizes, *candidate.sizes])
        for choice in NORMALISATIONS.values()
        for order in _ORDERS
    ]
    if all(entrant.mismatch is not None for entrant in field):
        per_network: dict[tuple[str, int], list[Entrant]] = {}
        for entrant in sorted(field, key=lambda e: e.tie_break):
            key = (entrant.classifier.architecture, entrant.preprocessing.size)
            per_network.setdefault(key, []).append(entrant)
        field = [e for group in per_network.values() for e in group[:_MATCHING_FIELD]]
    left = contest.run(field, _MATCHING_IMAGES)
    return max(left, key=lambda entrant: entrant.matched).confusion


def _trials(
    contest: Contest, candidate: Candidate, size: int, choices: Sequence[Normalisation]
) -> list[Entrant]:
    """All normalisations and channel orders for one network and input size, best first."""
    entrants = [
        contest.enter(candidate, Preprocessing(size, choice, order))
        for choice in choices
        for order in _ORDERS
    ]
    field = entrants
    for until, keep in _ROUNDS:
        ranked = by_accuracy(contest.run(field, until))
        field = ranked[:keep]
        remembered = min(ranked, key=lambda entrant: entrant.tie_break)
        if remembered not in field:
            field.append(remembered)
    field = by_accuracy(contest.run(field, len(contest.labels)))
    rest = [entrant for entrant in entrants if entrant.images and entrant not in field]
    rest.sort(key=lambda entrant: (-entrant.images, -entrant.accuracy, entrant.loss))
    return field + rest


def _network(contest: Contest, sizes: Sequence[int]) -> tuple[Candidate, int]:
    """The candidate and input size with which something is seen at all, whatever the details."""
    pairs = [
        (candidate, size)
        for candidate in contest.opened.candidates
        for size in dict.fromkeys([*sizes, *candidate.sizes])
    ]
    if len(pairs) == 1:
        return pairs[0]
    entered = {
        contest.enter(candidate, Preprocessing(size, NORMALISATIONS[name], order)): (
            candidate,
            size,
        )
        for candidate, size in pairs
        for name in _PROBES
        for order in _ORDERS
    }
    return entered[by_accuracy(contest.run(list(entered), _ROUNDS[0][0]))[0]]


def _rare_network(contest: Contest, candidate: Candidate, best: Entrant) -> Candidate | None:
    """Another activation that does clearly better than the usual one, if any."""
    if not candidate.rare or best.accuracy >= _CERTAIN:
        return None
    field = [contest.enter(one, best.preprocessing) for one in (candidate, *candidate.rare)]
    contest.run(field, _ROUNDS[0][0])
    usual, *others = field
    winner = max(others, key=lambda entrant: entrant.accuracy)
    better = winner.accuracy >= usual.accuracy + _GAIN
    return candidate.rare[others.index(winner)] if better else None
