"""Too little memory on purpose."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn


@contextmanager
def cuda_room(megabytes: int) -> Iterator[int]:
    """No more than so much of the GPU's memory beside what is in use."""
    torch.cuda.empty_cache()
    whole = torch.cuda.mem_get_info()[1]
    most = torch.cuda.memory_reserved() + megabytes * 2**20
    torch.cuda.set_per_process_memory_fraction(min(1.0, most / whole))
    try:
        yield megabytes
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
        torch.cuda.empty_cache()


@contextmanager
def pretended_room(network: nn.Module, images: int) -> Iterator[int]:
    """Batches of more than so many images fail, as they do where memory runs out."""

    def refuse(_: nn.Module, given: tuple[Any, ...]) -> None:
        if len(given[0]) > images:
            raise RuntimeError("out of memory, as if")

    layer = next(one for one in network.modules() if isinstance(one, nn.Conv2d))
    hook = layer.register_forward_pre_hook(refuse)
    try:
        yield 0
    finally:
        hook.remove()
