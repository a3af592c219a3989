"""What the weights do not say is settled by clean accuracy: stride, pooling, input size, mean and
std, channel order.

Every combination is tried on a few labelled images, the better ones on more, the best on all
(successive halving), so that a dozen candidates cost little more than one. Accuracy decides; within
one point of the best the smaller cross-entropy does, which tells near twins (std 0.247 or 0.2023)
apart where a handful of images cannot.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from bdshift.checkpoints.classifier import Classifier, Opened
from bdshift.devices import autocast
from bdshift.errors import InputError
from bdshift.images.preprocessing import NORMALISATIONS, Normalisation, Order, Preprocessing
from bdshift.jobs import SILENT, JobContext

_ROUNDS = ((30, 5), (140, 2))  # (images so far, how many go on); the last round has all images
_MATCHING_ROUND = (240, 2)  # an assignment of classes needs more images to mean anything
_ORDERS: tuple[Order, ...] = ("rgb", "bgr")
_PROBES = ("imagenet", "none", "half")  # enough to see which stem and size is right at all
_NEAR = 0.01
_BATCH = 125

Pixels = Callable[[int], NDArray[np.uint8]]
"""Gives the trial images (n, 3, size, size) at an input size."""


@dataclass(frozen=True)
class Trial:
    """One combination and how it did.

    Attributes:
        architecture: name of the candidate.
        preprocessing: size, normalisation, order.
        images: how many it was tried on.
        accuracy: share of them classified as labelled.
        loss: mean cross-entropy, in nats.
    """

    architecture: str
    preprocessing: Preprocessing
    images: int
    accuracy: float
    loss: float


@dataclass(frozen=True)
class Settled:
    """The chosen classifier, every trial from best to worst, and the chosen one's predictions.

    ``confusion`` counts the trial images, int64 (C, folders): predicted class by folder.
    """

    classifier: Classifier
    ranking: tuple[Trial, ...]
    confusion: NDArray[np.int64]


class _Entrant:
    """A combination that is being tried; remembers what it has seen."""

    def __init__(self, classifier: Classifier, preprocessing: Preprocessing, folders: int) -> None:
        self.classifier = classifier
        self.preprocessing = preprocessing
        self.images = self.hits = 0
        self.total_loss = 0.0
        self.confusion = np.zeros((classifier.classes, folders), dtype=np.int64)

    def see(
        self,
        pixels: NDArray[np.uint8],
        labels: NDArray[np.int64],
        folders: NDArray[np.int64],
        precision: str,
    ) -> None:
        device = self.classifier.weight.device
        images = self.preprocessing(torch.from_numpy(pixels).to(device))
        with autocast(device, precision):
            logits = self.classifier.embed(images)[1].float()
        targets = torch.from_numpy(labels).to(device)
        predicted = logits.argmax(1)
        loss = torch.nn.functional.cross_entropy(logits, targets, reduction="sum").item()
        self.images += len(labels)
        self.hits += int((predicted == targets).sum())
        self.total_loss += loss if np.isfinite(loss) else 1e6 * len(labels)
        np.add.at(self.confusion, (predicted.cpu().numpy(), folders), 1)

    @property
    def accuracy(self) -> float:
        return self.hits / self.images if self.images else 0.0

    @property
    def matched(self) -> float:
        return matched_accuracy(self.confusion)[0]

    @property
    def loss(self) -> float:
        return self.total_loss / self.images if self.images else float("inf")

    def trial(self) -> Trial:
        return Trial(
            self.classifier.architecture, self.preprocessing, self.images, self.accuracy, self.loss
        )


def matched_accuracy(confusion: NDArray[np.int64]) -> tuple[float, list[int]]:
    """The best accuracy that any assignment of folders to classes gives, and that assignment.

    ``confusion`` is int64 (C, folders); the list holds a class for each folder.
    """
    from scipy.optimize import linear_sum_assignment

    classes, folders = linear_sum_assignment(confusion, maximize=True)
    assigned = dict(zip(folders.tolist(), classes.tolist(), strict=True))
    share = confusion[classes, folders].sum() / max(1, confusion.sum())
    return float(share), [assigned.get(folder, -1) for folder in range(confusion.shape[1])]


def _ranked(entrants: Sequence[_Entrant], *, by_matching: bool = False) -> list[_Entrant]:
    """Best first: those near the best accuracy by loss, the rest by accuracy."""
    if by_matching:
        return sorted(entrants, key=lambda entrant: -entrant.matched)
    best = max(entrant.accuracy for entrant in entrants)
    near = best - max(_NEAR, 2 / max(1, max(entrant.images for entrant in entrants)))
    return sorted(
        entrants,
        key=lambda e: (0.0, e.loss) if e.accuracy >= near else (1 - e.accuracy, e.loss),
    )


class _Contest:
    """Runs entrants over the trial images, round by round."""

    def __init__(
        self,
        opened: Opened,
        pixels: Pixels,
        labels: NDArray[np.int64],
        folders: NDArray[np.int64],
        device: torch.device,
        precision: str,
        job: JobContext,
    ) -> None:
        self.pixels, self.labels, self.folders = pixels, labels, folders
        self.precision, self.job = precision, job
        self.device = device
        self.path = opened.file.path
        self.failure = ""
        self.all: list[_Entrant] = []

    def enter(self, classifier: Classifier, preprocessing: Preprocessing) -> _Entrant:
        entrant = _Entrant(classifier, preprocessing, int(self.folders.max(initial=0)) + 1)
        self.all.append(entrant)
        return entrant

    def run(self, field: Sequence[_Entrant], until: int) -> list[_Entrant]:
        """Show each entrant the images up to ``until``; those that cannot be run drop out."""
        until = min(until, len(self.labels))
        left = []
        for number, entrant in enumerate(field):
            name = entrant.preprocessing.normalisation.name
            images = self.pixels(entrant.preprocessing.size)
            stage = f"Choosing the preprocessing on {until} images"
            self.job.progress(stage, number, len(field), "candidates", name)
            try:
                for start in range(entrant.images, until, _BATCH):
                    self.job.raise_if_cancelled()
                    part = slice(start, min(start + _BATCH, until))
                    entrant.see(images[part], self.labels[part], self.folders[part], self.precision)
            except RuntimeError as error:  # this size does not go through this network
                self.failure = str(error).splitlines()[0]
                self.all.remove(entrant)
                continue
            left.append(entrant)
        if not left:
            raise InputError(
                f"{self.path}: the network cannot be run on these images ({self.failure})"
            )
        return left


def settle(
    opened: Opened,
    pixels: Pixels,
    labels: NDArray[np.int64],
    folders: NDArray[np.int64],
    *,
    sizes: Sequence[int] = (),
    normalisation: Normalisation | None = None,
    by_matching: bool = False,
    device: torch.device | None = None,
    precision: str = "float32",
    job: JobContext = SILENT,
) -> Settled:
    """Choose the candidate and the preprocessing with the best clean accuracy.

    Args:
        opened: the checkpoint and its candidates.
        pixels: the trial images at any size, in random order of class.
        labels: class of each, int64 (n,); up to 500 are enough.
        folders: folder of each, int64 (n,), for the confusion counts.
        sizes: input sizes to try first (the images' own).
        normalisation: try only this one (with both channel orders), not all known.
        by_matching: rank by the accuracy under the best assignment of folders to classes, for
            when the folders' order is in doubt.
        device, precision: where and how to run.
        job: progress and cancellation.

    Raises `InputError` if no combination can be run at all.
    """
    where = device or torch.device("cpu")
    contest = _Contest(opened, pixels, labels, folders, where, precision, job)
    choices = [normalisation] if normalisation else list(NORMALISATIONS.values())
    classifier, size = _network(opened, contest, sizes, by_matching)
    field = [
        contest.enter(classifier, Preprocessing(size, choice, order))
        for choice in choices
        for order in _ORDERS
    ]
    for until, keep in (_MATCHING_ROUND,) if by_matching else _ROUNDS:
        field = _ranked(contest.run(field, until), by_matching=by_matching)[:keep]
    field = _ranked(contest.run(field, len(labels)), by_matching=by_matching)
    rest = sorted(
        (entrant for entrant in contest.all if entrant not in field and entrant.images),
        key=lambda entrant: (-entrant.images, -entrant.accuracy, entrant.loss),
    )
    trials = tuple(entrant.trial() for entrant in [*field, *rest])
    chosen = field[0].classifier.with_preprocessing(field[0].preprocessing)
    return Settled(chosen, trials, field[0].confusion)


def _network(
    opened: Opened, contest: _Contest, sizes: Sequence[int], by_matching: bool
) -> tuple[Classifier, int]:
    """The candidate and input size with which something is seen at all, whatever the details."""
    pairs = []
    for candidate in opened.candidates:
        classifier = opened.classifier(candidate)
        classifier.network.to(contest.device)
        pairs += [(classifier, size) for size in dict.fromkeys([*sizes, *candidate.sizes])]
    if len(pairs) == 1:
        return pairs[0]
    field = [
        contest.enter(classifier, Preprocessing(size, NORMALISATIONS[name], order))
        for classifier, size in pairs
        for name in _PROBES
        for order in _ORDERS
    ]
    until = (_MATCHING_ROUND if by_matching else _ROUNDS[0])[0]
    ranked = _ranked(contest.run(field, until), by_matching=by_matching)
    contest.all.clear()
    return ranked[0].classifier, ranked[0].preprocessing.size
