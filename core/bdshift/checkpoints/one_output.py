"""Binary classifiers whose head has one output z, trained with a sigmoid.

They are read as two classes with the logits 0 and z: the larger one is class 1 exactly where
σ(z) > ½, and their softmax is 1 − σ(z) and σ(z). So W becomes [0; w] and b becomes [0; b]. In a
file, the head keeps its one row: the second class's minus the first's.
"""

from __future__ import annotations

import torch
from torch import nn


def read_as_two_classes(head: nn.Linear) -> None:
    """Change a head (1, d) to the head (2, d) of the same classifier."""
    _set(head, *(torch.cat((torch.zeros_like(one), one)) for one in _numbers(head)))


def write_as_one_output(head: nn.Linear) -> None:
    """Change a head (2, d) to the head (1, d) whose output is the difference of its logits."""
    _set(head, *(one[1:] - one[:1] for one in _numbers(head)))


def _numbers(head: nn.Linear) -> list[torch.Tensor]:
    return [one.detach() for one in (head.weight, head.bias) if one is not None]


def _set(head: nn.Linear, weight: torch.Tensor, bias: torch.Tensor | None = None) -> None:
    head.weight = nn.Parameter(weight, requires_grad=False)
    if bias is not None:
        head.bias = nn.Parameter(bias, requires_grad=False)
    head.out_features = len(weight)
