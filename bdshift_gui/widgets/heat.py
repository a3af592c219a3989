"""Where a neuron looks, over an image."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

USUAL_OPACITY = 0.75

_INFERNO = np.array(
    [(0, 0, 4), (34, 12, 75), (88, 16, 110), (139, 34, 105), (189, 55, 84), (228, 90, 49),
     (249, 142, 9), (249, 204, 54), (252, 255, 164)], np.float32,
)  # fmt: skip
"""Perceptually uniform: equal steps of the map are equal steps of lightness."""


def heated(
    images: NDArray[np.uint8],
    maps: NDArray[np.float32],
    opacity: float = USUAL_OPACITY,
    peak: float | None = None,
) -> NDArray[np.uint8]:
    """Images (n, 3, t, t) under maps (n, h, w) in color, the lighter the larger: unchanged where a
    map is 0, covered to ``opacity`` where it is largest. All maps are on one scale, up to ``peak``,
    by default their maximum.
    """
    side = images.shape[-1]
    rows = np.arange(side) * maps.shape[1] // side
    columns = np.arange(side) * maps.shape[2] // side
    level = np.clip(maps / max(float(maps.max()) if peak is None else peak, 1e-12), 0, 1)[:, rows][
        :, :, columns
    ]
    steps = np.linspace(0, 1, len(_INFERNO))
    color = np.stack([np.interp(level, steps, channel) for channel in _INFERNO.T], axis=1)
    share = opacity * np.sqrt(level)[:, None]  # else what is weak is seen on no bright image
    return np.asarray((images * (1 - share) + color * share).round(), np.uint8)
