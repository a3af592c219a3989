"""So many images."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bdshift.lab.condition import CONDITIONS, Circumstances, CleanImages, Condition
from bdshift.setting import setting
from bdshift.words import words


@CONDITIONS.register
@dataclass(frozen=True)
class Number(Condition):
    """As many of every class as there are, drawn at random."""

    name = "number"
    label = words("Number of images", ja="画像の枚数")
    summary = words("So many images, as many of every class.",
                    ja="指定した枚数だけ、各クラスから同じ数ずつ使います。")  # fmt: skip
    place = 10

    images: int = setting(100, words("Number of images", ja="画像の枚数"), low=1, high=1_000_000)

    def change(self, images: CleanImages, about: Circumstances) -> CleanImages | None:
        """In turn one of each class; None if there are fewer."""
        if len(images.labels) < self.images:
            return None
        order = about.rng.permutation(len(images.labels))
        turn = np.empty(len(order), np.int64)
        for one in range(images.classes):
            rows = np.flatnonzero(images.labels[order] == one)
            turn[rows] = np.arange(len(rows))
        return images.only(np.sort(order[np.argsort(turn, kind="stable")][: self.images]))
