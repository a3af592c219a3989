"""The logits of the clean images, a few rows at a time, so that no second copy of all is needed.

A file's logits are float32 and may lie on disk (`numpy.memmap`); the solver computes in float64.
Of 50,000 images and 21,841 classes one copy in float64 alone is 8.7 GB.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

_BLOCK_VALUES = 2**22
"""Logits in a block: at 8 bytes 32 MB, so that Cancel is quick."""

_MAX_ROWS = 4096
"""Images in a block: what a product touches stays in cache."""


@dataclass(frozen=True)
class Spread:
    """What the solver must know of all logits before it begins.

    Attributes:
        largest: between the logits of one image.
        missing: from the mean logit to the largest of an image, on average.
        finite: whether all are.
    """

    largest: float
    missing: float
    finite: bool


class LogitRows:
    """Logits Z (N, C), of any float type, wherever they are; never changed.

    ``device`` is where blocks go. Divided by ``temperature`` if that is not 1.
    """

    def __init__(
        self,
        values: NDArray[np.floating] | torch.Tensor,
        device: torch.device | str = "cpu",
        temperature: float = 1.0,
    ) -> None:
        self._values, self.device, self._temperature = values, torch.device(device), temperature
        self.shape = (len(values), values.shape[1])

    def __len__(self) -> int:
        return self.shape[0]

    def cooled(self, temperature: float) -> LogitRows:
        """Z / ``temperature``."""
        return LogitRows(self._values, self.device, temperature)

    def blocks(self) -> Iterator[slice]:
        """Rows that are worked on together, in order."""
        rows = max(1, min(_MAX_ROWS, _BLOCK_VALUES // max(1, self.shape[1])))
        for start in range(0, len(self), rows):
            yield slice(start, min(len(self), start + rows))

    def block(self, rows: slice | NDArray[np.int64]) -> torch.Tensor:
        """Some rows in float64, with memory of their own."""
        part = self._values[rows]
        if isinstance(part, torch.Tensor):
            found = part.to(self.device, torch.float64, copy=True)
        else:
            found = torch.from_numpy(part.astype(np.float64)).to(self.device)
        return found if self._temperature == 1 else found.div_(self._temperature)

    def spread(self) -> Spread:
        """See `Spread`; all 0 without images."""
        largest, missing, finite = 0.0, 0.0, True
        for rows in self.blocks():
            block = self.block(rows)
            finite = finite and bool(torch.isfinite(block).all())
            top = block.amax(1)
            largest = max(largest, float((top - block.amin(1)).max()))
            missing += float((top - block.mean(1)).sum())
        return Spread(largest, missing / max(1, len(self)), finite)
