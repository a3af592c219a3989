"""Triggers that are painted for each image, by networks that were trained with the victim."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar

from bdshift.checkpoints.reader import read_checkpoint
from bdshift.checkpoints.tensors import LazyTensor
from bdshift.errors import InputError, UsageError
from bdshift.triggers.base import Trigger, local_file

if TYPE_CHECKING:
    import torch

    from bdshift.triggers.painter import Painter


@dataclass(frozen=True)
class Learned(Trigger):
    """What Input-aware and LIRA share.

    Attributes:
        file: ``trigger.pth``, which training wrote beside the victim: a dict of the attack's name
            and each painter's weights. It is read as data. Empty where training is yet to come.
    """

    planes: ClassVar[Mapping[str, int]]
    """What each painter has: its name, and how many planes it paints."""

    file: str = ""

    @abstractmethod
    def painted(self, pixels: torch.Tensor, painters: Mapping[str, Painter]) -> torch.Tensor:
        """Triggered ``pixels``, float32 (n, 3, H, W) in 0…255, with gradients to the painters."""

    def apply(self, pixels: torch.Tensor) -> torch.Tensor:
        """Paint with what the file holds.

        Raises `UsageError` without a file, `InputError` if it holds another attack's or no
        painters.
        """
        import torch

        with torch.no_grad():
            return self.painted(
                pixels, {name: one.to(pixels.device) for name, one in self._painters.items()}
            )

    @cached_property
    def _painters(self) -> dict[str, Painter]:
        from bdshift.triggers.painter import painter_from

        if not self.file:
            raise UsageError(
                f"{self.attack}: learned with its victim; name its trigger.pth, file=…"
            )
        held = read_checkpoint(local_file(self.file)).value
        if not isinstance(held, dict) or held.get("attack") != self.attack:
            raise InputError(f"{self.file}: holds no trigger of {self.attack}")
        found = {}
        for name, planes in self.planes.items():
            weights = held.get(name)
            if not isinstance(weights, dict) or not all(
                isinstance(value, LazyTensor) for value in weights.values()
            ):
                raise InputError(f"{self.file}: holds no {name}")
            try:
                found[name] = painter_from(
                    {key: value.load().float() for key, value in weights.items()}, planes
                )
            except ValueError as error:
                raise InputError(f"{self.file}, {name}: {error}") from error
        return found
