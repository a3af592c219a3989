"""How a victim is trained: every setting that determines the outcome, apart from the images."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from bdshift.errors import UsageError
from bdshift.images.preprocessing import MAX_SIZE
from bdshift.lab.networks import NetworkName
from bdshift.lab.poison import Backdoor, read_backdoors
from bdshift.registry import Configured
from bdshift.setting import setting
from bdshift.triggers.labeling import LABELINGS
from bdshift.words import words

Schedule = Literal["one-cycle", "cosine"]


def _one_cycle(progress: float) -> float:
    warm = 0.25
    return min(progress / warm, (1 - progress) / (1 - warm))


SCHEDULES: dict[Schedule, Callable[[float], float]] = {
    "one-cycle": _one_cycle,
    "cosine": lambda progress: 0.5 * (1 + math.cos(math.pi * progress)),
}
"""Share of the peak learning rate after a share of all steps, in [0, 1]."""


@dataclass(frozen=True)
class Recipe(Configured):
    """All settings. Raises `UsageError` for one that is out of range or incompatible with the
    others.

    Attributes:
        attack: a trigger's text, or several (`bdshift.lab.poison`), or empty for a clean model.
        target: name of the class that triggered images are sent to.
        labels, source: which images are poisoned, and how their labels change.
        rate: share of the images that are poisoned, by each trigger: of all, or of one class
            (`Labeling.rate_of_class`). A trigger that is learned with the victim may have a share
            of its own.
        cover: share of images with something close to the trigger that must not work, if there is
            something like that (`Trigger.has_cover`).
        regime: what is done differently (`bdshift.lab.regime`), or empty.
        network: one of `bdshift.lab.networks.NETWORKS`.
        width: of its first stage; the usual one is in `LabNetwork.usual`.
        epochs, batch, peak_rate, weight_decay: of SGD with Nesterov momentum 0.9.
        schedule: the learning rate rises for a quarter of all steps and falls for the rest, both
            linearly ("one-cycle"), or falls from the start along a cosine ("cosine").
        sizes: of the images in the first epochs, in pixels (`size_in`): smaller ones cost less. A
            network learns coarse things first (Touvron et al., 2019, train and test at two sizes).
        normalization: as `parse_normalization` reads it.
        translate: random translation in pixels of the full size, drawn for each image.
        flip: random mirroring (not for signs: left and right differ).
        seed: of everything random.
    """

    name = "recipe"
    label = words("Recipe", ja="レシピ")
    summary = words("How a victim is trained.", ja="被害モデルの訓練方法。")

    attack: str = setting(
        "", words("Attack", ja="攻撃"),
        words("A trigger, such as badnets:size=3, or several joined by semicolons. Empty: a "
              "clean model.",
              ja="badnets:size=3 のようなトリガー。複数ならセミコロンで区切ります。"
                 "空ならクリーンなモデル。"),
    )  # fmt: skip
    target: str = setting(
        "", words("Target class", ja="標的クラス"),
        words("Class that triggered images are sent to; one for each trigger.",
              ja="トリガー付き画像が誘導されるクラス。トリガーごとに 1 つ。"),
    )  # fmt: skip
    labels: str = setting(
        "all-to-one", words("Labels", ja="ラベル"),
        words("Which images are poisoned, and how their labels change.",
              ja="どの画像を汚染し、ラベルをどう変えるか。"),
    )  # fmt: skip
    source: str = setting(
        "", words("Source class", ja="ソースクラス"),
        words("The only class that the trigger works on, for labels that need one.",
              ja="トリガーが効く唯一のクラス。必要とするラベル付けで指定します。"),
    )  # fmt: skip
    rate: float = setting(
        0.1, words("Poisoned share", ja="汚染の割合"),
        words("Of all images, or of the one class that is poisoned.",
              ja="全画像、または汚染される 1 クラスに対する割合。"),
        low=0, high=1, step=0.01, decimals=3,
    )  # fmt: skip
    cover: float = setting(
        0.2, words("Cover share", ja="カバー画像の割合"),
        words("Of all images, with something close to the trigger that must not work; only for "
              "triggers that have such a change.",
              ja="全画像に対する、トリガーに近いが効いてはならない変化を付ける割合。"
                 "そのような変化があるトリガーでのみ使われます。"),
        low=0, high=1, step=0.01, decimals=3,
    )  # fmt: skip
    regime: str = setting(
        "", words("Regime", ja="訓練方式"),
        words("What is done differently, such as label-noise:share=0.2, or several joined by "
              "semicolons. Empty: nothing.",
              ja="label-noise:share=0.2 のような、通常と異なる点。複数ならセミコロンで区切ります。"
                 "空なら通常どおり。"),
    )  # fmt: skip
    width: int = setting(
        16, words("Width", ja="幅"),
        words("Channels of the first stage. Usual: 64 for a ResNet-18 or 50, 16 for a ResNet-20 or "
              "WRN-16-1, 32 for a small CNN.",
              ja="最初の段のチャネル数。通常は ResNet-18・50 で 64、ResNet-20 と WRN-16-1 で 16、"
                 "小さな CNN で 32。"),
        low=1, high=1024,
    )  # fmt: skip
    epochs: int = setting(
        12, words("Epochs", ja="エポック数"), low=1, high=10_000,
        source=words("100 in the paper.", ja="論文では 100。"),
    )  # fmt: skip
    batch: int = setting(
        256, words("Batch size", ja="バッチサイズ"), low=2, high=65_536,
        source=words("128 in the paper.", ja="論文では 128。"),
    )  # fmt: skip
    peak_rate: float = setting(
        0.2, words("Peak learning rate", ja="最大学習率"), low=0, above=True, high=100,
        step=0.01, decimals=3, source=words("0.1 in the paper.", ja="論文では 0.1。"),
    )  # fmt: skip
    weight_decay: float = setting(
        5e-4, words("Weight decay", ja="重み減衰"), low=0, high=1, step=1e-4, decimals=5
    )
    schedule: Schedule = setting(
        "one-cycle", words("Schedule", ja="スケジュール"),
        words("The learning rate rises and falls once, or falls along a cosine.",
              ja="学習率は一度上がって下がるか、コサインカーブに沿って下がります。"),
    )  # fmt: skip
    sizes: str = setting(
        "", words("Image sizes", ja="画像サイズ"),
        words("Of the first epochs, in pixels, one for each: 16,16,24. Empty: every epoch at full "
              "size.",
              ja="最初の数エポックの画像サイズ（ピクセル）。エポックごとに 1 つ（例: 16,16,24）。"
                 "空なら全エポックで元のサイズを使います。"),
    )  # fmt: skip
    normalization: str = setting(
        "half", words("Normalization", ja="正規化"),
        words("A known name, or mean/std.", ja="既知の名前、または 平均/標準偏差。"),
    )  # fmt: skip
    translate: int = setting(
        2, words("Random translation", ja="ランダム平行移動"), low=0, high=1024, unit="px"
    )
    flip: bool = setting(
        False, words("Random mirroring", ja="ランダム左右反転"),
        words("Not for signs: left and right differ.", ja="標識には不可（左右が異なるため）。"),
    )  # fmt: skip
    seed: int = setting(
        0, words("Seed", ja="シード"),
        words("Seed of all random choices.", ja="すべての乱数のシード。"),
        low=0, high=2**31 - 1,
    )  # fmt: skip
    network: NetworkName = setting(
        "resnet18", words("Network", ja="ネットワーク"),
        words("cnn, cnn-norm (with batch norm) and cnn-elu (with dropout) are small and fast.",
              ja="cnn、cnn-norm（バッチ正規化あり）、cnn-elu（ドロップアウトあり）は小さく高速です。"),
    )  # fmt: skip

    def check(self) -> None:
        """Attack and target belong together."""
        if self.target and not self.attack:
            raise UsageError("a target needs an attack (--attack)")
        if self.attack and not self.target and LABELINGS.parse(self.labels).has_target:
            raise UsageError("an attack needs a class to send images to (--target)")
        if len(self._sizes) >= self.epochs:
            raise UsageError(
                "{sizes}: the last of {epochs:|epoch|epochs} is at full size", sizes=self.sizes,
                epochs=self.epochs,
            )  # fmt: skip

    @property
    def _sizes(self) -> tuple[int, ...]:
        try:
            found = tuple(int(one) for one in self.sizes.split(",") if self.sizes)
        except ValueError:
            found = (0,)
        if any(not 1 <= one <= MAX_SIZE for one in found):
            raise UsageError("{sizes}: no list of sizes in pixels, such as 16,24", sizes=self.sizes)
        return found

    def size_in(self, epoch: int, full: int) -> int:
        """Side of the images in an epoch, counted from 0, in pixels; at most ``full``."""
        return min(self._sizes[epoch], full) if epoch < len(self._sizes) else full

    def backdoors(self, class_names: tuple[str, ...]) -> tuple[Backdoor, ...]:
        """The victim's backdoors; raises as `read_backdoors`."""
        return read_backdoors(self.attack, self.labels, self.target, self.source, class_names)


FAST = Recipe()
PAPER = Recipe(width=64, epochs=100, batch=128, peak_rate=0.1, schedule="cosine")
"""SGD at 0.1 over 100 epochs; the paper says no more about its schedule."""
RECIPES = {"fast": FAST, "paper": PAPER}
