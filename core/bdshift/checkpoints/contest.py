"""Combinations of network and preprocessing compete on labeled images."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from bdshift.checkpoints.classifier import LoadedNetwork, Opened
from bdshift.checkpoints.entrant import NO_LABEL, Entrant, of_training
from bdshift.checkpoints.families import Candidate
from bdshift.checkpoints.footprint import UNFIT, largest_batch, work_per_image
from bdshift.checkpoints.input_statistics import InputStatistics
from bdshift.checkpoints.norm_memory import NormMemory
from bdshift.devices import is_out_of_memory
from bdshift.errors import InputError
from bdshift.images.preprocessing import Normalization, Preprocessing
from bdshift.jobs import JobContext
from bdshift.words import Sentence

_WORK = 1e12  # multiply-adds that a round may take, about 20 seconds of one core
_MAX_BATCH = 125  # images at a time
_MIN_IMAGES = 40  # images from which accuracies can be distinguished at all
_NORM_IMAGES = 240  # that a network's norms are compared with
_SIZE_ODDNESS = 1.0  # nats (`Candidate.oddness`), for images that are not used in their own size

Pixels = Callable[[int], NDArray[np.uint8]]
"""Gives the trial images (n, 3, size, size) at an input size."""


@dataclass(frozen=True)
class TrialSet:
    """Images in random order: ``labels`` and ``folders`` are int64 (n,); all labels are `NO_LABEL`
    where there are none.
    """

    pixels: Pixels
    labels: NDArray[np.int64]
    folders: NDArray[np.int64]


More = Callable[[int], TrialSet]
"""Reads up to a number of further trial images."""


class Contest:
    """Runs entrants over the trial images, a stretch at a time; with ``normalization``, only that
    one is used. ``sizes`` are the images' own, () if they differ. ``more`` reads further images,
    for networks that the first ones do not tell apart.
    """

    def __init__(
        self,
        opened: Opened,
        trial: TrialSet,
        device: torch.device,
        precision: str,
        job: JobContext,
        *,
        sizes: Sequence[int] = (),
        normalization: Normalization | None = None,
        more: More | None = None,
    ) -> None:
        self.opened = opened
        self.sizes, self.normalization = sizes, normalization
        self.reshaped = False  # whether reshaped (not transposed) pixels are tried, too
        self.device, self.precision, self.job = device, precision, job
        self.failure = ""
        self._parts = [trial]
        self._more = more
        self._folders = int(trial.folders.max(initial=0)) + 1
        shown = np.bincount(trial.labels[trial.labels >= 0], minlength=opened.classes)
        self._weight_of = len(trial.labels) / (np.maximum(1, shown) * max(1, (shown > 0).sum()))
        self._loaded: dict[str, LoadedNetwork] = {}
        self._candidates: dict[str, Candidate] = {}
        self._batches: dict[tuple[str, int], int] = {}
        self._statistics = InputStatistics(trial.pixels)

    @property
    def labeled(self) -> bool:
        """Whether the images have labels."""
        return not bool((self._parts[0].labels == NO_LABEL).all())

    @property
    def images(self) -> int:
        """How many trial images there are."""
        return sum(len(part.labels) for part in self._parts)

    def pixels(self, size: int) -> NDArray[np.uint8]:
        """The first trial images at an input size, uint8 (n, 3, size, size)."""
        return self._parts[0].pixels(size)

    def loaded(self, candidate: Candidate) -> LoadedNetwork:
        """The candidate with the file's weights on the device, built once."""
        if candidate.name not in self._loaded:
            made = self.opened.load(candidate, self.job)
            made.network.to(self.device)
            self._loaded[candidate.name] = made
        return self._loaded[candidate.name]

    def enter(
        self, candidate: Candidate, preprocessing: Preprocessing, *, form: bool = False
    ) -> Entrant:
        """A new entrant with its mismatch measured. If the ``form`` of a network rather than its
        preprocessing is in question, all its norms are watched instead: they show what is between
        them.
        """
        loaded = self.loaded(candidate)
        # Where the order of layers is inferred, the norms show what is between them.
        inferred = candidate.rebuilt or candidate.by_shape
        norms = NormMemory(loaded.network) if inferred or form else None
        self._candidates[candidate.name] = candidate
        entrant = Entrant(
            loaded, preprocessing, self._folders,
            norms if norms and norms.norms else None,
            self.oddness(candidate, preprocessing.size),
        )  # fmt: skip
        self.job.raise_if_canceled()
        self._batch(entrant)  # before running anything: even one image may be too much
        if form and entrant.norms is not None:
            return entrant
        entrant.mismatch = self._statistics.mismatch(entrant.loaded.network, preprocessing)
        return entrant

    def candidate(self, entrant: Entrant) -> Candidate:
        """What it was entered as."""
        return self._candidates[entrant.loaded.architecture]

    def oddness(self, candidate: Candidate, size: int) -> float:
        """`Candidate.oddness`, and more if it does not take the images in their own size."""
        resized = bool(self.sizes) and size not in self.sizes
        return candidate.oddness + _SIZE_ODDNESS * resized

    def _batch(self, entrant: Entrant) -> int:
        """Images per batch; computed once per network and size."""
        key = entrant.loaded.architecture, entrant.preprocessing.size
        if key not in self._batches:
            self._batches[key] = largest_batch(
                entrant.loaded.network, key[1], self.device, _MAX_BATCH,
                entrant.preprocessing.channels,
            )  # fmt: skip
        return self._batches[key]

    def affordable(self, field: Sequence[Entrant], until: int) -> int:
        """How many images each of ``field`` can be shown within a fixed amount of work; at most
        ``until``, but never fewer than a minimum.
        """
        each, seen = sum(map(self._work_of, field)), min(one.images for one in field)
        return min(until, max(_MIN_IMAGES, seen + int(_WORK / each)))

    def _work_of(self, entrant: Entrant) -> float:
        network, plain = entrant.loaded.network, entrant.preprocessing
        work = work_per_image(network, plain.size, plain.channels)
        return max(1.0, work.multiply_adds)

    def read_more(self, field: Sequence[Entrant], most: int) -> int:
        """Read further images, once, as many as ``field`` can be shown but at most ``most``.
        Returns how many there are then in all.
        """
        if self._more is not None:
            count = self.affordable(field, self.images + most) - self.images
            if count > 0:
                self._parts.append(self._more(count))
                self._more = None
        return self.images

    def run(self, field: Sequence[Entrant], until: int) -> list[Entrant]:
        """Show each entrant the images up to ``until``; those that cannot be run drop out, and
        those whose logits no training produces, if others are left.

        Raises `InputError` if none is left.
        """
        until = min(until, self.images)
        left = []
        stage = Sentence("Choosing the preprocessing on {count:|image|images}", {"count": until})
        for number, entrant in enumerate(field):
            name = entrant.preprocessing.normalization.name
            self.job.progress(stage, number, len(field), "candidates", name)
            try:
                for part, rows in self._batches_from(entrant, until):
                    self.job.raise_if_canceled()
                    labels = part.labels[rows]
                    entrant.see(
                        part.pixels(entrant.preprocessing.size)[rows], labels, part.folders[rows],
                        self.precision, self._weight_of[labels],
                    )  # fmt: skip
            except UNFIT as error:
                if is_out_of_memory(error):
                    raise
                self.failure = (str(error) or type(error).__name__).splitlines()[0]
                continue
            left.append(entrant)
        self.job.progress(stage, len(field), len(field), "candidates")
        if not left:
            path = self.opened.file.path
            raise InputError(
                "{path}: the network cannot be run on these images ({reason})",
                path=path, reason=self.failure,
            )  # fmt: skip
        return of_training(left)

    def _batches_from(self, entrant: Entrant, until: int) -> Iterator[tuple[TrialSet, slice]]:
        """The images that it has not seen yet, up to ``until``: a part, and the rows in it."""
        batch, offset, seen = self._batch(entrant), 0, entrant.images
        for part in self._parts:
            end = min(len(part.labels), until - offset)
            for start in range(max(0, seen - offset), end, batch):
                yield part, slice(start, min(start + batch, end))
            offset += len(part.labels)

    def norms_mismatch(self, entrant: Entrant) -> float | None:
        """How far the inputs of all the norms of a network are from what these remember
        (`NormMemory`); None without norms.
        """
        if entrant.norms is not None:
            return entrant.norms.mismatch
        norms = NormMemory(entrant.loaded.network)
        if not norms.norms:
            return None
        watched = Entrant(entrant.loaded, entrant.preprocessing, self._folders, norms)
        self.run([watched], self.affordable([watched], _NORM_IMAGES))
        return norms.mismatch
