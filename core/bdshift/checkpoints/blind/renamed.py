"""A network whose tensors have other names in the file than in the network itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from bdshift.checkpoints.families import Candidate

if TYPE_CHECKING:
    from torch import nn


def renamed(candidate: Candidate, names: Mapping[str, str]) -> Candidate:
    """The candidate with a state dict in the file's names: ``names`` has the file's key by the
    network's, where they differ. Its modules keep their own names.
    """
    weight = f"{candidate.head}.weight"
    return replace(
        candidate,
        build=partial(_build, candidate.build, dict(names)),
        head_weight=names.get(weight, weight),
        rare=tuple(renamed(one, names) for one in candidate.rare),
    )


def _build(build: Callable[[], nn.Module], names: dict[str, str]) -> nn.Module:
    network = build()
    network.register_state_dict_post_hook(partial(_to_file, names))
    network.register_load_state_dict_pre_hook(partial(_from_file, names))
    return network


def _to_file(
    names: Mapping[str, str], _module: nn.Module, state: dict[str, Any], prefix: str, _: Any
) -> None:
    own = {key.removeprefix(prefix): state.pop(key) for key in list(state)}
    state.update({prefix + names.get(key, key): value for key, value in own.items()})


def _from_file(
    names: Mapping[str, str], _module: nn.Module, state: dict[str, Any], prefix: str, *_: Any
) -> None:
    own = {prefix + theirs: prefix + key for key, theirs in names.items()}
    held = {own.get(key, key): state.pop(key) for key in list(state)}
    state.update(held)
