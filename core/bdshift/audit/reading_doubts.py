"""Whether the model and its images were read as they should be: what accuracy, the statistics in
batch norms and other networks with the same weights say about that.
"""

from __future__ import annotations

from bdshift.audit.facts import Facts
from bdshift.checkpoints.listing import with_semicolons
from bdshift.remark import Remark, code
from bdshift.text import figure
from bdshift.words import Sentence, words

_MIN_KAPPA = 4 / 9  # accuracy above chance, as a share of the possible: 50% of ten classes
_LOW_KAPPA = 8 / 9  # 90% of ten classes: below it, the reader should know why
_DOUBTFUL_KAPPA = 7 / 9  # 80%: below it, a mismatch keeps the audit from a conclusion
_MIN_OF_MANY, _DOUBTFUL_OF_MANY, _LOW_OF_MANY = 0.3, 0.4, 0.5  # from `_MANY_CLASSES` on
_MANY_CLASSES = 100
_MAX_FIRST, _MAX_ALL = 0.3, 0.15
"""Mismatch of the first norm's and of all norms' statistics up to which images are read as in
training. A right reading gives 0.001 to 0.06; another scale of the pixels 0.6 and more, another
activation or crop 0.17 to 0.6.
"""
_OVERCONFIDENT = 0.1  # by how much the mean confidence is above the accuracy


def is_poor(accuracy: float, classes: int) -> bool:
    """Whether clean accuracy is too low, for this many classes, to conclude anything."""
    return _is_below(accuracy, classes, _MIN_KAPPA, _MIN_OF_MANY)


def _is_low(accuracy: float, classes: int) -> bool:
    return _is_below(accuracy, classes, _LOW_KAPPA, _LOW_OF_MANY)


def _is_below(accuracy: float, classes: int, kappa: float, of_many: float) -> bool:
    if classes >= _MANY_CLASSES:
        return accuracy < of_many
    chance = 1 / classes
    return accuracy - chance < kappa * (1 - chance) - 1e-9


POOR_ACCURACY = code(
    "poor-accuracy",
    words("Clean accuracy is only {accuracy:.1%} over {classes:|class|classes}: the images are "
          "not what this network was trained on, or they or the network are read wrongly, or it "
          "is weak. The evidence says little.",
          ja="クリーン正解率は {classes} クラスで {accuracy:.1%} しかありません。画像が訓練時と"
             "異なるか、画像やネットワークの読み方が誤っているか、ネットワーク自体が弱いかの"
             "いずれかです。この証拠からは判断できません。"),
)  # fmt: skip
READING_DOUBTFUL = code(
    "reading-doubtful",
    words("Clean accuracy, {accuracy:.1%}, is low for {classes:|class|classes}, and these images "
          "do not match the statistics of its training images that the network keeps in its batch "
          "norms (mismatch {mismatch:.2f}, at most {limit:.2f} where all is right): the images, "
          "their preprocessing or the network may be the wrong ones.",
          ja="クリーン正解率 {accuracy:.1%} は {classes} クラスとしては低く、しかもこの画像は、"
             "ネットワークがバッチ正規化に残している訓練画像の統計と合いません（不一致度 "
             "{mismatch:.2f}、正しければ {limit:.2f} 以下）。画像、前処理、ネットワークの"
             "どれかが違うおそれがあります。"),
)  # fmt: skip
NETWORKS_DISAGREE = code(
    "networks-disagree",
    words("The weights fit several networks that these images do not tell apart, and they "
          "disagree. In “{architecture}”, {found}; in “{other}”, {other_found}. Name the right "
          "one with --arch.",
          ja="この重みには、この画像では見分けられない複数のネットワークが合い、結果が食い違って"
             "います。「{architecture}」では{found}、「{other}」では{other_found}"
             "という結果です。正しいものを --arch で指定してください。"),
    words("The weights fit several networks that these images do not tell apart, and they "
          "disagree. In “{architecture}”, {found}; in “{other}”, {other_found}. Choose the right "
          "one with “Change the architecture…”.",
          ja="この重みには、この画像では見分けられない複数のネットワークが合い、結果が食い違って"
             "います。「{architecture}」では{found}、「{other}」では{other_found}"
             "という結果です。正しいものを「アーキテクチャを変更…」で選んでください。"),
)  # fmt: skip
OTHER_NETWORKS_FIT = code(
    "other-networks-fit",
    words("The weights fit {count:|other network|other networks} that these images do not rule "
          "out: {other}. The audit is of this one: {architecture}. The choice is not certain.",
          ja="この重みは、この画像では除外できないほかの {count} 個のネットワークにも合います："
             "{other}。監査したのは {architecture} ですが、この選択は確実ではありません。"),
)  # fmt: skip
WEAK_NETWORK = code(
    "weak-network",
    words("Clean accuracy, {accuracy:.1%}, is low for {classes:|class|classes}. But these images "
          "match the statistics in the network's batch norms (mismatch {mismatch:.2f}), so they "
          "are probably read as in training, and the network is simply weak.",
          ja="クリーン正解率 {accuracy:.1%} は {classes} クラスとしては低い値です。ただし画像は"
             "バッチ正規化の統計と合っているため（不一致度 {mismatch:.2f}）、読み方は訓練時と同じ"
             "で、ネットワーク自体が弱いだけと考えられます。"),
)  # fmt: skip
LABELS_DOUBTFUL = code(
    "labels-doubtful",
    words("Clean accuracy, {accuracy:.1%}, is low for {classes:|class|classes}, although these "
          "images match the statistics in the network's batch norms (mismatch {mismatch:.2f}) and "
          "the network is {confidence:.0%} confident on average. Either some of the labels are "
          "wrong, or the network is overfitted.",
          ja="クリーン正解率 {accuracy:.1%} は {classes} クラスとしては低い値ですが、画像は"
             "バッチ正規化の統計と合い（不一致度 {mismatch:.2f}）、ネットワークの確信度も平均 "
             "{confidence:.0%} あります。ラベルの一部が誤っているか、ネットワークが過学習して"
             "います。"),
)  # fmt: skip
LOW_ACCURACY = code(
    "low-accuracy",
    words("Clean accuracy, {accuracy:.1%}, is low for {classes:|class|classes}{confident}. Either "
          "the network is weak, or some labels are wrong, or the images or the network are read "
          "wrongly; it has no batch norms, whose statistics would tell.",
          ja="クリーン正解率 {accuracy:.1%} は {classes} クラスとしては低い値です{confident}。"
             "ネットワークが弱い、ラベルの一部が誤っている、画像やネットワークの読み方が誤っている、"
             "のいずれかです。どれかを示す"
             "バッチ正規化の統計はありません。"),
)  # fmt: skip
_CONFIDENT = words(", although the network is {confidence:.0%} confident on average",
                   ja="（ネットワークの確信度は平均 {confidence:.0%} です）")  # fmt: skip
