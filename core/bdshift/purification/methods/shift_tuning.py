"""Fine-tuning under the embedding shift (Eq. 5 of Iwahana et al., 2025).

The network learns to be right at an image's embedding, and also where the shift to the poisoned
class would move it: CE(h(φ(x)), y) + CE(h(φ(x) + s_t), y). Both terms need only one pass of φ.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import torch

from bdshift.errors import UsageError
from bdshift.purification import quantities as q
from bdshift.purification.frozen import tune_from
from bdshift.purification.method import METHODS, Method, Step, tolerance_setting
from bdshift.purification.sharpness import sharp_gradient
from bdshift.purification.tuning import (
    Loss,
    Schedule,
    Sgd,
    batch_setting,
    epochs_setting,
    held_out,
    plain_gradient,
    rate_setting,
    reach,
    shifted_loss,
    tune,
)
from bdshift.purification.workbench import Workbench
from bdshift.setting import setting
from bdshift.words import Sentence, words

_RIDGE = 1e-3  # on the head's change, so that there is a single solution
_MAX_UPDATES = 200  # of L-BFGS; about 60 are usual


@METHODS.register
@dataclass(frozen=True)
class ShiftTuning(Method):
    """SGD on Eq. 5, with all weights free. Of the epochs that cost no more held-out accuracy than
    ``tolerance``, the one kept is that after which the target is hardest to reach: its norm is
    largest relative to the mean of the others, on held-out images. The loss of Eq. 5 sees only the
    shift, and keeps falling while a backdoor comes back (docs/results-purification.md).

    With ``head_first``, the head is first solved alone on the cached embedding, where Eq. 5 is
    convex. That takes a second; for some victims it is enough, for others it does nothing
    (docs/results-purification.md).

    Attributes:
        epochs, rate, batch: of SGD with momentum 0.9 and weight decay 5e-4; no epochs together with
            ``head_first`` solve the head alone.
        cosine: whether the rate falls to zero; in the paper it stays constant.
        scale: what the shift is multiplied by; 1 in the paper. A trigger may move the embedding
            farther than the shift, which is by definition the shortest path.
        head_first: whether to solve the head alone first.
        tolerance: held-out accuracy that an epoch may cost and still be kept, absolute.
        tune_from: the first layer of the network to be tuned; those before it are fixed and run
            only once. Empty for all.
        rho: length of the step uphill before the gradient is taken, as in FT-SAM (2 on CIFAR-10),
            which takes twice the time; 0 for none, as in the paper.
        keep: "reach", as above, or "last": the last epoch whatever its score, as in the paper.
    """

    name = "shift-tuning"
    label = words("Shift tuning", ja="シフト調整")
    summary = words("Fine-tunes so that images stay right under the shift (Eq. 5).",
                    ja="シフトの下でも正しく分類するよう微調整します（式 5）。")  # fmt: skip
    place = 10
    table_rows = (
        ("sharp shift tuning", "shift-tuning"),
        ("shift tuning", "shift-tuning:rho=0"),
        ("the paper's settings", "paper"),
    )
    our_row = "sharp shift tuning"
    ranks_by_shift = True

    epochs: int = epochs_setting(12, words("50 in the paper.", ja="論文では 50。"), low=0)
    rate: float = rate_setting(0.01, words("0.01 in the paper.", ja="論文では 0.01。"))
    batch: int = batch_setting(128)
    cosine: bool = setting(
        True, words("Falling rate", ja="学習率を下げる"),
        words("The rate falls to zero instead of staying constant.",
              ja="学習率を一定にせず、ゼロまで下げます。"),
        source=words("Constant in the paper.", ja="論文では一定。"),
    )  # fmt: skip
    scale: float = setting(
        1.0, words("Shift multiplier", ja="シフトの倍率"),
        words("A trigger may move images farther than the shift does; at 2 the backdoor comes back "
              "less often.",
              ja="トリガーはシフトより遠くへ画像を動かすことがあり、"
                 "2 ではバックドアが戻りにくくなります。"),
        low=0, above=True, high=1_000_000, step=0.5, decimals=2,
        source=words("1 in the paper.", ja="論文では 1。"),
    )  # fmt: skip
    head_first: bool = setting(
        False, words("Head first", ja="先にヘッドを解く"),
        words("Solve the last layer alone first; takes a second, and may be enough or do nothing.",
              ja="先に最終層だけを解きます。1 秒ほどで、十分なことも無効なこともあります。"),
    )  # fmt: skip
    tolerance: float = tolerance_setting(
        0.03, words("Held-out accuracy that an epoch may lose and still be kept, absolute.",
                    ja="エポックを採用するときに許す、ホールドアウト画像での低下（絶対値）。"),
    )  # fmt: skip
    tune_from: str = setting(
        "", words("Tune from layer", ja="調整を始める層"),
        words("The layers before it stay as they are and run only once, which is faster; layer3, "
              "for example. Not every backdoor goes away this way.",
              ja="それより前の層は変えず一度だけ計算するので速くなります（例：layer3）。"
              "消えないバックドアもあります。"),
        placeholder=words("all layers", ja="全層"),
    )  # fmt: skip
    rho: float = setting(
        2.0, words("Sharpness radius ρ", ja="鋭さの半径 ρ"),
        words("How far uphill the gradient is taken; 0 for none, which takes half the time.",
              ja="勾配を取る、上り方向の距離。0 はなし（時間は半分）。"),
        low=0, high=1_000_000, step=0.5, decimals=2,
        source=words("0 in the paper.", ja="論文では 0。"),
    )  # fmt: skip
    keep: Literal["reach", "last"] = setting(
        "reach", words("Keep", ja="残すもの"),
        words("reach: the epoch after which the class is hardest to reach; last: the last one.",
              ja="reach：クラスに最も到達しにくくなるエポック。last：最後のエポック。"),
        source=words("The last one in the paper.", ja="論文では最後。"),
    )  # fmt: skip

    def check(self) -> None:
        """There must be something to do."""
        if not self.epochs and not self.head_first:
            raise UsageError("shift-tuning: epochs=0 needs head_first=true")

    @property
    def total(self) -> int:
        """Steps at most."""
        return self.head_first + self.epochs

    def steps(self, bench: Workbench) -> Iterator[Step]:
        """Solve the head, then tune."""
        if self.tune_from:
            tune_from(bench, self.tune_from)
        bench.state["ranking"] = bench.shift
        loss = shifted_loss(bench, self.scale)
        if "before" not in bench.state:
            bench.state["before"] = held_out(bench, loss)[1][q.HELD_OUT_ACCURACY]
        if self.head_first and not bench.state.get("head_done"):
            solve_head(bench, loss)
            bench.state["head_done"] = True
            yield self._judged(bench, Step(0, *held_out(bench, loss)))
        if not self.epochs:
            return
        schedule: Schedule = "cosine" if self.cosine else "constant"
        sgd = Sgd(self.epochs, self.batch, self.rate, schedule=schedule)
        gradient = sharp_gradient(self.rho, adaptive=True) if self.rho else plain_gradient
        for step in tune(bench, sgd, loss, gradient=gradient, first=int(self.head_first)):
            yield self._judged(bench, step)

    def conclusion(self, steps: Sequence[Step], kept: Step) -> Sentence | None:
        """That no epoch kept enough accuracy, if so."""
        if self.keep == "last" or kept.score is None or kept.score >= 0:
            return None
        return Sentence(TOO_MUCH_LOST, {"lost": -1 - kept.score, "tolerance": self.tolerance})

    def _judged(self, bench: Workbench, step: Step) -> Step:
        """The step, scored by the target's norm relative to the others' if accuracy holds;
        otherwise by accuracy, below all steps where it does.
        """
        lost = bench.state["before"] - step.figures[q.HELD_OUT_ACCURACY]
        last = self.keep == "last" and step.number == self.total - 1
        score = reach(step.figures) if lost <= self.tolerance + q.ROUNDING else -1 - lost
        return replace(step, score=-math.inf if step.score == -math.inf else score, final=last)


TOO_MUCH_LOST = words(
    "No epoch kept the accuracy: the best one loses {lost:.1%} on held-out images, where "
    "{tolerance:.1%} are allowed. A smaller rate may do better.",
    ja="正解率を保てたエポックがありません。最良でもホールドアウト画像で {lost:.1%} 低下し、"
       "許容値 {tolerance:.1%} を超えています。学習率を下げると改善することがあります。",
)  # fmt: skip
PAPER = METHODS.preset(
    "paper",
    words("Shift tuning, the paper's settings", ja="シフト調整（論文の設定）"),
    words("50 epochs; slow.", ja="50 エポック。時間がかかります。"),
    ShiftTuning(epochs=50, cosine=False, rho=0.0, keep="last"),
)
"""The paper's settings: SGD, rate 0.01, the network after 50 epochs."""


def solve_head(bench: Workbench, loss: Loss) -> None:
    """Minimize ``loss`` over the head alone by L-BFGS, with everything before it fixed; a head made
    of the names of the classes stays as it is.
    """
    if not list(bench.head.parameters()):
        return
    phi, labels = bench.embed(bench.clean.tune), bench.clean.tune.labels
    head = bench.head
    start = [parameter.detach().clone() for parameter in head.parameters()]
    optimizer = torch.optim.LBFGS(
        head.parameters(), max_iter=_MAX_UPDATES, line_search_fn="strong_wolfe"
    )

    def closure() -> torch.Tensor:
        bench.job.raise_if_canceled()
        optimizer.zero_grad()
        pairs = zip(head.parameters(), start, strict=True)
        moved = sum((now - was).square().sum() for now, was in pairs)
        value = loss(phi, labels) + _RIDGE * moved
        value.backward()
        return value

    optimizer.step(closure)
    optimizer.zero_grad()
