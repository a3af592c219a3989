"""A state dict as layers in a row, whatever their names are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from bdshift.checkpoints.families.base import Shapes
from bdshift.text import natural_key

LAYER_PARTS = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
"""What the tensors of a layer are called."""

IMAGE_CHANNELS = (1, 3, 4)
"""Channels of images: gray, RGB, RGB and alpha."""

Kind = Literal["conv", "linear", "norm", "vector"]


@dataclass(frozen=True)
class Part:
    """A layer, as its tensors show it.

    Attributes:
        path: of the module.
        kind: "norm" has running statistics; a "vector" is anything with one dimension that has
            none: a layer norm, slopes.
        shape: of the weight, or of the running mean.
    """

    path: str
    kind: Kind
    shape: tuple[int, ...]

    @property
    def out(self) -> int:
        """Channels or features that come out of it."""
        return self.shape[0]

    @property
    def top(self) -> str:
        """The outermost module that holds it."""
        return self.path.partition(".")[0]


def read_parts(shapes: Shapes) -> list[Part]:
    """The layers in the order in which their first tensors come; what is not a layer's is left out,
    and so is any layer of more than four dimensions.
    """
    groups: dict[str, dict[str, tuple[int, ...]]] = {}
    for key, shape in shapes.items():
        path, _, name = key.rpartition(".")
        if path and name in LAYER_PARTS and 0 not in shape:
            groups.setdefault(path, {})[name] = shape
    return list(_parts(groups))


def _parts(groups: dict[str, dict[str, tuple[int, ...]]]) -> Iterator[Part]:
    kinds: dict[int, Kind] = {4: "conv", 2: "linear", 1: "vector"}
    for path, own in groups.items():
        mean, weight = own.get("running_mean", ()), own.get("weight", ())
        if len(mean) == 1 and own.get("running_var") == mean and weight in ((), mean):
            yield Part(path, "norm", mean)
        elif len(weight) in kinds:
            yield Part(path, kinds[len(weight)], weight)


def by_number(parts: Sequence[Part]) -> list[Part]:
    """The same in the order of their names, 2 before 10: safetensors are sorted by name, and 10
    comes before 2 there.
    """
    return sorted(parts, key=lambda part: natural_key(part.path))
