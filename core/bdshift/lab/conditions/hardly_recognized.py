"""Images that the network hardly recognizes."""

from __future__ import annotations

from dataclasses import dataclass

from bdshift.lab.condition import CONDITIONS, Circumstances, CleanImages, Condition
from bdshift.lab.conditions.noisy import with_noise
from bdshift.setting import setting
from bdshift.words import words

_STEPS = 8
_MEASURED = 500  # images


@CONDITIONS.register
@dataclass(frozen=True)
class HardlyRecognized(Condition):
    """With as much noise as it takes to bring accuracy down."""

    name = "hardly-recognized"
    label = words("Hardly recognized", ja="ほとんど認識できない画像")
    summary = words("So much noise that accuracy is as low as this.",
                    ja="正解率がこの値に下がるまでノイズを加えます。")  # fmt: skip
    place = 60

    accuracy: float = setting(
        0.3, words("Accuracy", ja="正解率"), low=0, high=1, step=0.05, decimals=2
    )

    def change(self, images: CleanImages, about: Circumstances) -> CleanImages | None:
        """The strength is found by halving, on 500 images; None if noise cannot do it."""
        rows = about.rng.permutation(len(images.labels))[:_MEASURED]
        some, low, high = images.only(rows), 0.0, 255.0
        if about.accuracy(with_noise(some, high, about.rng)) > self.accuracy:
            return None
        for _ in range(_STEPS):
            middle = (low + high) / 2
            if about.accuracy(with_noise(some, middle, about.rng)) > self.accuracy:
                low = middle
            else:
                high = middle
        return with_noise(images, (low + high) / 2, about.rng)
