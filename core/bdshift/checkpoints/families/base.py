"""Candidates, which a family of architectures offers: networks that might fit a state dict's
shapes.
"""

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

    from bdshift.checkpoints.prompts import ClassPrompts
    from bdshift.images.preprocessing import Normalization
    from bdshift.jobs import JobContext

Shapes = Mapping[str, tuple[int, ...]]
"""Shape of every tensor of a state dict, by its name without wrapper prefixes."""


@dataclass(frozen=True)
class Candidate:
    """One network that may fit; several share all names and shapes if the weights do not
    distinguish them (strides, pooling), and then clean accuracy decides.

    Attributes:
        name: for the user, such as "ResNet-18, CIFAR stem, width 16".
        build: creates the module; called under ``torch.device("meta")`` to compare shapes.
        head: module path of the last linear layer.
        sizes: input sizes in pixels worth trying besides the images' own.
        rare: the same tensors in rarer networks (another activation); tried if the usual one does
            not explain everything.
        any_size: whether images of other sizes work, too.
        channels: of the images, 1 or 3; 0 for as many as the first convolution takes.
        rebuilt: not a known network, but one reconstructed from the weights alone.
        oddness: the natural logarithm of how much less often code has this form than the usual one
            with the same tensors; 0 for the usual one.
        head_weight: key of the head's weight in the file, if not the one that follows from `head`.
        by_shape: recognized by the shapes and the order of its layers, whatever their names.
        computes: its constructor computes numbers that are in no file, so it cannot be built on the
            meta device.
        head_from_names: makes the classifier of the loaded network and the names of its classes, if
            the file holds no head; it may change neither.
        embedding: of that head, d.
        normalization: that such networks are trained with, if it is not one that is tried anyway.
    """

    name: str
    build: Callable[[], nn.Module]
    head: str
    sizes: tuple[int, ...] = (32,)
    rare: tuple[Candidate, ...] = ()
    any_size: bool = True
    channels: int = 0
    rebuilt: bool = False
    computes: bool = False
    oddness: float = 0.0
    head_weight: str = ""
    by_shape: bool = False
    head_from_names: Callable[[nn.Module, ClassPrompts, JobContext], nn.Module] | None = None
    embedding: int = 0
    normalization: Normalization | None = None

    @property
    def head_key(self) -> str:
        """Key of the head's weight in the file."""
        return self.head_weight or f"{self.head}.weight"


USUAL = "ReLU"
ACTIVATIONS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    USUAL: functional.relu,
    "Tanh": functional.tanh,
    "LeakyReLU(0.1)": partial(functional.leaky_relu, negative_slope=0.1),
    "Sigmoid": functional.sigmoid,
    "GELU": functional.gelu,
    "ELU": functional.elu,
    "SiLU": functional.silu,
    "LeakyReLU(0.01)": partial(functional.leaky_relu, negative_slope=0.01),
    "LeakyReLU(0.2)": partial(functional.leaky_relu, negative_slope=0.2),
    "ReLU6": functional.relu6,
    "Softplus": functional.softplus,
}
"""Activations that can be between layers; no weight shows which."""

ODDNESS_OF_ACTIVATION = 3.0
"""`Candidate.oddness` of any other than `USUAL`."""

_DEEP = ("LeakyReLU(0.1)", "SiLU", "GELU", "ELU")
"""Activations that deep networks are trained with, if not ReLU."""


def with_rare_activations(
    name: str,
    build: Callable[[str], nn.Module],
    head: str,
    sizes: tuple[int, ...],
    *,
    any_size: bool = True,
) -> Candidate:
    """The candidate with ReLU, and the others among its `Candidate.rare`. ``build`` takes a key of
    `ACTIVATIONS`.
    """
    rare = tuple(
        Candidate(
            f"{name}, {activation}",
            partial(build, activation),
            head,
            sizes,
            any_size=any_size,
            oddness=ODDNESS_OF_ACTIVATION,
        )
        for activation in _DEEP
    )
    return Candidate(name, partial(build, USUAL), head, sizes, rare, any_size)


def count_blocks(shapes: Shapes, pattern: str) -> int:
    """Blocks of a stage: how many numbers occur at ``{}`` in ``pattern``, the start of a key.

    ``count_blocks(shapes, "layer1.{}.")`` is 2 for a ResNet-18. 0 if the numbers have gaps.
    """
    before, after = pattern.split("{}")
    number = re.compile(re.escape(before) + r"(\d{1,4})" + re.escape(after))
    found = {int(match[1]) for key in shapes if (match := number.match(key))}
    return len(found) if max(found, default=-1) + 1 == len(found) else 0


MAX_STAGES, MAX_BLOCKS = 8, 1000
"""More than in any published residual network (eight stages, 600 blocks)."""


def are_plausible(blocks: int, shapes: Shapes) -> bool:
    """Whether this many blocks are worth building: each needs at least two tensors of its own."""
    return 0 < blocks <= min(MAX_BLOCKS, len(shapes) // 2)


def count_stages(shapes: Shapes, pattern: str) -> int:
    """Stages numbered from 1: how many ``pattern.format(stage)`` start some key, without a gap; at
    most `MAX_STAGES`.
    """
    stage = 0
    while stage < MAX_STAGES and any(key.startswith(pattern.format(stage + 1)) for key in shapes):
        stage += 1
    return stage
