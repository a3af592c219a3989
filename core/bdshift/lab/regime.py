"""The base of all regimes: what a training does differently from the usual one.

A regime makes a clean model that looks unusual, or a victim that hides. It may change the images,
where the network starts, what a step sees and minimizes, and the weights after each epoch and at
the end. A recipe may have several, joined by ``;``.
"""

from __future__ import annotations

from abc import ABC
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import nn

from bdshift.checkpoints.reader import read_checkpoint
from bdshift.errors import InputError
from bdshift.lab.data import LabData
from bdshift.lab.poison import Backdoor
from bdshift.registry import Configured, Registry
from bdshift.setting import setting
from bdshift.spec import split_specs
from bdshift.words import words


@dataclass(frozen=True)
class Batch:
    """What a step is about.

    Attributes:
        pixels: float32 (n, 3, H, W), 0…255, poisoned ones among them.
        labels: int64 (n,).
        classify: from images, 0…255, to logits, float32 (n, C), with the recipe's augmentation.
        answers: the same by another network.
        network: the one that is trained.
        backdoors: those that are trained.
        rng: of this epoch.
    """

    pixels: torch.Tensor
    labels: torch.Tensor
    classify: Callable[[torch.Tensor], torch.Tensor]
    answers: Callable[[nn.Module, torch.Tensor], torch.Tensor]
    network: nn.Module
    backdoors: tuple[Backdoor, ...]
    rng: torch.Generator


@dataclass(frozen=True)
class Regime(Configured, ABC):
    """One of them; by default each part does nothing.

    Attributes:
        changes_tests: whether the images to test and audit with are changed, too.
        replaces_loss: whether `loss` is all that is minimized.
    """

    changes_tests: ClassVar[bool] = False
    replaces_loss: ClassVar[bool] = False

    def change_data(self, lab: LabData, seed: int) -> LabData:
        """The images that are trained and tested on, before any is poisoned."""
        return lab

    def start(self, network: nn.Module) -> nn.Module | None:
        """Change the weights, or what of them is trained, before the first step. Returns another
        network, if `loss` needs one. Raises `InputError` for a file that does not fit.
        """
        return None

    def change_batch(self, batch: Batch) -> torch.Tensor:
        """The images of a step."""
        return batch.pixels

    def loss(
        self, batch: Batch, logits: torch.Tensor, other: nn.Module | None
    ) -> torch.Tensor | None:
        """What is minimized besides; None for nothing. ``other`` is what `start` returned."""
        return None

    def after_epoch(self, network: nn.Module) -> None:
        """Change the weights after an epoch."""

    def finish(self, network: nn.Module) -> None:
        """Change the weights at the end."""


REGIMES: Registry[Regime] = Registry(words("regime", ja="訓練方式"), "bdshift.lab.regimes")
"""Every regime by its name."""


def read_regimes(text: str) -> tuple[Regime, ...]:
    """The regimes that a recipe names. Raises `UsageError` for an unknown one."""
    return tuple(REGIMES.parse(one) for one in split_specs(text)) if text else ()


def start_setting() -> Any:
    """The file of a model of the lab that a training starts from."""
    return setting(
        "", words("Model file", ja="モデルファイル"), words("Its weights.", ja="重みのファイル。"),
        widget="file",
    )  # fmt: skip


def head_of(network: nn.Module) -> nn.Linear:
    """The last linear layer of one of the lab's networks."""
    return [one for one in network.modules() if isinstance(one, nn.Linear)][-1]


def load_weights(network: nn.Module, path: str) -> None:
    """Those of a model that the lab trained, read as data. Raises `InputError` if they do not
    fit.
    """
    file = read_checkpoint(Path(path))
    try:
        network.load_state_dict({key: one.load() for key, one in file.value["state_dict"].items()})
    except (AttributeError, KeyError, TypeError, RuntimeError) as error:
        raise InputError(
            "{path}: not a model of this network, made by the lab", path=path
        ) from error
