"""What every trigger is: x → x + δ on pixels, before normalization."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from bdshift.errors import InputError
from bdshift.spec import write_spec

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Trigger(ABC):
    """An attack's change of the input: hyperparameters in the constructor, images in the call.

    ``trigger(pixels)`` takes float32 (n, 3, H, W) in 0…255, RGB, at the network's input size, and
    returns new pixels of the same shape, clipped to 0…255. It draws nothing at random in the call.
    """

    attack: ClassVar[str]

    def __call__(self, pixels: torch.Tensor) -> torch.Tensor:
        """Triggered copy of ``pixels``."""
        return self.apply(pixels).clamp_(0, 255)

    @abstractmethod
    def apply(self, pixels: torch.Tensor) -> torch.Tensor:
        """The change itself, unclipped; must not write into ``pixels``."""

    @property
    def spec(self) -> str:
        """The text that `parse_trigger` turns back into this trigger."""
        return write_spec(self.attack, self)


def local_file(path: str) -> Path:
    """The file that a trigger names, the home folder written out.

    Raises `InputError` if it is on another machine: an audit file may have named it, and opening
    one must not call anybody. And if it is in the home of somebody who is not here.
    """
    if path.startswith(("\\\\", "//")):
        raise InputError(f"{path}: is on another machine; copy it to this one first")
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        raise InputError(f"{path}: {error}") from error
