"""Settings of detectors that run as their authors' programs do."""

from __future__ import annotations

from typing import Any

from bdshift.setting import setting
from bdshift.words import words

THEIR_PROGRAM = words("The authors' program.", ja="著者のプログラム。")
"""Where a default is from."""


def images_setting() -> Any:
    """The clean images that there are."""
    return setting(
        1000, words("Image count", ja="画像数"), words("To choose from.", ja="使う画像の数。"),
        low=2, high=100_000,
    )  # fmt: skip


def batch_setting(images: int, source: str = THEIR_PROGRAM) -> Any:
    """How many of them go through the network at once."""
    return setting(
        images, words("Batch", ja="バッチ"), words("Images in a batch.", ja="1 バッチの画像数。"),
        low=2, high=10_000, source=source,
    )  # fmt: skip
