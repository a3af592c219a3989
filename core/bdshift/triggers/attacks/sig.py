"""SIG (Barni et al., 2019): a faint sine over the whole image, the same in every row."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bdshift.setting import setting
from bdshift.triggers.base import TRIGGERS, Trigger
from bdshift.words import words

if TYPE_CHECKING:
    import torch


@TRIGGERS.register
@dataclass(frozen=True)
class Sig(Trigger):
    """x'(row, j) = x(row, j) + ``amplitude``·sin(2π·j·``frequency``/W), in all channels.

    The attack poisons images of the target class alone and leaves their labels.

    Attributes:
        amplitude: in 0…255; 40 in the paper's code and in BackdoorBench, 30 in backdoor-toolbox.
        frequency: waves across the image; 6 in the paper.
    """

    name = "sig"
    label = words("Faint sine (SIG)", ja="かすかな正弦波（SIG）")
    summary = words("A faint sine over the whole image, the same in every row.",
                    ja="画像全体に重ねる、どの行も同じかすかな正弦波。")  # fmt: skip
    place = 40
    usual_labels = "clean-label"

    amplitude: float = setting(
        40.0, words("Amplitude", ja="振幅"),
        words("Largest change of a pixel.", ja="ピクセル値の最大の変化。"),
        low=0, above=True, high=255, decimals=1, step=5,
        source=words("40 in the paper's code and in BackdoorBench, 30 in backdoor-toolbox.",
                     ja="論文のコードと BackdoorBench では 40、backdoor-toolbox では 30。"),
    )  # fmt: skip
    frequency: float = setting(
        6.0, words("Frequency", ja="周波数"),
        words("Waves across the image.", ja="画像の幅に入る波の数。"),
        low=0, above=True, high=1024, decimals=1,
        source=words("6 in the paper.", ja="論文では 6。"),
    )  # fmt: skip

    def apply(self, pixels: torch.Tensor) -> torch.Tensor:
        """Add the sine."""
        width = pixels.shape[3]
        columns = pixels.new_tensor([2 * math.pi * j / width for j in range(width)])
        return pixels + self.amplitude * (columns * self.frequency).sin()
