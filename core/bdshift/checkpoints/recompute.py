"""Gradients of networks whose activations do not fit into memory.

On the way back each block of the network is run again, so that only the maps between blocks and the
inside of one block are kept at a time. That costs one more pass forward (a third more work) and
changes no number.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.autograd.graph import saved_tensors_hooks
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.checkpoint import checkpoint

from bdshift.devices import free_memory

_MEMORY_DIVISOR = 2  # activations may take the free memory divided by this
_CONTAINERS = (nn.Sequential, nn.ModuleList, nn.ModuleDict)


def kept_for_gradients(network: nn.Module, run: Callable[[], torch.Tensor]) -> int:
    """Bytes that autograd keeps after ``run``, the network's own tensors left out; shared memory
    counts once.
    """
    own = {one.untyped_storage().data_ptr() for one in (*network.parameters(), *network.buffers())}
    kept: dict[int, int] = {}

    def note(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor.detach()  # an output that held its own graph would never be freed

    with torch.enable_grad(), saved_tensors_hooks(note, lambda tensor: tensor):
        output = run()  # kept until all is counted: freed memory would be used again
    del output
    return sum(kept.values())


def fits_with_gradients(each: int, images: int, device: torch.device) -> bool:
    """Whether gradients through ``images`` fit into the free memory, at ``each`` bytes an image."""
    return each * images <= free_memory(device) // _MEMORY_DIVISOR


def blocks_of(network: nn.Module) -> list[nn.Module]:
    """The outermost modules of kinds that the network repeats, such as residual or attention
    blocks; empty for a plain chain of layers.
    """
    inner = [one for one in network.modules() if one is not network and _has_parts(one)]
    repeated = {kind for kind, count in Counter(map(type, inner)).items() if count > 1}
    found: list[nn.Module] = []

    def descend(module: nn.Module) -> None:
        for child in module.children():
            if type(child) in repeated:
                found.append(child)
            else:
                descend(child)

    descend(network)
    return found


def _has_parts(module: nn.Module) -> bool:
    return not isinstance(module, _CONTAINERS) and next(module.children(), None) is not None


def recompute(network: nn.Module) -> Callable[[], None]:
    """From now on each of `blocks_of` the network is run again on the way back; the answer ends
    that.
    """
    blocks = blocks_of(network)
    for block in blocks:
        block.forward = partial(_run, block, block.forward)

    def end() -> None:
        for block in blocks:
            del block.forward

    return end


def _run(block: nn.Module, forward: Callable[..., Any], *inputs: Any, **named: Any) -> Any:
    if not torch.is_grad_enabled():
        return forward(*inputs, **named)

    def contexts() -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
        return nullcontext(), same_statistics(block)

    return checkpoint(forward, *inputs, use_reentrant=False, context_fn=contexts, **named)


@contextmanager
def same_statistics(block: nn.Module) -> Iterator[None]:
    """Inside it, batch norms in training mode use each batch's statistics, but do not remember
    them.
    """
    norms = [one for one in block.modules() if isinstance(one, _BatchNorm) and one.training]
    before = [(one.momentum, one.num_batches_tracked) for one in norms]
    for one in norms:
        one.momentum, one.num_batches_tracked = 0.0, None
    try:
        yield
    finally:
        for one, (momentum, count) in zip(norms, before, strict=True):
            one.momentum, one.num_batches_tracked = momentum, count
