"""Known architectures, one family a file. A new family is a file with ``propose``, and its line
here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from bdshift.checkpoints.families import resnet, wide_resnet
from bdshift.checkpoints.families.base import Candidate, Shapes

FAMILIES: tuple[Callable[[Shapes], Iterator[Candidate]], ...] = (
    resnet.propose,
    wide_resnet.propose,
)

__all__ = ["FAMILIES", "Candidate", "Shapes"]
