"""What a purification method gets in tests: the victim, clean images, the same with the trigger for
methods that unlearn it, and the target's shift.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

import torch
from known import STICKER, TARGET
from torch import nn

from bdshift.audit import Audit, Material
from bdshift.checkpoints.classifier import Classifier
from bdshift.purification import CleanData, Method, Purified, purify, read_images, split_clean
from bdshift.purification.clean_data import with_trigger
from bdshift.purification.workbench import Workbench
from bdshift.triggers import parse_trigger


@dataclass(frozen=True)
class Given:
    """All of it."""

    classifier: Classifier
    clean: CleanData
    shift: torch.Tensor

    def weights(self) -> dict[str, torch.Tensor]:
        """Copies of the victim's weights."""
        state = self.classifier.network.state_dict()
        return {key: value.clone() for key, value in state.items()}

    def purified(self, method: Method, **more: Any) -> Purified:
        """The result of `purify`; ``more`` are its options."""
        return purify(self.classifier, self.clean, method, TARGET, self.shift, **more)

    def bench(self, network: nn.Module | None = None) -> Workbench:
        """A new workbench, with a copy of the victim's network or of another one."""
        own = copy.deepcopy(network or self.classifier.network).requires_grad_(True)
        return Workbench(own, self.classifier.head_name, self.clean, TARGET, self.shift)


def given_by(audit: Audit, material: Material, every: int = 1) -> Given:
    """From the audit of the victim, with one in ``every`` of its images."""
    classifier, found = material.classifier, material.clean
    size = classifier.preprocessing.size
    files = found.files[::every]
    images = read_images(found.collection, files, found.class_map.of_folder, size)
    clean = split_clean(images, classifier.preprocessing)
    return Given(
        classifier,
        with_trigger(clean, parse_trigger(STICKER), TARGET),
        torch.from_numpy(audit.shifts.shift[TARGET].copy()),
    )
