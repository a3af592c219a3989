"""Training in channels-last, without the layers that crash there on CPUs without AVX-512."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from bdshift.channels_last import channels_last


@pytest.mark.parametrize(
    ("channels", "size", "stride", "usual"),
    [(4, 1, 2, True), (7, 1, (1, 3), True), (8, 1, 2, False), (4, 3, 2, False), (4, 1, 1, False)],
)
def test_a_small_strided_layer_keeps_the_usual_order(
    channels: int, size: int, stride: int | tuple[int, int], usual: bool
) -> None:
    """With the rest in channels-last it gives the gradients that it should."""
    torch.manual_seed(0)
    first = nn.Conv2d(3, channels, 3, padding=1, bias=False)
    second = nn.Conv2d(channels, 16, size, stride, bias=False)
    network = nn.Sequential(first, second)
    images = torch.randn(8, 3, 12, 12)
    wanted = torch.autograd.grad(network(images).square().mean(), list(network.parameters()))
    channels_last(network)
    seen: list[torch.Tensor] = []
    second.register_forward_hook(lambda _, given, __: seen.append(given[0]))
    images = images.contiguous(memory_format=torch.channels_last)
    found = torch.autograd.grad(network(images).square().mean(), list(network.parameters()))
    assert seen[0].is_contiguous(memory_format=torch.channels_last) is not usual
    assert first.weight.is_contiguous(memory_format=torch.channels_last)
    for one, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6)
