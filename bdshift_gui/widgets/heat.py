"""Where a neuron looks, over an image."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

USUAL_OPACITY = 0.75


def heated(
    images: NDArray[np.uint8],
    maps: NDArray[np.float32],
    opacity: float = USUAL_OPACITY,
    peak: float | None = None,
) -> NDArray[np.uint8]:
    """Images (n, 3, t, t) darkened where maps (n, h, w) are low, at most to 1 − ``opacity`` of
    their brightness. All maps are on one scale, up to ``peak``, by default their maximum.
    """
    side = images.shape[-1]
    rows = np.arange(side) * maps.shape[1] // side
    columns = np.arange(side) * maps.shape[2] // side
    level = np.clip(maps / max(float(maps.max()) if peak is None else peak, 1e-12), 0, 1)[:, rows][
        :, :, columns
    ]
    return (images * (1 - opacity + opacity * level[:, None])).astype(np.uint8)
