"""How a picture of any shape becomes a square of the network's input size.

Evaluation code crops the center, much training code squeezes the whole picture into the square, and
some pads it; some turns pictures upright as their EXIF data say, some does not. Nothing in a
checkpoint says which, so clean accuracy decides (`bdshift.audit.framing`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from bdshift.errors import UsageError
from bdshift.words import Sentence, words

Fit = Literal["crop", "center", "squeeze", "pad"]
FITS: tuple[Fit, ...] = get_args(Fit)

FIT_WORDS: dict[Fit, str] = {
    "crop": words("cropped to the center", ja="中央を切り抜き"),
    "center": words("cropped to the largest center square", ja="中央の最大の正方形を切り抜き"),
    "squeeze": words("squeezed into a square", ja="正方形に縮めて変形"),
    "pad": words("padded to a square", ja="余白を足して正方形化"),
}
_AS_STORED = words("{fit}, EXIF orientation ignored", ja="{fit}、EXIF の向きは無視")

CROP_FROM = 128
CROP_SHARE = 0.875
"""Of the shorter side, from `CROP_FROM` pixels of input size up: 224 of 256, as networks of this
size are evaluated.
"""


@dataclass(frozen=True)
class Framing:
    """How a picture becomes a square.

    Attributes:
        fit: "crop", the center square, with the usual margin from 128 pixels of input size up;
            "center", the same without the margin; "squeeze", all of the picture, its sides scaled
            differently; "pad", all of it, with black bars.
        upright: whether it is turned as its EXIF orientation says first.
    """

    fit: Fit = "crop"
    upright: bool = True

    @property
    def words(self) -> Sentence:
        """It in words."""
        fit = Sentence(FIT_WORDS[self.fit])
        return fit if self.upright else Sentence(_AS_STORED, {"fit": fit})

    def box(self, width: int, height: int, size: int) -> tuple[float, float, float, float]:
        """The part of a picture that is scaled to the input size: left, top, right, bottom."""
        if self.fit in ("squeeze", "pad"):
            return 0, 0, width, height
        margin = self.fit == "crop" and size >= CROP_FROM
        side = min(width, height) * (CROP_SHARE if margin else 1)
        left, top = (width - side) / 2, (height - side) / 2
        return left, top, left + side, top + side


USUAL = Framing()


def check_fit(text: str) -> Fit:
    """A fit by its name. Raises `UsageError`."""
    for fit in FITS:
        if fit == text:
            return fit
    raise UsageError(
        "pictures are made square by one of {names}, not by {text}", names=FITS, text=repr(text)
    )
