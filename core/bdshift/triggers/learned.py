"""Triggers that are painted for each image by networks that were trained with the victim."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import ClassVar, Self

import torch

from bdshift.checkpoints.reader import read_checkpoint
from bdshift.checkpoints.tensors import LazyTensor
from bdshift.errors import InputError, UsageError
from bdshift.setting import setting
from bdshift.triggers.base import Trigger, local_file
from bdshift.triggers.joint import Goal, JointTraining
from bdshift.triggers.painter import Painter, painter_from
from bdshift.words import words


@dataclass(frozen=True)
class Learned(Trigger):
    """What Input-aware and LIRA have in common.

    Attributes:
        file: ``trigger.pth``, which training wrote next to the victim: a dict of the attack's name
            and each painter's weights. It is read as data. Empty before training.
    """

    alone = True
    made_file = "trigger.pth"
    planes: ClassVar[Mapping[str, int]]
    """The painters, by name, and how many planes each one paints."""

    file: str = setting(
        "", words("Trigger file", ja="トリガーのファイル"),
        words("The trigger.pth that training left next to the victim.",
              ja="訓練が被害モデルの隣に残した trigger.pth。"),
        widget="file",
    )  # fmt: skip

    @classmethod
    def trained_settings(cls) -> tuple[str, ...]:
        """All but the file, which training creates."""
        return tuple(name for name in super().trained_settings() if name != "file")

    @abstractmethod
    def painted(self, pixels: torch.Tensor, painters: Mapping[str, Painter]) -> torch.Tensor:
        """Triggered ``pixels``, float32 (n, 3, H, W) in 0…255, with gradients to the painters."""

    @abstractmethod
    def trained_for(
        self, goal: Goal, share: float, seed: int, device: torch.device
    ) -> JointTraining:
        """Its training along with a victim; ``share`` of the images gets the trigger."""

    def check_trainable(self) -> None:
        """A file would be ignored."""
        if self.file:
            raise UsageError(
                "{trigger} is learned with its victim; leave out file=", trigger=self.name
            )

    def left_in(self, folder: Path) -> Self:
        """With the file that training left in ``folder``."""
        return replace(self, file=str(folder / self.made_file))

    def apply(self, pixels: torch.Tensor) -> torch.Tensor:
        """Paint with the painters in the file.

        Raises `UsageError` without a file, `InputError` if it holds none, or another attack's.
        """
        with torch.no_grad():
            return self.painted(
                pixels, {name: one.to(pixels.device) for name, one in self._painters.items()}
            )

    @cached_property
    def _painters(self) -> dict[str, Painter]:
        if not self.file:
            raise UsageError(
                "{attack}: is learned with its victim; give its trigger.pth as file=…",
                attack=self.name,
            )
        held = read_checkpoint(local_file(self.file)).value
        if not isinstance(held, dict) or held.get("attack") != self.name:
            raise InputError(
                "{path}: holds no trigger of {attack}", path=self.file, attack=self.name
            )
        found = {}
        for name, planes in self.planes.items():
            weights = held.get(name)
            if not isinstance(weights, dict) or not all(
                isinstance(value, LazyTensor) for value in weights.values()
            ):
                raise InputError("{path}: holds no {painter}", path=self.file, painter=name)
            loaded = {key: value.load().float() for key, value in weights.items()}
            try:
                found[name] = painter_from(loaded, planes)
            except InputError as error:
                raise InputError(
                    "{path}, {painter}: {reason}",
                    path=self.file, painter=name, reason=error.sentence,
                ) from error  # fmt: skip
        return found
