"""TBAR, backdoor unlearning by task arithmetic ("Backdoor Unlearning by Linear Task Decomposition",
2025): a backdoor is a direction in the space of weights, which is estimated and subtracted.

The paper leaves open how long the estimate is trained and how α is chosen: the choices here are
ours, and named as such.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from bdshift.errors import UsageError
from bdshift.files import KeptPath
from bdshift.purification import quantities as q
from bdshift.purification.alphas import MOST_ALPHAS, Point, next_alpha
from bdshift.purification.clean_data import LabeledImages
from bdshift.purification.method import METHODS, Method, Step, diverged
from bdshift.purification.multiples import (
    ALPHA,
    AS_CONTROL,
    CONTROL_ALPHA,
    LEAST_ACCURACY,
    MOST_ALPHA,
    VECTOR_LENGTH,
    multiples,
)
from bdshift.purification.tuning import batch_setting, epochs_setting
from bdshift.purification.unlearning import (
    GRADIENT_LIMIT,
    TRIGGER_WORKS,
    Optimizer,
    images_setting,
    kept_accuracy_setting,
    learn,
    looked_at,
    optimizer_of,
    sent_to,
    some,
    triggered_images,
    worth,
)
from bdshift.purification.vectors import (
    difference,
    layers_of,
    length,
    move,
    read_vector,
    weights_of,
)
from bdshift.purification.workbench import Workbench
from bdshift.setting import setting
from bdshift.words import Sentence, words

_LOOKING = {
    "tau": words("Looking at multiples of τ", ja="τ の倍率を評価中"),
    "control": words("Looking at multiples of the control", ja="対照の倍率を評価中"),
}
_TARGET, _TRUTH = "target", "truth"  # what the labels of triggered images are
_CLEAN = 4  # clean images for each triggered one
_REMOVED = 0.05  # ASR up to which the trigger counts as removed
_NO_USE = 0.9  # of the ASR before: what leaves more has hardly done anything
_ALIKE = 0.1  # difference in ASR up to which the control does as well
_SPENT = 0.9  # of the target's recall before: a class that keeps as much is not suppressed


@METHODS.register
@dataclass(frozen=True)
class Tbar(Method):
    """θ_b − α·τ, where θ_b are the backdoored weights and τ is estimated by a few epochs that start
    from them.

    In the paper τ = θ(b+t) − θ_b, where θ(b+t) has learned triggered images labeled with the
    target. But the network knows that already: what it learns most is that everything is of the
    target. So by default τ = θ(b+t) − θ(b+t̄), where t̄ are the same images with their true labels,
    and the same clean images are learned with both; gradients are clipped to the norm 1. For a
    small CLIP model the cosine of the paper's τ with what the backdoor really added is 0.10, and
    that of this one 0.25.

    The batch norms' statistics stay as they are, and are no part of τ. The α kept is that under
    which the trigger works least on held-out images, of those that leave ``keep`` of the held-out
    accuracy; of equal ones the smallest. Which ones are looked at says `alphas`.

    Subtracting τ also takes from the target class. So the same is done with a control, learned from
    the same images without the trigger: where some multiple of that removes the backdoor as well,
    and the class's recall falls, it is the class that was spent, not the trigger.

    Attributes:
        images: triggered images to learn τ from, at most.
        epochs, rate, batch, optimizer: of learning τ; without weight decay.
        contrast: whether τ is relative to the true labels; without it, it is the paper's.
        layers: the layers that τ is made of, joined by +; empty for all.
        alpha: α itself, 0 to choose it. A negative one adds τ.
        vector: a file with a τ, made earlier or of another network of the same architecture, in
            place of an estimate.
        keep: share of the held-out accuracy that must be left.
    """

    name = "tbar"
    label = words("TBAR (task arithmetic)", ja="TBAR（タスク演算）")
    summary = words("Subtracts what the network learns from a known or recovered trigger.",
                    ja="既知または復元したトリガーから学ぶ重みの変化を差し引きます。")  # fmt: skip
    place = 15
    sees_trigger = True

    images: int = images_setting()
    epochs: int = epochs_setting(4)
    rate: float = setting(
        0.01, words("Learning rate", ja="学習率"),
        words("Of what τ is learned with.", ja="τ の学習に使う値。"),
        low=0, above=True, high=1_000_000, step=0.005, decimals=6,
    )  # fmt: skip
    batch: int = batch_setting(64)
    optimizer: Optimizer = setting(
        "sgd", words("Optimizer", ja="オプティマイザー"),
        words("sgd, with momentum 0.9; or adamw, for which rates of 1e-5 are usual, and which left "
              "the backdoor in trials.",
              ja="sgd（モーメンタム 0.9）または adamw（学習率は 1e-5 程度が普通。"
                 "試した例ではバックドアが残りました）。"),
    )  # fmt: skip
    contrast: bool = setting(
        True, words("Contrast", ja="差分で推定"),
        words("τ is what the target's label teaches beyond the true labels, with clean images "
              "beside both. Off: what the target's label teaches, as in the paper.",
              ja="標的のラベルから学ぶ変化と、正しいラベルから学ぶ変化の差を τ とします"
                 "（どちらにもクリーン画像を加えます）。"
                 "オフなら論文どおり、標的のラベルから学ぶ変化です。"),
    )  # fmt: skip
    layers: str = setting(
        "", words("Layers", ja="層"),
        words("That τ is made of, joined by +, such as layer3+layer4.",
              ja="τ に含める層（+ でつなぐ。例：layer3+layer4）。"),
        placeholder=words("all layers", ja="全層"),
    )  # fmt: skip
    alpha: float = setting(
        0.0, words("Multiplier α", ja="倍率 α"),
        words("How much of τ is subtracted; 0 chooses it by held-out images, a negative number "
              "adds τ.",
              ja="差し引く τ の量。0 ならホールドアウト画像で選び、負の数なら τ を足します。"),
        low=-MOST_ALPHA, high=MOST_ALPHA, step=0.1, decimals=3,
    )  # fmt: skip
    vector: str = setting(
        "", words("Vector file", ja="ベクトルのファイル"),
        words("A task vector from bdshift vector, in place of an estimate.",
              ja="推定する代わりに使う、bdshift vector のタスクベクトル。"),
        widget="file",
    )  # fmt: skip
    keep: float = kept_accuracy_setting()

    @property
    def _chosen(self) -> list[str]:
        return [layer for layer in self.layers.split("+") if layer]

    @property
    def total(self) -> int:
        """Steps at most."""
        vectors = 1 if self.alpha or self.vector else 2
        learned = 0 if self.vector else (vectors + self.contrast) * self.epochs
        return learned + (1 if self.alpha else vectors * MOST_ALPHAS)

    @property
    def needs_trigger(self) -> bool:
        """Not to subtract a given multiple of a given vector."""
        return not (self.vector and self.alpha)

    def steps(self, bench: Workbench) -> Iterator[Step]:
        """Estimate both vectors, then look at every α."""
        state = bench.state
        if not state:
            if self.needs_trigger:
                triggered_images(bench, self.name)
            names = layers_of(bench.network, self._chosen)
            state |= {"base": weights_of(bench.network, names), "number": 0, "curves": {}}
            state["before"] = looked_at(bench)
        if self.vector and "tau" not in state:
            path = KeptPath(self.vector).local().expanduser()
            found = read_vector(path, bench.network, job=bench.job).vector
            state["tau"] = {name: found[name] for name in found if name in state["base"]}
            if not state["tau"]:
                raise UsageError("{method}: the vector has none of these layers", method=self.name)
        if "tau" not in state:
            for key in (_TARGET, _TRUTH) if self.contrast else (_TARGET,):
                yield from self._estimated(bench, key)
            beside = state.pop(_TRUTH, None)
            found = state.pop(_TARGET)
            state["tau"] = difference(found, beside) if beside else found
        if not (self.alpha or self.vector):
            yield from self._estimated(bench, "control")
        if self.alpha:
            if "given" not in state:  # it is there if this is called again after a crash
                state["given"] = True
                yield self._given(bench)
            return
        for key in ("tau",) if self.vector else ("control", "tau"):
            while (alpha := next_alpha(self._curve(state, key))) is not None:
                yield self._at(bench, key, alpha)

    def _estimated(self, bench: Workbench, key: str) -> Iterator[Step]:
        """Learn one vector; a step for each epoch."""
        state = bench.state
        if key in state:
            return
        weights = [
            value for name, value in bench.network.named_parameters() if name in state["base"]
        ]
        bench.network.requires_grad_(False)
        for weight in weights:
            weight.requires_grad_(True)
        optimizer = optimizer_of(self.optimizer, weights, self.rate)
        if "optimizer" in state:
            optimizer.load_state_dict(state["optimizer"])
        images = self._images(bench, key)
        for epoch in range(state.get("epoch", 0), self.epochs):
            limit = GRADIENT_LIMIT if self.contrast and key != "control" else math.inf
            loss = learn(bench, optimizer, images, epoch, self.batch, limit=limit)
            if not all(weight.isfinite().all() for weight in weights):
                raise diverged(self)
            last = epoch == self.epochs - 1
            if last:
                after = weights_of(bench.network, state["base"])
                state[key] = difference(after, state["base"])
                move(bench.network, state["base"], state[key], 0)
            state |= {"epoch": 0 if last else epoch + 1, "optimizer": optimizer.state_dict()}
            if last:
                del state["optimizer"]
            bench.network.requires_grad_(True)
            yield self._step(bench, None, {q.LOSS: loss})
            for name, value in bench.network.named_parameters():
                value.requires_grad_(name in state["base"])
        bench.network.requires_grad_(True)

    def _images(self, bench: Workbench, key: str) -> LabeledImages:
        """What a vector is learned from: images with the trigger, labeled with the target or with
        their true classes, or the same ones without it, labeled with the target.
        """
        clean = bench.clean.tune
        if key == "control":
            part = clean[clean.labels != bench.target]
        else:
            part = triggered_images(bench, self.name).tune
        part = some(part, self.images, bench.seed)
        if key != _TRUTH:
            part = sent_to(bench.target, part)
        if self.contrast and key != "control":
            part += some(clean, _CLEAN * self.images, bench.seed)
        return part

    def _step(self, bench: Workbench, score: float | None, figures: dict[str, float],
              *, final: bool = False) -> Step:  # fmt: skip
        number = bench.state["number"]
        bench.state["number"] += 1
        return Step(number, score, figures, final)

    def _given(self, bench: Workbench) -> Step:
        """The step for an α that was given."""
        state = bench.state
        move(bench.network, state["base"], state["tau"], -self.alpha)
        found = looked_at(bench)
        score = -math.inf if math.isnan(found[q.HELD_OUT_ACCURACY]) else 0.0
        return self._step(bench, score, {ALPHA: self.alpha, **found}, final=True)

    def _curve(self, state: dict[str, Any], key: str) -> dict[float, Point]:
        """What has been looked at for a vector."""
        least = self.keep * state["before"][q.HELD_OUT_ACCURACY] - q.ROUNDING
        points = state["curves"].setdefault(key, [])
        return {alpha: Point(right >= least, asr) for alpha, right, asr in points}

    def _at(self, bench: Workbench, key: str, alpha: float) -> Step:
        """The step for one α of a vector's curve; only those of τ can be kept."""
        state = bench.state
        points = state["curves"][key]
        move(bench.network, state["base"], state[key], -alpha)
        found = looked_at(bench)
        points.append([alpha, found[q.HELD_OUT_ACCURACY], found[TRIGGER_WORKS]])
        bench.job.progress(_LOOKING[key], len(points), MOST_ALPHAS, "values")
        if key == "control":
            figures = {AS_CONTROL[name]: value for name, value in found.items()}
            return self._step(bench, None, {CONTROL_ALPHA: alpha, **figures})
        least = self.keep * state["before"][q.HELD_OUT_ACCURACY]
        relative = length(state["tau"]) / max(length(state["base"]), 1e-12)
        score = worth(found, state["before"], self.keep) - 1e-9 * alpha
        return self._step(
            bench, score, {ALPHA: alpha, **found, VECTOR_LENGTH: relative, LEAST_ACCURACY: least}
        )

    def conclusion(self, steps: Sequence[Step], kept: Step) -> Sentence | None:
        """Removed, partial, the target class suppressed, or no useful α."""
        curve, control = multiples(steps), multiples(steps, control=True)
        found = next((one for one in curve if one.number == kept.number), None)
        first = next((one for one in curve if one.alpha == 0), None)
        if found is None or first is None:
            return None
        left = min((one.asr for one in control if one.accuracy >= first.least), default=math.nan)
        values = {
            "alpha": found.alpha, "before": first.asr, "after": found.asr, "was": first.recall,
            "recall": found.recall, "keep": self.keep, "control": left,
        }  # fmt: skip
        if found.asr >= _NO_USE * first.asr:
            return Sentence(NO_USEFUL_ALPHA, values)
        alike = left <= min(found.asr + _ALIKE, _NO_USE * first.asr)
        if alike and math.isnan(found.recall):
            return Sentence(RECALL_UNKNOWN, values)
        if alike and found.recall < _SPENT * first.recall:
            return Sentence(SUPPRESSED, values)
        if not control:
            return Sentence(LEFT_WITHOUT_CONTROL, values)
        return Sentence(REMOVED if found.asr <= _REMOVED else PARTIAL, values)


