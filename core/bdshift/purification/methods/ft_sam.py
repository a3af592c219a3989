"""FT-SAM (Zhu et al., 2023): fine-tuning with adaptive sharpness-aware minimization."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from torch.nn import functional

from bdshift.purification.method import METHODS, Method, Step, Variant, variant_setting
from bdshift.purification.sharpness import sharp_gradient
from bdshift.purification.tuning import (
    Schedule,
    Sgd,
    batch_setting,
    epochs_setting,
    rate_setting,
    tune,
)
from bdshift.purification.workbench import Workbench
from bdshift.setting import setting
from bdshift.words import words

_SCHEDULES: dict[Variant, Schedule] = {"fixed": "cosine", "reference": "swinging"}


@METHODS.register
@dataclass(frozen=True)
class FtSam(Method):
    """SGD with the gradient at w + ρ·w²g/‖|w|g‖ and with smoothed labels.

    Attributes:
        rho: 2 on CIFAR-10, 8 on GTSRB and Tiny ImageNet in BackdoorBench.
        smoothing: of the labels.
        epochs, rate, batch: of SGD with momentum 0.9 and weight decay 5e-4; 100 epochs, 0.01 and
            256 images in BackdoorBench.
        form: "fixed" lets the rate fall along one cosine over the run. "reference" advances a
            cosine meant for 100 epochs once per batch, as BackdoorBench does, so that the rate
            swings between ``rate`` and zero.
    """

    name = "ft-sam"
    label = "FT-SAM"
    summary = words(
        "Fine-tunes toward flat regions of the loss.", ja="損失の平坦な領域へ微調整します。"
    )
    place = 70
    table_rows = (("FT-SAM", "ft-sam"),)
    published_rows = (("FT-SAM as published", "ft-sam:form=reference"),)

    rho: float = setting(
        2.0, words("Sharpness radius ρ", ja="鋭さの半径 ρ"),
        words("How far uphill the gradient is taken.", ja="勾配を取る、上り方向の距離。"),
        low=0, above=True, high=1_000_000, step=0.5, decimals=2,
        source=words("2 for CIFAR-10, 8 for GTSRB in BackdoorBench.",
                     ja="BackdoorBench では CIFAR-10 に 2、GTSRB に 8。"),
    )  # fmt: skip
    smoothing: float = setting(
        0.1, words("Label smoothing", ja="ラベル平滑化"),
        words("Share of a label that is spread over all classes.",
              ja="全クラスに分けるラベルの割合。"),
        low=0, high=0.999, step=0.05, decimals=3,
    )  # fmt: skip
    epochs: int = epochs_setting(20, words("100 in BackdoorBench.", ja="BackdoorBench では 100。"))
    rate: float = rate_setting(
        0.01, words("0.01 in BackdoorBench.", ja="BackdoorBench では 0.01。")
    )
    batch: int = batch_setting(128, words("256 in BackdoorBench.", ja="BackdoorBench では 256。"))
    form: Variant = variant_setting(
        words("fixed lets the rate fall once over the run; reference lets it swing every 100 "
              "updates, as BackdoorBench does.",
              ja="fixed は学習率を一度だけ下げ、reference は BackdoorBench と同じく 100 更新ごとに"
              "上下させます。")
    )  # fmt: skip

    @property
    def total(self) -> int:
        """Steps at most."""
        return self.epochs

    def steps(self, bench: Workbench) -> Iterator[Step]:
        """Tune."""
        yield from tune(
            bench,
            Sgd(self.epochs, self.batch, self.rate, schedule=_SCHEDULES[self.form]),
            lambda phi, labels: functional.cross_entropy(
                bench.head(phi), labels, label_smoothing=self.smoothing
            ),
            gradient=sharp_gradient(self.rho, adaptive=True),
        )
