"""What detectors have in common that search the images for a small change of one kind."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from bdshift.changes import as_bytes
from bdshift.detect.budget import budget_setting
from bdshift.detect.detector import Detector
from bdshift.detect.rule import Judgment, Rule
from bdshift.recovery.drop import MIN_FACTOR
from bdshift.setting import setting
from bdshift.words import words

_THUMBNAIL = 48  # largest side of a picture that is kept, in pixels


@dataclass(frozen=True)
class ImageSearch(Detector, ABC):
    """One of them. A backdoor is a small change that sends images to its class.

    Attributes:
        images: number of clean images, half of them for the search and half to measure on.
        budget: seconds, about; it decides how much is tried.
        enough: how many times smaller than its controls a change must be that works on unused
            images, to be evidence of its own.
        is_compared: whether a scan runs it, and the table of clean models has it.
        is_witness: whether a scan runs it where a class is unusual and nothing else bears it out.
    """

    change: ClassVar[str]
    """Name of the kind of change."""
    enough: ClassVar[float] = MIN_FACTOR
    is_compared: ClassVar[bool] = False
    is_witness: ClassVar[bool] = False

    images: int = setting(
        160, words("Number of images", ja="画像の枚数"),
        words("Half of them are searched on, half are measured on.",
              ja="半分を探索に、半分を測定に使います。"),
        low=8, high=10_000,
    )  # fmt: skip
    budget: float = budget_setting()

    @abstractmethod
    def work(self, classes: int) -> int:
        """Images that go through the network and back if all is tried, about."""

    def judge(self, scores: NDArray[np.float64], rule: Rule) -> Judgment:
        """On the logarithms: sizes are compared by their ratios."""
        with np.errstate(divide="ignore"):
            found = super().judge(np.log(scores), rule)
        return replace(found, line=float(np.exp(found.line)))


def is_of_scan(detector: Detector) -> bool:
    """Whether it is no search in the images, or one that a scan runs by itself."""
    return not isinstance(detector, ImageSearch) or detector.is_compared or detector.is_witness


def has_search(detectors: Iterable[Detector]) -> bool:
    """Whether one of them searches the images for changes."""
    return any(isinstance(one, ImageSearch) for one in detectors)


def small(pictures: torch.Tensor) -> NDArray[np.uint8]:
    """Pictures (n, k, s, s) in [0, 1] as thumbnails, uint8 (n, k, p, p)."""
    side = pictures.shape[-1]
    if side > _THUMBNAIL:
        pictures = functional.interpolate(pictures, (_THUMBNAIL, _THUMBNAIL), mode="area")
    return as_bytes(pictures)
