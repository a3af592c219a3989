"""Channels-last, the order of numbers in which convolutions are the fastest to train."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

_LEAST_CHANNELS = 8


def channels_last(network: nn.Module) -> nn.Module:
    """``network`` in channels-last, with its images and maps; only some small layers keep theirs in
    the usual order.

    On CPUs without AVX-512, oneDNN writes beyond its memory (torch 2.15) when it computes the
    gradient of the weights of a 1×1 convolution with a stride and fewer than eight channels in
    channels-last. The process dies, or worse.
    """
    network = network.to(memory_format=torch.channels_last)
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d) and _is_unsafe(layer):
            layer.to(memory_format=torch.contiguous_format)
            layer.register_forward_pre_hook(_in_usual_order)
    return network


def _is_unsafe(layer: nn.Conv2d) -> bool:
    few = layer.in_channels < _LEAST_CHANNELS
    return few and layer.kernel_size == (1, 1) and max(layer.stride) > 1


def _in_usual_order(layer: nn.Module, given: tuple[Any, ...]) -> tuple[Any, ...]:
    """What goes into a layer, in the order of its weights."""
    return tuple(one.contiguous() for one in given)
