"""The names of a step's figures, and which of them share an axis.

A method that reports its own figures declares them in its own file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from bdshift.registry import import_members
from bdshift.text import figure
from bdshift.words import Language, translate, words

ROUNDING = 1e-6
"""By how much less than a limit a share may be and still meet it: shares are float32 means."""

Axis = Literal["shares", "norms", "z", "loss"]

AXES: dict[Axis, tuple[str, str]] = {
    "shares": (
        words("accuracy, ASR", ja="正解率・ASR"),
        words("On images that are not learned from.", ja="学習に使わない画像での値。"),
    ),
    "norms": (
        words("norms", ja="ノルム"),
        words("L2 of the shifts on the held-out images.", ja="ホールドアウト画像でのシフトの L2。"),
    ),
    "z": (
        "z",
        words("Of the target's norm among all classes, on held-out images.",
              ja="ホールドアウト画像での、標的のノルムの全クラス中の z。"),
    ),
    "loss": (
        words("loss", ja="損失"),
        words("What the method minimizes.", ja="手法が最小化する損失。"),
    ),
}  # fmt: skip
"""Label and explanation of each."""


@dataclass(frozen=True)
class Quantity:
    """A figure of a step.

    Attributes:
        name: its key in `Step.figures`.
        label: its display name.
        axis: the axis it is drawn on; None if it is not drawn.
        form: its number format.
        help: what it is, for who does not know the label; "" if that says it.
    """

    name: str
    label: str
    axis: Axis | None
    form: str
    help: str = ""


_METHODS = "bdshift.purification.methods"
_known: dict[str, Quantity] = {}


def quantity(
    name: str, label: str, axis: Axis | None = None, form: str = ".4g", help: str = ""
) -> str:
    """``name`` itself, after declaring what it stands for."""
    _known[name] = Quantity(name, label, axis, form, help)
    return name


ACC_HELP = words("Accuracy: share of clean images that are classified as labeled.",
                 ja="正解率：ラベルどおりに分類されるクリーンな画像の割合。")  # fmt: skip
ASR_HELP = words(
    "Attack success rate: share of images of other classes that the trigger sends to the target.",
    ja="攻撃成功率（ASR）：トリガーによって標的クラスに分類される他クラスの画像の割合。",
)


def quantities() -> Mapping[str, Quantity]:
    """All declared quantities by name, in the order of their declaration."""
    import_members(_METHODS)
    return _known


def in_words(values: Mapping[str, float], language: Language = "en") -> str:
    """Figures in one line, for a log."""
    all_known = quantities()
    known = [
        (all_known.get(name) or Quantity(name, name, None, ".4g"), v) for name, v in values.items()
    ]
    return ", ".join(
        f"{translate(one.label, language)} {figure(value, one.form)}" for one, value in known
    )


HELD_OUT_ACCURACY = quantity(
    "held_out_accuracy",
    words("held-out accuracy", ja="ホールドアウト正解率"),
    "shares",
    ".1%",
    ACC_HELP,
)
ASR = quantity("asr", "ASR", "shares", ".1%", ASR_HELP)
RA = quantity(
    "ra", "RA", "shares", ".1%",
    words("Recovered accuracy: share of the same images with the trigger that are still classified "
          "as labeled.",
          ja="回復正解率（RA）：トリガーを付けても、ラベルどおりに分類される同じ画像の割合。"),
)  # fmt: skip
TARGET_NORM = quantity("target_norm", words("target's norm", ja="標的のノルム"), "norms")
OTHER_NORMS = quantity("other_norms", words("mean of the others", ja="他の平均"), "norms")
TARGET_Z = quantity("target_z", words("target's z", ja="標的の z"), "z", ".2f")
LOSS = quantity("loss", words("loss", ja="損失"), "loss")
HELD_OUT_LOSS = quantity("held_out_loss", words("held-out loss", ja="ホールドアウト損失"), "loss")
CUT = quantity("cut", words("cut", ja="無効化数"), None, ",.0f")
THRESHOLD = quantity("threshold", words("threshold", ja="しきい値"))
UNLEARNED_ACCURACY = quantity(
    "unlearned_accuracy", words("accuracy after unlearning", ja="忘却後の正解率"), None, ".1%"
)
