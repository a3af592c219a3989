"""One combination of network and preprocessing in a contest, and what it showed so far."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from bdshift.checkpoints.classifier import LoadedNetwork
from bdshift.checkpoints.norm_memory import NormMemory
from bdshift.devices import autocast
from bdshift.images.preprocessing import Preprocessing

_EQUAL_WITHIN = 0.01  # accuracies this close, or two images apart, count as equal
_CHANCE = 1.64  # standard errors that chance explains
_ONE_CLASS = 0.98  # of all predictions: such a network says nothing about its images
_MIN_IMAGES = 12  # from which predictions can be said to be all of one class
_NO_SPREAD = 1e-9  # nats an image: rounding
_SAME_LOSS = 1e-4  # relative: networks whose losses differ by less compute the same
MAX_LOGIT_SPREAD = 1e5
"""Between the logits of one image; in a trained network they are about ten to a hundred apart.
Beyond this, the softmax is a hard maximum, and Eq. 4 has no meaning that its α could express.
"""
NO_LABEL = -1
"""In place of the label of an image that has none."""

_SCALES = tuple(math.exp(-7 + 11 * step / 31) for step in range(32))  # of the logits
_CACHED = 2**16  # numbers that fit into a processor's cache
_AS_THEY_ARE = min(range(len(_SCALES)), key=lambda step: abs(_SCALES[step] - 1))


@dataclass(frozen=True)
class Trial:
    """One combination and how it did.

    Attributes:
        architecture: name of the candidate.
        preprocessing: size, normalization, order.
        images: how many it was tried on.
        accuracy: share of them classified as labeled; NaN without labels.
        loss: mean cross-entropy, in nats; NaN without labels.
        mismatch: of the first batch norm's statistics (`InputStatistics`); None without one.
        confidence: mean probability that it gives to the class it predicts; None in old audits.
        one_class: share of the images that it sends to its most frequent class; None in old audits.
        norms: mismatch of all its norms' statistics (`NormMemory`), measured for the chosen one;
            None if it was not measured, or without batch norms.
    """

    architecture: str
    preprocessing: Preprocessing
    images: int
    accuracy: float
    loss: float
    mismatch: float | None
    confidence: float | None = None
    one_class: float | None = None
    norms: float | None = None


class Entrant:
    """A combination that is being tried; it records its results so far.

    The images of a class count as much as those of any other together, if their weights say so:
    a network that always predicts the most frequent class gains nothing. Images without labels
    (`NO_LABEL`) count as what the network takes them for, and `score` is how much that says.
    """

    def __init__(
        self,
        loaded: LoadedNetwork,
        preprocessing: Preprocessing,
        folders: int,
        norms: NormMemory | None = None,
        oddness: float = 0.0,
    ) -> None:
        self.norms = norms
        self.oddness = oddness
        self.loaded = loaded
        self.preprocessing = preprocessing
        self.right: NDArray[np.bool_] = np.zeros(0, dtype=bool)
        self.weights: NDArray[np.float64] = np.zeros(0)
        self.total_loss = self.total_confidence = 0.0
        self.spread = 0.0  # the largest between the logits of one image
        self._likelihoods: NDArray[np.float64] = np.zeros((0, len(_SCALES)))
        self.mismatch: float | None = None
        self.confusion = np.zeros((loaded.classes, folders), dtype=np.int64)
        self._is_labeled = True
        self._total_odds = np.zeros(loaded.classes)
        self._total_entropy = 0.0

    def see(
        self,
        pixels: NDArray[np.uint8],
        labels: NDArray[np.int64],
        folders: NDArray[np.int64],
        precision: str,
        weights: NDArray[np.float64] | None = None,
    ) -> None:
        """Classify images and count; ``weights`` are those of the images, 1 if None."""
        device = self.loaded.weight.device
        images = self.preprocessing(torch.from_numpy(pixels).to(device))
        watched = nullcontext() if self.norms is None else self.norms
        with watched, autocast(device, precision):
            logits = self.loaded.embed(images)[1].float()
        self.spread = max(self.spread, float((logits.amax(1) - logits.amin(1)).max()))
        predicted = logits.argmax(1)
        self._is_labeled = not (labels == NO_LABEL).all()
        targets = torch.from_numpy(labels).to(device) if self._is_labeled else predicted
        loss = torch.nn.functional.cross_entropy(logits, targets, reduction="sum").item()
        self.right = np.concatenate([self.right, (predicted == targets).cpu().numpy()])
        self.weights = np.concatenate(
            [self.weights, np.ones(len(labels)) if weights is None else weights]
        )
        self._likelihoods = np.concatenate([self._likelihoods, _log_likelihoods(logits, targets)])
        self.total_loss += loss if np.isfinite(loss) else 1e6 * len(labels)
        odds = logits.softmax(1).nan_to_num()
        self._total_odds += odds.sum(0).cpu().double().numpy()
        self._total_entropy += torch.special.entr(odds).sum().item()
        sure = odds.amax(1).sum().item()
        self.total_confidence += sure if np.isfinite(sure) else 0.0
        np.add.at(self.confusion, (predicted.cpu().numpy(), folders), 1)

    @property
    def images(self) -> int:
        """How many it has seen."""
        return len(self.right)

    @property
    def accuracy(self) -> float:
        """Share classified as labeled so far."""
        return float(self.right.mean()) if self.images else 0.0

    @property
    def score(self) -> float:
        """What counts in the contest: accuracy with every class counting the same; 0 if nearly all
        images of several classes go to one.

        Without labels, how much the predictions say about the images, as a share of what they
        could: high if each is certain and they differ, as they only are where pixels are read as
        in training (the mutual information that is maximized in unsupervised adaptation).
        """
        if not self.images or self.says_one_class:
            return 0.0
        if not self._is_labeled:
            return self._information
        return float((self.right * self.weights).sum() / self.weights.sum())

    @property
    def _information(self) -> float:
        odds = self._total_odds / self.images
        of_all = -float((odds * np.log(np.maximum(odds, 1e-12))).sum())
        return max(0.0, of_all - self._total_entropy / self.images) / math.log(len(odds))

    @property
    def one_class(self) -> float:
        """Share of the images that it sends to its most frequent class."""
        return float(self.confusion.sum(1).max() / self.images) if self.images else 0.0

    @property
    def says_one_class(self) -> bool:
        """Whether it predicts one class for nearly all images, of whichever class they are."""
        shown = self.confusion.sum(0)
        of_several = not self._is_labeled or shown.max() < _ONE_CLASS * self.images
        return self.images >= _MIN_IMAGES and self.one_class >= _ONE_CLASS and bool(of_several)

    @property
    def likelihood(self) -> NDArray[np.float64]:
        """Logarithm of the probability of each image's label, float64 (n,), with the logits scaled
        by the one factor that makes them most likely: a network may be right and overconfident.
        Without labels, of the class that it predicts, as the logits are.
        """
        if not self._is_labeled:
            return self._likelihoods[:, _AS_THEY_ARE]
        means = self.weights @ self._likelihoods
        return self._likelihoods[:, int(means.argmax())]

    @property
    def scaled_loss(self) -> float:
        """Mean cross-entropy in nats at that scale, with every class counting the same."""
        if not self.images:
            return float("inf")
        return -float(self.weights @ self.likelihood / self.weights.sum())

    def lead_over(self, other: Entrant) -> float:
        """By how many standard errors it is better than ``other`` on the images that both have
        seen, negative if it is worse: the paired difference of `likelihood`, with every class
        counting the same. It says more than which images only one of them gets right.
        """
        seen = min(self.images, other.images)
        weights = self.weights[:seen]
        difference = self.likelihood[:seen] - other.likelihood[:seen]
        mean = float(weights @ difference) / max(float(weights.sum()), 1e-12)
        spread = float(np.sqrt(np.square(weights * (difference - mean)).sum()))
        lead = float(weights @ difference)
        return lead / spread if spread > _NO_SPREAD * seen else 0.0

    def is_worse_than(self, other: Entrant) -> bool:
        """Whether it is worse by more than chance explains, at the 5% level."""
        return other.lead_over(self) > _CHANCE

    def computes_the_same_as(self, other: Entrant) -> bool:
        """Whether it gives the same predictions with the same loss, so that its form is only
        another way to write ``other``.
        """
        return (
            self.preprocessing == other.preprocessing
            and self.images == other.images
            and np.array_equal(self.confusion, other.confusion)
            and np.array_equal(self.right, other.right)
            and abs(self.loss - other.loss) <= _SAME_LOSS * max(self.loss, other.loss, 1e-6)
        )

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
        return 0.0 if self.says_one_class else matched_accuracy(self.confusion)[0]

    @property
    def tie_break(self) -> float:
        """What decides between equal accuracies (smaller is better): the mismatch with the first
        batch norm's statistics, or `scaled_loss` if there is none.
        """
        if self.mismatch is not None:
            return self.mismatch
        return self.scaled_loss if self.norms is None else self.norms.mismatch

    def trial(self, norms: float | None = None) -> Trial:
        """What to report; ``norms`` is the mismatch of all its norms, if it was measured."""
        return Trial(
            self.loaded.architecture,
            self.preprocessing,
            self.images,
            self.accuracy if self._is_labeled else math.nan,
            self.loss if self._is_labeled else math.nan,
            self.mismatch,
            self.total_confidence / self.images if self.images else None,
            self.one_class,
            norms,
        )


def _log_likelihoods(logits: torch.Tensor, targets: torch.Tensor) -> NDArray[np.float64]:
    """Of each label, float64 (n, scales), with the logits (n, C) at each of `_SCALES`; very low
    where they are not finite.
    """
    logits = logits.cpu().double()
    rows = max(1, _CACHED // (len(_SCALES) * logits.shape[1]))
    own = logits.gather(1, targets.cpu()[:, None])
    scales = torch.tensor(_SCALES, dtype=torch.float64)
    found = [
        own_part * scales - (part[:, None] * scales[:, None]).logsumexp(2)
        for own_part, part in zip(own.split(rows), logits.split(rows), strict=True)
    ]
    return torch.cat(found).nan_to_num(-1e6, -1e6, -1e6).numpy()


def matched_accuracy(confusion: NDArray[np.int64]) -> tuple[float, list[int]]:
    """The best accuracy that any assignment of folders to classes gives, and that assignment.

    ``confusion`` is int64 (C, folders); the list holds a class for each folder.
    """
    from scipy.optimize import linear_sum_assignment

    classes, folders = linear_sum_assignment(confusion, maximize=True)
    assigned = dict(zip(folders.tolist(), classes.tolist(), strict=True))
    share = confusion[classes, folders].sum() / max(1, confusion.sum())
    return float(share), [assigned.get(folder, -1) for folder in range(confusion.shape[1])]


def of_training(entrants: Sequence[Entrant]) -> list[Entrant]:
    """Those with logits that a training may produce (`MAX_LOGIT_SPREAD`); all, if there are none.
    A network without norms classifies pixels of any scale alike, so that accuracy tells nothing.
    """
    return [one for one in entrants if one.spread <= MAX_LOGIT_SPREAD] or list(entrants)


def by_score(entrants: Sequence[Entrant]) -> list[Entrant]:
    """Best first; those as good as the best are ordered by `Entrant.tie_break`. Where batch norm
    statistics are available, which are sharper evidence, everything within two standard errors
    counts as equally good.
    """
    best = max(entrant.score for entrant in entrants)
    most = max(1, max(entrant.images for entrant in entrants))
    margin = equal_within(entrants)
    if all(entrant.mismatch is not None for entrant in entrants):
        margin = max(margin, 2 * (best * (1 - best) / most) ** 0.5)
    return sorted(entrants, key=lambda e: (behind(e, best, margin), e.tie_break))


def equal_within(entrants: Sequence[Entrant]) -> float:
    """Difference of scores that says nothing: one percent, or two images."""
    return max(_EQUAL_WITHIN, 2 / max(1, max(entrant.images for entrant in entrants)))


def behind(entrant: Entrant, best: float, margin: float) -> float:
    """0 for a score as good as the ``best`` within ``margin``, else by how much it is below 1."""
    level = entrant.score >= best - margin and not (best and entrant.says_one_class)
    return 0.0 if level else 1 - entrant.score
