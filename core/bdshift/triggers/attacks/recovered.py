"""A trigger that nobody told, but that was recovered from the network."""

from __future__ import annotations

from dataclasses import MISSING, dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from bdshift.errors import UsageError
from bdshift.setting import setting
from bdshift.triggers.base import TRIGGERS, Trigger, local_file
from bdshift.words import words

if TYPE_CHECKING:
    import torch

    from bdshift.changes.change_file import SavedChange


def is_recovered(text: str) -> bool:
    """Whether a trigger's text is that of a recovered one, and not of one that is known."""
    return text.partition(":")[0] == Recovered.name


@TRIGGERS.register
@dataclass(frozen=True)
class Recovered(Trigger):
    """x' as the change in a file makes it (`bdshift.changes.change_file`).

    Attributes:
        file: path of the file.
    """

    name = "recovered"
    label = words("Recovered trigger", ja="復元したトリガー")
    summary = words("The change that bdshift recover has found.",
                    ja="bdshift recover が見つけた変化です。")  # fmt: skip
    place = 80
    for_training = False

    file: str = setting(
        MISSING, words("Trigger file", ja="トリガーのファイル"),
        words("The safetensors file that bdshift recover has written.",
              ja="bdshift recover が書き出した safetensors ファイル。"),
        widget="file",
    )  # fmt: skip

    @cached_property
    def saved(self) -> SavedChange:
        """What is in the file. Raises as `bdshift.changes.change_file.read_change`."""
        from bdshift.changes.change_file import read_change

        return read_change(local_file(self.file))

    def apply(self, pixels: torch.Tensor) -> torch.Tensor:
        """Make the change. Raises as `saved` does, and `UsageError` for images of another size."""
        import torch

        found, (height, width) = self.saved, pixels.shape[2:]
        side = found.about.side
        if (height, width) != (side, side):
            raise UsageError(
                "{trigger}: was recovered for images of {side} × {side} pixels, but these have "
                "{width} × {height}; recover it for this network",
                trigger=self.spec, side=side, width=width, height=height,
            )  # fmt: skip
        params = {key: value.to(pixels.device) for key, value in found.batched.items()}
        with torch.no_grad():
            return found.change.changed(params, pixels.float() / 255)[0] * 255
