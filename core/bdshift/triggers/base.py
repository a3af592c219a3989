"""What all triggers have in common: x → x + δ on pixels, before normalization."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

from bdshift.errors import InputError
from bdshift.files import KeptPath, is_on_another_machine
from bdshift.registry import Configured, Registry
from bdshift.setting import options_of, setting
from bdshift.words import words

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import NDArray

    from bdshift.triggers.joint import Goal, JointTraining
    from bdshift.triggers.placement import Outline


@dataclass(frozen=True)
class Trigger(Configured, ABC):
    """An attack's change of the input: hyperparameters in the constructor, images in the call.

    ``trigger(pixels)`` takes float32 (n, 3, H, W) in 0…255, RGB, at the network's input size, and
    returns new pixels of the same shape, clipped to 0…255. The call draws nothing at random.

    Attributes:
        for_training: whether the lab offers to train a victim with it.
        alone: whether a victim can have no other trigger besides it.
        usual_labels: which images the attack poisons, as a name in `bdshift.triggers.labelings`.
        has_cover: whether images that keep their labels are changed too when a victim is trained
            (`cover`).
        held_beside: tensors next to a checkpoint's weights that show that it holds the trigger.
        made_file: name of the file that training leaves next to such a victim, to be used as the
            trigger's file; empty if there is none.
    """

    for_training: ClassVar[bool] = True
    alone: ClassVar[bool] = False
    usual_labels: ClassVar[str] = "all-to-one"
    has_cover: ClassVar[bool] = False
    held_beside: ClassVar[tuple[str, ...]] = ()
    made_file: ClassVar[str] = ""

    def __call__(self, pixels: torch.Tensor) -> torch.Tensor:
        """Triggered copy of ``pixels``."""
        return self.apply(pixels).clamp_(0, 255)

    def on_image(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Triggered copy of one image, uint8 (3, H, W)."""
        import torch

        found = self(torch.tensor(pixels[None], dtype=torch.float32))[0]
        changed: NDArray[np.uint8] = found.round_().to(torch.uint8).numpy()
        return changed

    @abstractmethod
    def apply(self, pixels: torch.Tensor) -> torch.Tensor:
        """The change itself, not clipped; must not write to ``pixels``."""

    def outline(self, height: int, width: int) -> Outline | None:
        """Where it is on images of that size; None if that is not one place. Raises as `apply`."""
        return None

    @classmethod
    def trained_settings(cls) -> tuple[str, ...]:
        """Names of the settings that matter when a victim is trained with it: all, by default."""
        return tuple(one.name for one in options_of(cls))

    def check_trainable(self) -> None:
        """Raise `UsageError` if no victim can be trained with it as it is set."""

    def trained_for(
        self, goal: Goal, share: float, seed: int, device: torch.device
    ) -> JointTraining | None:
        """Its training along with a victim; ``share`` of the images gets the trigger. None if there
        is nothing to learn.
        """
        return None

    def left_in(self, folder: Path) -> Self:
        """The trigger as training left it in the victim's ``folder``."""
        return self

    def cover(self, pixels: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
        """Cover images, clipped: close to triggered ones, but they must not work. ``rng`` is a CPU
        generator. Only for triggers with `has_cover`.
        """
        raise NotImplementedError


TRIGGERS: Registry[Trigger] = Registry(words("trigger", ja="トリガー"), "bdshift.triggers.attacks")
"""Every attack, by its name in a trigger's text."""


def seed_setting(help: str) -> Any:
    """A seed; ``help`` says what for."""
    return setting(0, words("Seed", ja="シード"), help, low=0, high=2**31 - 1)


def local_file(path: str) -> Path:
    """The file that a trigger names, with the ``~`` of the home folder expanded. The name may come
    from an audit file.

    Raises `InputError` as `KeptPath.local` does.
    """
    if is_on_another_machine(path):
        raise InputError("{path}: is on another machine; copy it to this one first", path=path)
    found = KeptPath(path).local()
    return found.expanduser() if found.parts[:1] == ("~",) else found
