"""What a family of architectures offers: candidates that might fit a state dict's shapes."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from torch.nn import functional

if TYPE_CHECKING:
    import torch
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
        rare: the same tensors in networks that are seldom met (another activation); tried when
            the usual one leaves something to be explained.
    """

    name: str
    build: Callable[[], nn.Module]
    head: str
    sizes: tuple[int, ...] = (32,)
    rare: tuple[Candidate, ...] = ()


def _leaky(x: torch.Tensor) -> torch.Tensor:
    return functional.leaky_relu(x, 0.1)


USUAL = "ReLU"
ACTIVATIONS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    USUAL: functional.relu,
    "LeakyReLU(0.1)": _leaky,
    "SiLU": functional.silu,
    "GELU": functional.gelu,
    "ELU": functional.elu,
}
"""What stands between convolutions; no weight tells."""


def with_rare_activations(
    name: str, build: Callable[[str], nn.Module], head: str, sizes: tuple[int, ...]
) -> Candidate:
    """The candidate with ReLU, and the others among its `Candidate.rare`. ``build`` takes a key of
    `ACTIVATIONS`.
    """
    rare = tuple(
        Candidate(f"{name}, {activation}", partial(build, activation), head, sizes)
        for activation in ACTIVATIONS
        if activation != USUAL
    )
    return Candidate(name, partial(build, USUAL), head, sizes, rare)


def count_blocks(shapes: Shapes, pattern: str) -> int:
    """Blocks of a stage: how many numbers stand at ``{}`` in ``pattern``, the start of a key.

    ``count_blocks(shapes, "layer1.{}.")`` is 2 for a ResNet-18. 0 if the numbers have gaps.
    """
    before, after = pattern.split("{}")
    number = re.compile(re.escape(before) + r"(\d{1,4})" + re.escape(after))
    found = {int(match[1]) for key in shapes if (match := number.match(key))}
    return len(found) if max(found, default=-1) + 1 == len(found) else 0


MAX_STAGES, MAX_BLOCKS = 8, 1000
"""More than any published residual network has (eight stages, 600 blocks)."""


def are_plausible(blocks: int, shapes: Shapes) -> bool:
    """Whether so many blocks are worth building: each needs two tensors of its own at least."""
    return 0 < blocks <= min(MAX_BLOCKS, len(shapes) // 2)


def count_stages(shapes: Shapes, pattern: str) -> int:
    """Stages numbered from 1: how many ``pattern.format(stage)`` start some key, without a gap; at
    most `MAX_STAGES`.
    """
    stage = 0
    while stage < MAX_STAGES and any(key.startswith(pattern.format(stage + 1)) for key in shapes):
        stage += 1
    return stage
