"""Known architectures, one family per module. A new family is a module with ``propose``, and a line
here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from bdshift.checkpoints.families import (
    aggregated,
    dense,
    efficient,
    inception,
    mobile,
    residual,
    resnet,
    shuffle,
    small,
    vgg,
    wide_resnet,
    zoo,
)
from bdshift.checkpoints.families.base import Candidate, Shapes

FAMILIES: tuple[Callable[[Shapes], Iterator[Candidate]], ...] = (
    resnet.propose,
    wide_resnet.propose,
    vgg.propose,
    mobile.propose,
    dense.propose,
    efficient.propose,
    inception.propose,
    residual.propose,
    shuffle.propose,
    aggregated.propose,
    small.propose,
    zoo.propose,
)

__all__ = ["FAMILIES", "Candidate", "Shapes"]
