"""What a family of architectures offers: candidates that might fit a state dict's shapes."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import nn

Shapes = Mapping[str, tuple[int, ...]]
"""Shape of every tensor of a state dict, by its name without wrapper prefixes."""


@dataclass(frozen=True)
class Candidate:
    """One network that may fit; several share all names and shapes when the weights do not tell
    them apart (strides, pooling), and then clean accuracy decides.

    Attributes:
        name: for people, as "ResNet-18, CIFAR stem, width 16".
        build: makes the module; called under ``torch.device("meta")`` to compare shapes.
        head: module path of the last linear layer.
        sizes: input sizes in pixels worth trying beside the images' own.
    """

    name: str
    build: Callable[[], nn.Module]
    head: str
    sizes: tuple[int, ...] = (32,)


def count_blocks(shapes: Shapes, pattern: str) -> int:
    """Blocks of a stage: how many numbers stand at ``{}`` in ``pattern``, the start of a key.

    ``count_blocks(shapes, "layer1.{}.")`` is 2 for a ResNet-18. 0 if the numbers have gaps.
    """
    before, after = pattern.split("{}")
    number = re.compile(re.escape(before) + r"(\d{1,4})" + re.escape(after))
    found = {int(match[1]) for key in shapes if (match := number.match(key))}
    return len(found) if max(found, default=-1) + 1 == len(found) else 0


def count_stages(shapes: Shapes, pattern: str) -> int:
    """Stages numbered from 1: how many ``pattern.format(stage)`` start some key, without a gap."""
    stage = 0
    while any(key.startswith(pattern.format(stage + 1)) for key in shapes):
        stage += 1
    return stage
