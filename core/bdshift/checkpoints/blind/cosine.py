"""Heads that compare directions: the logits are cosines between the features and each class's
weights, times a constant that changes no decision.

With φ' = φ/‖φ‖ for the embedding and rows of one length for the weights, such a head is linear: the
logits are φ'Wᵀ. Nothing in a file says that its head is one. It has no bias, and read as an
ordinary head it still recognizes many images, so it is tried only where the ordinary one leaves a
doubt.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from torch.nn import functional

from bdshift.checkpoints.families import Candidate, Shapes

if TYPE_CHECKING:
    import torch
    from torch import nn

_SCALE = 16.0  # a usual one; which one training used is not in the file


def with_cosine_head(candidate: Candidate, shapes: Shapes) -> Candidate:
    """The candidate; if its head has no bias and several rows, the same with a cosine head is one
    of its rare forms.
    """
    key = candidate.head_key
    if key.removesuffix("weight") + "bias" in shapes or shapes[key][0] == 1:
        return candidate
    build = partial(_build, candidate.build, candidate.head)
    cosine = replace(candidate, name=f"{candidate.name}, cosine head", build=build, rare=())
    return replace(candidate, rare=(*candidate.rare, cosine))


def _build(build: Callable[[], nn.Module], head: str) -> nn.Module:
    network = build()
    layer = network.get_submodule(head)
    layer.register_forward_pre_hook(_unit_features)
    layer.register_load_state_dict_pre_hook(_unit_weights)
    return network


def _unit_features(_head: nn.Module, inputs: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
    return (functional.normalize(inputs[0], dim=-1), *inputs[1:])


def _unit_weights(_head: nn.Module, state: dict[str, Any], prefix: str, *_: Any) -> None:
    key = f"{prefix}weight"
    if key in state:
        state[key] = _SCALE * functional.normalize(state[key].float(), dim=1)
