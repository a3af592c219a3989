"""Many points that look alike: what they look like is decided once, not for each."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyqtgraph as pg


class AlikePoints(pg.ScatterPlotItem):  # type: ignore[misc]  # pyqtgraph has no types
    """A scatter plot's points, all with the symbol, size, pen and brush given to ``setData``.
    pyqtgraph looks these up point by point, which takes half a second for 50 000.
    """

    def updateSpots(self, dataSet: Any = None) -> None:
        """Called by pyqtgraph: find each point's picture; here the first one's is that of all."""
        points: np.ndarray[tuple[int, ...], np.dtype[Any]] = (
            self.data if dataSet is None else dataSet
        )
        super().updateSpots(points[:1])
        points["sourceRect"] = points["sourceRect"][:1]