_STAND_OUT = words("what stands out is {classes}", ja="{classes} が突出")
_NONE = words("no class stands out", ja="突出したクラスはない")


def poor_accuracy(facts: Facts) -> Remark | None:
    """Too low to conclude anything, unless another order of the classes explains it."""
    if facts.explained is not None or not is_poor(facts.accuracy, facts.classes):
        return None
    return Remark(POOR_ACCURACY, {"accuracy": facts.accuracy, "classes": facts.classes})


def reading_is_doubtful(facts: Facts) -> Remark | None:
    """So low that a mismatch of the statistics in batch norms means something. A network that was
    fine-tuned with its norms frozen has one, too, but is not so weak.
    """
    if not _is_below(facts.accuracy, facts.classes, _DOUBTFUL_KAPPA, _DOUBTFUL_OF_MANY):
        return None
    return _statistics_differ(facts)


def _statistics_differ(facts: Facts) -> Remark | None:
    found = mismatch_of(facts)
    if not _is_only_low(facts) or found is None or found[0] <= found[1]:
        return None
    values = {"accuracy": facts.accuracy, "classes": facts.classes}
    return Remark(READING_DOUBTFUL, values | {"mismatch": found[0], "limit": found[1]})


def _is_only_low(facts: Facts) -> bool:
    low = _is_low(facts.accuracy, facts.classes)
    return low and facts.explained is None and poor_accuracy(facts) is None


def mismatch_of(facts: Facts) -> tuple[float, float] | None:
    """Mismatch of the statistics in batch norms, and its limit: of the two that are measured, the
    one that says more against the reading. None if neither is.
    """
    trial = facts.reading
    if trial is None:
        return None
    pairs = ((trial.norms, _MAX_ALL), (trial.mismatch, _MAX_FIRST))
    known = [(value, limit) for value, limit in pairs if value is not None]
    return max(known, key=lambda pair: pair[0] / pair[1]) if known else None


def networks_disagree(facts: Facts) -> Remark | None:
    """Something stands out in one network and not, or something else, in another one. In the others
    only the norms were judged: beside clean models, they need not show what the images do.
    """
    if not facts.judged:
        return None
    verdict = facts.verdict
    own = facts.flagged_by_norms if verdict is None else verdict.unusual
    for other in facts.alternatives:
        says_something = other.suspected or (own and verdict is None)
        if not says_something or set(own) & set(other.suspected):
            continue
        values = {
            "architecture": facts.architecture, "found": _found(facts, own),
            "other": other.architecture, "other_found": _found(facts, other.suspected),
        }  # fmt: skip
        return Remark(NETWORKS_DISAGREE, values)
    return None


def _found(facts: Facts, suspected: tuple[int, ...]) -> Sentence:
    if not suspected:
        return Sentence(_NONE)
    return Sentence(_STAND_OUT, {"classes": tuple(f"“{facts.class_names[i]}”" for i in suspected)})


def other_networks(facts: Facts) -> Remark | None:
    """The networks that the images do not rule out, each with its accuracy."""
    others = facts.alternatives
    if not others:
        return None
    values = {
        "count": len(others),
        "other": with_semicolons(
            [f"{one.architecture} ({figure(one.accuracy, '.1%')})" for one in others]
        ),
        "architecture": f"{facts.architecture} ({figure(facts.accuracy, '.1%')})",
    }
    return Remark(OTHER_NETWORKS_FIT, values)


def low_accuracy(facts: Facts) -> Remark | None:
    """Low, and what is known about why."""
    trial, found = facts.reading, mismatch_of(facts)
    if trial is None or trial.confidence is None or not _is_only_low(facts):
        return None
    values = {"accuracy": facts.accuracy, "classes": facts.classes}
    over = trial.confidence - facts.accuracy > _OVERCONFIDENT
    if found is None:
        sure = Sentence(_CONFIDENT, {"confidence": trial.confidence}) if over else ""
        return Remark(LOW_ACCURACY, values | {"confident": sure})
    if found[0] > found[1]:
        return None if reading_is_doubtful(facts) else _statistics_differ(facts)
    values["mismatch"] = found[0]
    if over:
        return Remark(LABELS_DOUBTFUL, values | {"confidence": trial.confidence})
    return Remark(WEAK_NETWORK, values)
