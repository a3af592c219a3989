"""Holds the building of a network to the size of the file that it is built for."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from bdshift.checkpoints.families import Shapes

if TYPE_CHECKING:
    import torch
    from torch import nn

_MODULES_A_TENSOR, _MODULES = 20, 2000
_NUMBERS = 4_000_000  # of a buffer that is computed and in no file, as a table of positions


class TooLarge(RuntimeError):
    """More than the file could be of."""


@contextmanager
def held_to(shapes: Shapes) -> Iterator[None]:
    """While a network is built, raise `TooLarge` at a parameter or buffer larger than any tensor of
    the file, or at more modules than its tensors could be of: a few bytes of a config could ask for
    millions.
    """
    from torch.nn.modules import module as hooks

    largest = max(_NUMBERS, *(math.prod(shape) for shape in shapes.values()))
    left = _MODULES + _MODULES_A_TENSOR * len(shapes)

    def on_module(_parent: nn.Module, name: str, _child: nn.Module | None) -> None:
        nonlocal left
        left -= 1
        if left < 0:
            raise TooLarge(f"it would have more modules than the file has tensors (at {name})")

    def on_tensor(_parent: nn.Module, name: str, tensor: torch.Tensor | None) -> None:
        if tensor is not None and tensor.numel() > largest:
            raise TooLarge(f"its {name} would be larger than any tensor of the file")

    handles = [
        hooks.register_module_module_registration_hook(on_module),
        hooks.register_module_parameter_registration_hook(on_tensor),
        hooks.register_module_buffer_registration_hook(on_tensor),
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
