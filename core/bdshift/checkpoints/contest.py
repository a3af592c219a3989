"""Combinations of network and preprocessing compete on labelled images."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from bdshift.checkpoints.classifier import Classifier, Opened
from bdshift.checkpoints.families import Candidate
from bdshift.checkpoints.footprint import largest_batch
from bdshift.checkpoints.input_statistics import InputStatistics
from bdshift.devices import autocast
from bdshift.errors import InputError
from bdshift.images.preprocessing import Preprocessing
from bdshift.jobs import JobContext

_NEAR = 0.01  # accuracies this close, or two images apart, count as equal
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
        mismatch: of the first batch norm's statistics (`InputStatistics`); None without one.
    """

    architecture: str
    preprocessing: Preprocessing
    images: int
    accuracy: float
    loss: float
    mismatch: float | None


class Entrant:
    """A combination that is being tried; remembers what it has seen."""

    def __init__(self, classifier: Classifier, preprocessing: Preprocessing, folders: int) -> None:
        self.classifier = classifier
        self.preprocessing = preprocessing
        self.images = self.hits = 0
        self.total_loss = 0.0
        self.mismatch: float | None = None
        self.confusion = np.zeros((classifier.classes, folders), dtype=np.int64)

    def see(
        self,
        pixels: NDArray[np.uint8],
        labels: NDArray[np.int64],
        folders: NDArray[np.int64],
        precision: str,
    ) -> None:
        """Classify images and count."""
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
        """Share classified as labelled so far."""
        return self.hits / self.images if self.images else 0.0

    @property
    def loss(self) -> float:
        """Mean cross-entropy so far."""
        return self.total_loss / self.images if self.images else float("inf")

    @property
    def matched(self) -> float:
        """Accuracy under the best assignment of folders to classes."""
        return matched_accuracy(self.confusion)[0]

    @property
    def tie_break(self) -> float:
        """What decides between equal accuracies, smaller is better: the batch norm's memory, or
        without one the cross-entropy.
        """
        return self.loss if self.mismatch is None else self.mismatch

    def trial(self) -> Trial:
        """What to report."""
        return Trial(
            self.classifier.architecture,
            self.preprocessing,
            self.images,
            self.accuracy,
            self.loss,
            self.mismatch,
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


def by_accuracy(entrants: Sequence[Entrant]) -> list[Entrant]:
    """Best first; those as good as the best in the order of `Entrant.tie_break`."""
    best = max(entrant.accuracy for entrant in entrants)
    near = best - max(_NEAR, 2 / max(1, max(entrant.images for entrant in entrants)))
    return sorted(
        entrants,
        key=lambda e: (0.0, e.tie_break) if e.accuracy >= near else (1 - e.accuracy, e.tie_break),
    )


class Contest:
    """Runs entrants over the trial images, a stretch at a time."""

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
        self.opened = opened
        self.pixels, self.labels, self.folders = pixels, labels, folders
        self.device, self.precision, self.job = device, precision, job
        self.failure = ""
        self._classifiers: dict[str, Classifier] = {}
        self._batches: dict[tuple[str, int], int] = {}
        self._statistics = InputStatistics(pixels)

    def classifier(self, candidate: Candidate) -> Classifier:
        """The candidate with the file's weights on the device, made once."""
        if candidate.name not in self._classifiers:
            made = self.opened.classifier(candidate)
            made.network.to(self.device)
            self._classifiers[candidate.name] = made
        return self._classifiers[candidate.name]

    def enter(self, candidate: Candidate, preprocessing: Preprocessing) -> Entrant:
        """A new entrant, its mismatch measured."""
        entrant = Entrant(
            self.classifier(candidate), preprocessing, int(self.folders.max(initial=0)) + 1
        )
        self.job.raise_if_cancelled()
        self._batch(entrant)  # before anything is sent through: one image may be too much already
        entrant.mismatch = self._statistics.mismatch(entrant.classifier.network, preprocessing)
        return entrant

    def _batch(self, entrant: Entrant) -> int:
        """Images at a time that the memory has room for; asked once a network and size."""
        key = entrant.classifier.architecture, entrant.preprocessing.size
        if key not in self._batches:
            network = entrant.classifier.network
            self._batches[key] = largest_batch(network, key[1], self.device, _BATCH)
        return self._batches[key]

    def run(self, field: Sequence[Entrant], until: int) -> list[Entrant]:
        """Show each entrant the images up to ``until``; those that cannot be run drop out.

        Raises `InputError` if none is left.
        """
        until = min(until, len(self.labels))
        left = []
        for number, entrant in enumerate(field):
            name = entrant.preprocessing.normalisation.name
            images = self.pixels(entrant.preprocessing.size)
            stage = f"Choosing the preprocessing on {until} images"
            self.job.progress(stage, number, len(field), "candidates", name)
            try:
                batch = self._batch(entrant)
                for start in range(entrant.images, until, batch):
                    self.job.raise_if_cancelled()
                    part = slice(start, min(start + batch, until))
                    entrant.see(images[part], self.labels[part], self.folders[part], self.precision)
            except RuntimeError as error:  # this size does not go through this network
                self.failure = str(error).splitlines()[0]
                continue
            left.append(entrant)
        if not left:
            path = self.opened.file.path
            raise InputError(f"{path}: the network cannot be run on these images ({self.failure})")
        return left
