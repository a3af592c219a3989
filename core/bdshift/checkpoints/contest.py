"""Combinations of network and preprocessing compete on labeled images."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from bdshift.checkpoints.classifier import LoadedNetwork, Opened
from bdshift.checkpoints.families import Candidate
from bdshift.checkpoints.footprint import UNFIT, largest_batch
from bdshift.checkpoints.input_statistics import InputStatistics
from bdshift.checkpoints.norm_memory import NormMemory
from bdshift.devices import autocast, is_out_of_memory
from bdshift.errors import InputError
from bdshift.images.preprocessing import Normalization, Preprocessing
from bdshift.jobs import JobContext
from bdshift.words import Sentence

_EQUAL_WITHIN = 0.01  # accuracies this close, or two images apart, count as equal
_MAX_BATCH = 125
_MIN_IMAGES = 40  # images from which accuracies can be distinguished at all

Pixels = Callable[[int], NDArray[np.uint8]]
"""Gives the trial images (n, 3, size, size) at an input size."""


@dataclass(frozen=True)
class Trial:
    """One combination and how it did.

    Attributes:
        architecture: name of the candidate.
        preprocessing: size, normalization, order.
        images: how many it was tried on.
        accuracy: share of them classified as labeled.
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
    """A combination that is being tried; it records its results so far."""

    def __init__(
        self,
        loaded: LoadedNetwork,
        preprocessing: Preprocessing,
        folders: int,
        norms: NormMemory | None = None,
    ) -> None:
        self.norms = norms
        self.loaded = loaded
        self.preprocessing = preprocessing
        self.right: NDArray[np.bool_] = np.zeros(0, dtype=bool)
        self.total_loss = 0.0
        self.mismatch: float | None = None
        self.confusion = np.zeros((loaded.classes, folders), dtype=np.int64)

    def see(
        self,
        pixels: NDArray[np.uint8],
        labels: NDArray[np.int64],
        folders: NDArray[np.int64],
        precision: str,
    ) -> None:
        """Classify images and count."""
        device = self.loaded.weight.device
        images = self.preprocessing(torch.from_numpy(pixels).to(device))
        watched = nullcontext() if self.norms is None else self.norms
        with watched, autocast(device, precision):
            logits = self.loaded.embed(images)[1].float()
        targets = torch.from_numpy(labels).to(device)
        predicted = logits.argmax(1)
        loss = torch.nn.functional.cross_entropy(logits, targets, reduction="sum").item()
        self.right = np.concatenate([self.right, (predicted == targets).cpu().numpy()])
        self.total_loss += loss if np.isfinite(loss) else 1e6 * len(labels)
        np.add.at(self.confusion, (predicted.cpu().numpy(), folders), 1)

    @property
    def images(self) -> int:
        """How many it has seen."""
        return len(self.right)

    @property
    def accuracy(self) -> float:
        """Share classified as labeled so far."""
        return float(self.right.mean()) if self.images else 0.0

    def is_worse_than(self, other: Entrant) -> bool:
        """Whether it is worse, on the images that both have seen, by more than chance explains: at
        the 5% level, by the number of images on which they differ (McNemar).
        """
        seen = min(self.images, other.images)
        only_self = int((self.right[:seen] & ~other.right[:seen]).sum())
        only_other = int((other.right[:seen] & ~self.right[:seen]).sum())
        return only_other - only_self > 1.64 * (only_other + only_self) ** 0.5

    @property
    def combination(self) -> tuple[str, Preprocessing]:
        """What is being tried: the network's name and the preprocessing."""
        return self.loaded.architecture, self.preprocessing

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
        """What decides between equal accuracies (smaller is better): the mismatch with the first
        batch norm's statistics, or the cross-entropy if there is none.
        """
        if self.mismatch is not None:
            return self.mismatch
        return self.loss if self.norms is None else self.norms.mismatch

    def trial(self) -> Trial:
        """What to report."""
        return Trial(
            self.loaded.architecture,
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
    """Best first; those as good as the best are ordered by `Entrant.tie_break`. Where batch norm
    statistics are available, which are sharper evidence, everything within two standard errors
    counts as equally good.
    """
    best = max(entrant.accuracy for entrant in entrants)
    most = max(1, max(entrant.images for entrant in entrants))
    margin = max(_EQUAL_WITHIN, 2 / most)
    if all(entrant.mismatch is not None for entrant in entrants):
        margin = max(margin, 2 * (best * (1 - best) / most) ** 0.5)
    return sorted(
        entrants,
        key=lambda e: (
            (0.0, e.tie_break) if e.accuracy >= best - margin else (1 - e.accuracy, e.tie_break)
        ),
    )


class Contest:
    """Runs entrants over the trial images, a stretch at a time; with ``normalization``, only that
    one is used.
    """

    def __init__(
        self,
        opened: Opened,
        pixels: Pixels,
        labels: NDArray[np.int64],
        folders: NDArray[np.int64],
        device: torch.device,
        precision: str,
        job: JobContext,
        *,
        normalization: Normalization | None = None,
    ) -> None:
        self.opened = opened
        self.normalization = normalization
        self.reshaped = False  # whether reshaped (not transposed) pixels are tried, too
        self.pixels, self.labels, self.folders = pixels, labels, folders
        self.device, self.precision, self.job = device, precision, job
        self.failure = ""
        self._loaded: dict[str, LoadedNetwork] = {}
        self._batches: dict[tuple[str, int], int] = {}
        self._pace: dict[tuple[str, int], float] = {}
        self._statistics = InputStatistics(pixels)

    def loaded(self, candidate: Candidate) -> LoadedNetwork:
        """The candidate with the file's weights on the device, built once."""
        if candidate.name not in self._loaded:
            made = self.opened.load(candidate)
            made.network.to(self.device)
            self._loaded[candidate.name] = made
        return self._loaded[candidate.name]

    def enter(
        self, candidate: Candidate, preprocessing: Preprocessing, *, form: bool = False
    ) -> Entrant:
        """A new entrant with its mismatch measured. It is not measured if the ``form`` rather than
        the preprocessing is in question and all norms are watched anyway.
        """
        loaded = self.loaded(candidate)
        # Where the order of layers is inferred, the norms show what is between them.
        inferred = candidate.rebuilt or candidate.by_shape
        norms = NormMemory(loaded.network) if inferred else None
        folders = int(self.folders.max(initial=0)) + 1
        entrant = Entrant(loaded, preprocessing, folders, norms if norms and norms.norms else None)
        self.job.raise_if_canceled()
        self._batch(entrant)  # before running anything: even one image may be too much
        if form and entrant.norms is not None:
            return entrant
        entrant.mismatch = self._statistics.mismatch(entrant.loaded.network, preprocessing)
        return entrant

    def _batch(self, entrant: Entrant) -> int:
        """Images per batch that fit into memory; computed once per network and size."""
        key = entrant.loaded.architecture, entrant.preprocessing.size
        if key not in self._batches:
            network = entrant.loaded.network
            self._batches[key] = largest_batch(
                network, key[1], self.device, _MAX_BATCH, entrant.preprocessing.channels
            )
        return self._batches[key]

    def affordable(self, field: Sequence[Entrant], until: int, seconds: float) -> int:
        """How many images ``field`` can be shown within this many seconds, as far as the time per
        image is known; at most ``until``, but never fewer than a minimum.
        """
        pace = sum(
            self._pace.get((e.loaded.architecture, e.preprocessing.size), 0.0) for e in field
        )
        return until if pace * until <= seconds else max(_MIN_IMAGES, int(seconds / pace))

    def run(self, field: Sequence[Entrant], until: int) -> list[Entrant]:
        """Show each entrant the images up to ``until``; those that cannot be run drop out.

        Raises `InputError` if none is left.
        """
        until = min(until, len(self.labels))
        left = []
        for number, entrant in enumerate(field):
            name = entrant.preprocessing.normalization.name
            images = self.pixels(entrant.preprocessing.size)
            stage = Sentence(
                "Choosing the preprocessing on {count:|image|images}", {"count": until}
            )
            self.job.progress(stage, number, len(field), "candidates", name)
            try:
                batch = self._batch(entrant)
                began, seen = time.perf_counter(), entrant.images
                for start in range(entrant.images, until, batch):
                    self.job.raise_if_canceled()
                    part = slice(start, min(start + batch, until))
                    entrant.see(images[part], self.labels[part], self.folders[part], self.precision)
            except UNFIT as error:
                if is_out_of_memory(error):
                    raise
                self.failure = (str(error) or type(error).__name__).splitlines()[0]
                continue
            if entrant.images > seen:
                key = entrant.loaded.architecture, entrant.preprocessing.size
                self._pace[key] = (time.perf_counter() - began) / (entrant.images - seen)
            left.append(entrant)
        if not left:
            path = self.opened.file.path
            raise InputError(
                "{path}: the network cannot be run on these images ({reason})",
                path=path, reason=self.failure,
            )  # fmt: skip
        return left
