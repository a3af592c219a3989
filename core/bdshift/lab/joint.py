"""A trigger that is learned together with its victim (`bdshift.triggers.joint`)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch

from bdshift.lab.poison import Backdoor
from bdshift.triggers.joint import JointTraining


def start_joint(
    backdoors: Sequence[Backdoor], share: float, seed: int, device: torch.device
) -> JointTraining | None:
    """Joint training for the learned trigger, if there is one: then there is no other
    (`read_backdoors`). ``share`` of the images gets the trigger.
    """
    for backdoor in backdoors:
        joint = backdoor.trigger.trained_for(backdoor, share, seed, device)
        if joint is not None:
            return joint
    return None


def as_learned(backdoors: Sequence[Backdoor], folder: Path) -> tuple[Backdoor, ...]:
    """Backdoors of the trained victim in ``folder``; those learned with it name their file."""
    return tuple(replace(one, trigger=one.trigger.left_in(folder)) for one in backdoors)