REMOVED = words(
    "Removed: at α = {alpha:.3g} the unlearned trigger sends {after:.1%} of held-out images to the "
    "class, {before:.1%} before; its recall goes from {was:.0%} to {recall:.0%}. The "
    "control, learned without the trigger, leaves {control:.1%} at its best.",
    ja="除去：α = {alpha:.3g} で、忘却したトリガーの ASR はホールドアウト画像で {before:.1%} から "
       "{after:.1%} に、標的の再現率は {was:.0%} から {recall:.0%} になりました。"
       "トリガーなしで学習した対照では、最良でも {control:.1%} が残ります。",
)  # fmt: skip
PARTIAL = words(
    "Partial: at α = {alpha:.3g} the unlearned trigger still sends {after:.1%} of held-out images "
    "to the class, {before:.1%} before; its recall goes from {was:.0%} to {recall:.0%}. The "
    "control, learned without the trigger, leaves {control:.1%} at its best.",
    ja="一部のみ：α = {alpha:.3g} でも、忘却したトリガーの ASR はホールドアウト画像で"
       " {before:.1%} から {after:.1%} に下がるにとどまり、"
       "標的の再現率は {was:.0%} から {recall:.0%} です。"
       "トリガーなしで学習した対照では、最良でも {control:.1%} が残ります。",
)  # fmt: skip
SUPPRESSED = words(
    "The target class is suppressed: at α = {alpha:.3g} the ASR falls from {before:.1%} to "
    "{after:.1%}, but a control, learned without the trigger, reaches {control:.1%}: it is the "
    "class that was unlearned, not the trigger. Its recall goes from {was:.0%} to {recall:.0%}.",
    ja="標的クラスの抑制：α = {alpha:.3g} で ASR は {before:.1%} から {after:.1%} に下がりますが、"
       "トリガーなしで学習した対照でも {control:.1%} になるため、"
       "忘却したのはトリガーではなくクラスです。再現率は {was:.0%} から {recall:.0%} になります。",
)  # fmt: skip
RECALL_UNKNOWN = words(
    "At α = {alpha:.3g} the unlearned trigger sends {after:.1%} of held-out images to the class, "
    "{before:.1%} before. The control, learned without the trigger, leaves {control:.1%}, and no "
    "held-out image of the class tells whether the class itself is suppressed.",
    ja="α = {alpha:.3g} で、忘却したトリガーの ASR はホールドアウト画像で {before:.1%} から "
    "{after:.1%} になりました。トリガーなしで学習した対照でも {control:.1%} になり、標的の"
    "ホールドアウト画像がないため、クラス自体が抑制されたのかどうかは分かりません。",
)
LEFT_WITHOUT_CONTROL = words(
    "At α = {alpha:.3g} the unlearned trigger sends {after:.1%} of held-out images to the class, "
    "{before:.1%} before; its recall goes from {was:.0%} to {recall:.0%}. The vector came from a "
    "file, so there is no control: the class itself may have been unlearned.",
    ja="α = {alpha:.3g} で、忘却したトリガーの ASR はホールドアウト画像で {before:.1%} から "
       "{after:.1%} に、標的の再現率は {was:.0%} から {recall:.0%} になりました。"
       "ベクトルはファイルのもので対照がないため、クラス自体を忘却した可能性があります。",
)  # fmt: skip
NO_USEFUL_ALPHA = words(
    "No useful α: no multiple of the vector that keeps {keep:.0%} of the accuracy brings the ASR "
    "below nine tenths of {before:.1%}. The best has {after:.1%}, and a recall of {recall:.0%}, "
    "{was:.0%} before.",
    ja="有効な α なし：正解率の {keep:.0%} を保つ倍率では、ASR が {before:.1%} の 9 割を"
       "下回りません。最良でも {after:.1%}、再現率は {was:.0%} から {recall:.0%} になります。",
)  # fmt: skip
