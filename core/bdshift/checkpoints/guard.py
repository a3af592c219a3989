"""Limits the size of a network to what the file that it is built for could hold."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from bdshift.checkpoints.families import Shapes
from bdshift.words import Sentence

if TYPE_CHECKING:
    import torch
    from torch import nn

_MAX_MODULES_PER_TENSOR, _BASE_MODULES = 20, 2000
_MAX_COMPUTED_NUMBERS = 4_000_000  # in a buffer that is computed, not stored, such as positions


class TooLarge(RuntimeError):
    """A network larger than the file could hold. ``sentence`` says in what way."""

    def __init__(self, template: str, /, **values: Any) -> None:
        self.sentence = Sentence(template, values)
        super().__init__(str(self.sentence))


@contextmanager
def held_to(shapes: Shapes) -> Iterator[None]:
    """While a network is built, raise `TooLarge` at a parameter or buffer larger than any tensor in
    the file, or at more modules than its tensors could belong to: a few bytes of a config could ask
    for millions.
    """
    from torch.nn.modules import module as hooks

    largest = max(_MAX_COMPUTED_NUMBERS, *(math.prod(shape) for shape in shapes.values()))
    left = _BASE_MODULES + _MAX_MODULES_PER_TENSOR * len(shapes)

    def on_module(_parent: nn.Module, name: str, _child: nn.Module | None) -> None:
        nonlocal left
        left -= 1
        if left < 0:
            raise TooLarge(
                "it would have far more modules than the file has tensors (at {name})", name=name
            )

    def on_tensor(_parent: nn.Module, name: str, tensor: torch.Tensor | None) -> None:
        if tensor is not None and tensor.numel() > largest:
            raise TooLarge("its {name} would be larger than any tensor in the file", name=name)

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
