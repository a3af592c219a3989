"""A state dict and the network that its file describes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from bdshift.checkpoints.tensors import LazyTensor

if TYPE_CHECKING:
    from bdshift.checkpoints.families import Candidate


class DescribedNetwork(dict[str, LazyTensor]):
    """The state dict of a network that its file describes; ``candidate`` is that network."""

    def __init__(self, tensors: Mapping[str, LazyTensor], candidate: Candidate) -> None:
        super().__init__(tensors)
        self.candidate = candidate
