"""Doubts, which keep an audit from a conclusion, and cautions about its finding.

Each check looks at the facts and returns a remark or None. A doubt makes the finding inconclusive,
whatever stands out; a caution only accompanies it. To add a check, add a code and a function.
"""

from __future__ import annotations

from collections.abc import Callable

from bdshift.audit.beside import could_not_tell, second_stage_not_run
from bdshift.audit.beside_reference import reference_suspected_too
from bdshift.audit.facts import Facts, TriedTrigger
from bdshift.audit.image_doubts import (
    suspect_with_few_images,
    suspect_without_images,
    too_few_to_measure,
)
from bdshift.audit.label_doubts import (
    READING_UNCONFIRMED,
    UNLABELED_MISREAD,
    UNLABELED_UNSURE,
    no_labels,
    reading_unconfirmed,
    unlabeled_misread,
    unlabeled_unsure,
)
from bdshift.audit.preprocessing_doubts import hangs_on_preprocessing, several_preprocessings
from bdshift.audit.reading_doubts import (
    POOR_ACCURACY,
    READING_DOUBTFUL,
    low_accuracy,
    networks_disagree,
    other_networks,
    poor_accuracy,
    reading_is_doubtful,
)
from bdshift.audit.recovered import PARTY
from bdshift.remark import Remark, code
from bdshift.spec import shortened
from bdshift.words import Sentence, words

_MIN_IMAGES = 30
_ENOUGH_IMAGES = 200
_IMAGES_A_CLASS = 2  # below this, and below _ENOUGH_IMAGES in all, nothing can be judged
_GOOD_IMAGES_A_CLASS = 5
_MIN_CLASSES = 3
_POWERFUL_CLASSES = 6
_MIN_SHARE_OF_CLASSES = 0.5  # that have images
_MAX_NAMED = 5  # parts of a file in a remark

Check = Callable[[Facts], Remark | None]
_doubts: list[Check] = []
_cautions: list[Check] = []


def doubts(facts: Facts) -> list[Remark]:
    """Doubts that keep the audit from a conclusion, the most serious first."""
    return [found for check in _doubts if (found := check(facts)) is not None]


def cautions(facts: Facts) -> list[Remark]:
    """Cautions about the finding."""
    return [found for check in _cautions if (found := check(facts)) is not None]


def _doubt(check: Check) -> Check:
    _doubts.append(check)
    return check


def _caution(check: Check) -> Check:
    _cautions.append(check)
    return check


def trigger_remark(name: str, tried: TriedTrigger, facts: Facts) -> Remark:
    """The remark with this code about a measured trigger."""
    return Remark(
        name,
        {"trigger": shortened(tried.trigger), "asr": tried.asr, "index": tried.target,
         "name": facts.class_names[tried.target]},
    )  # fmt: skip


# Doubts: with any of them nothing can be concluded. The most serious first.

LABEL_ORDER = code(
    "label-order",
    words("Clean accuracy is {accuracy:.1%}, but another order of the classes explains "
          "{explained:.1%} of the predictions: the classes are probably numbered in another order. "
          "Until that is corrected, class names are wrong.",
          ja="クリーン正解率は {accuracy:.1%} ですが、"
             "クラスの並びを変えると予測の {explained:.1%} を"
             "説明できます。番号の順が違うようです。直すまで、クラス名は誤っています。"),
)  # fmt: skip
TOO_FEW_IMAGES = code(
    "too-few-images",
    words("{images:|image is|images are} too few to judge {classes:|class|classes}.",
          ja="画像 {images} 枚では、{classes} クラスを判定するには足りません。"),
)  # fmt: skip
MOST_CLASSES_MISSING = code(
    "most-classes-missing",
    words("Only {present} of {classes:|class|classes} {present:~|has|have} images.",
          ja="{classes} クラスのうち {present} クラスにしか画像がありません。"),
)  # fmt: skip
ORDER_GUESSED = code(
    "order-guessed",
    words("The images are of {present} of {classes:|class|classes}, and nothing says which: that "
          "the folders are the first classes in sorted order is a guess. Say which is which with "
          "--labels FILE (one class name per line, in the network's order), or in the window with "
          "“Change the classes…”.",
          ja="画像は {classes} クラスのうち {present} クラス分で、"
             "どのクラスかを示すものがありません。フォルダーを名前順に先頭のクラスとみなすのは推測です。"
             "--labels FILE（1 行に 1 クラス名、ネットワークの順）か、"
             "ウィンドウの「クラスの対応を変更…」で指定してください。"),
    words("The images are of {present} of {classes:|class|classes}, and nothing says which: that "
          "the folders are the first classes in sorted order is a guess. Say which is which with "
          "“Change the classes…”.",
          ja="画像は {classes} クラスのうち {present} クラス分で、"
             "どのクラスかを示すものがありません。フォルダーを名前順に先頭のクラスとみなすのは推測です。"
             "「クラスの対応を変更…」で指定してください。"),
)  # fmt: skip
CLASSES_IN_DOUBT = (LABEL_ORDER, ORDER_GUESSED)
"""Doubts that end when the user says which class is which."""
TOO_FEW_CLASSES = code(
    "too-few-classes",
    words("With fewer than three classes that can be judged, no outlier can be distinguished "
          "from the others.",
          ja="判定できるクラスが 3 未満では、外れ値を見分けられません。"),
)  # fmt: skip
RULE_CANNOT_FLAG = code(
    "rule-cannot-flag",
    words("The rule “{rule}” cannot flag any of these {classes:|class|classes}.",
          ja="規則「{rule}」では、この {classes} クラスのどれも異常と判定できません。"),
)  # fmt: skip
LITTLE_POWER = code(
    "little-power",
    words("Nothing stands out, but with only {classes:|class|classes} little could.",
          ja="突出したクラスはありませんが、"
             "{classes} クラスだけでは突出することがほとんどありません。"),
)  # fmt: skip
DETECTORS_DISAGREE = code(
    "detectors-disagree",
    words("The evidence disagrees: {findings}.", ja="証拠が食い違っています：{findings}。"),
)
ONE_DETECTOR = words("{detector} suspects {classes}", ja="{detector}は {classes}")
UNFLAGGED_TRIGGER_WORKS = code(
    "unflagged-trigger-works",
    words("The evidence disagrees: the trigger {trigger} sends {asr:.1%} of the images of other "
          "classes to class {index} “{name}”, which does not stand out.",
          ja="証拠が食い違っています："
             "トリガー {trigger} は他クラスの画像の {asr:.1%} をクラス {index}"
             "「{name}」に誘導しますが、このクラスは突出していません。"),
)  # fmt: skip

COPY_DIFFERS = code(
    "copy-differs",
    words("Other weights of this network in the file, {weights}, have a more serious finding.",
          ja="ファイル内の同じネットワークの別の重み {weights} には、より深刻な判定が出ています。"),
)  # fmt: skip
MISREAD = frozenset(
    {LABEL_ORDER, POOR_ACCURACY, READING_DOUBTFUL, READING_UNCONFIRMED, UNLABELED_MISREAD,
     UNLABELED_UNSURE}
)  # fmt: skip
"""Codes of doubts whether a model was read as it should be."""


@_doubt
def _order_of_labels(facts: Facts) -> Remark | None:
    if facts.explained is None:
        return None
    return Remark(LABEL_ORDER, {"accuracy": facts.accuracy, "explained": facts.explained})


_doubt(poor_accuracy)
_doubt(reading_is_doubtful)
_doubt(unlabeled_misread)
_doubt(unlabeled_unsure)
_doubt(reading_unconfirmed)
_doubt(networks_disagree)
_doubt(hangs_on_preprocessing)


@_doubt
def _too_few_images(facts: Facts) -> Remark | None:
    few = facts.images < min(_ENOUGH_IMAGES, _IMAGES_A_CLASS * facts.classes)
    if not few and facts.images >= _MIN_IMAGES:
        return None
    return Remark(TOO_FEW_IMAGES, {"images": facts.images, "classes": facts.classes})


@_doubt
def _too_few_to_measure(facts: Facts) -> Remark | None:
    return None if _too_few_images(facts) else too_few_to_measure(facts)


@_doubt
def _most_classes_missing(facts: Facts) -> Remark | None:
    present, least = sum(count > 0 for count in facts.counts), min(_MIN_CLASSES, facts.classes)
    if present >= max(least, _MIN_SHARE_OF_CLASSES * facts.classes):
        return None
    return Remark(MOST_CLASSES_MISSING, {"present": present, "classes": facts.classes})


@_doubt
def _order_guessed(facts: Facts) -> Remark | None:
    if not facts.order_guessed:
        return None
    present = sum(count > 0 for count in facts.counts)
    return Remark(ORDER_GUESSED, {"present": present, "classes": facts.classes})


@_doubt
def _too_few_classes(facts: Facts) -> Remark | None:
    if any(len(one.judgment.usable) >= _MIN_CLASSES for one in facts.judged):
        return None
    return Remark(TOO_FEW_CLASSES)


@_doubt
def _rule_cannot_flag(facts: Facts) -> Remark | None:
    usable = [one.judgment for one in facts.judged if len(one.judgment.usable) >= _MIN_CLASSES]
    if facts.verdict is not None or not usable or any(one.able for one in usable):
        return None
    first = usable[0]
    return Remark(RULE_CANNOT_FLAG, {"classes": len(first.usable), "rule": first.rule.spec})


@_doubt
def _little_power(facts: Facts) -> Remark | None:
    most = max((len(one.judgment.usable) for one in facts.judged), default=0)
    judged_by_rule = facts.verdict is None and not facts.suspected
    if not judged_by_rule or not _MIN_CLASSES <= most < _POWERFUL_CLASSES:
        return None
    return Remark(LITTLE_POWER, {"classes": most})


@_doubt
def _detectors_disagree(facts: Facts) -> Remark | None:
    suspecting = [one for one in (*facts.parties, (PARTY, facts.confirmed)) if one[1]]
    common = set(facts.suspected).intersection(*(classes for _, classes in suspecting))
    if len(suspecting) < 2 or common:
        return None
    findings = tuple(
        Sentence(ONE_DETECTOR, {
            "detector": Sentence(label),
            "classes": tuple(f"“{facts.class_names[i]}”" for i in classes),
        })
        for label, classes in suspecting
    )  # fmt: skip
    return Remark(DETECTORS_DISAGREE, {"findings": findings})


@_doubt
def _trigger_disagrees(facts: Facts) -> Remark | None:
    for tried in facts.working:
        if tried.target not in facts.suspected:
            return trigger_remark(UNFLAGGED_TRIGGER_WORKS, tried, facts)
    return None


@_doubt
def _copy_differs(facts: Facts) -> Remark | None:
    """Only under another rule than the one that the file was scanned with."""
    worse = () if facts.suspected else tuple(
        one.weights for one in facts.copies if one.level == "backdoored"
    )  # fmt: skip
    return Remark(COPY_DIFFERS, {"weights": worse}) if worse else None


_doubt(suspect_without_images)
_doubt(reference_suspected_too)
_doubt(could_not_tell)


# Cautions: what to keep in mind when reading a finding.

FEW_IMAGES = code(
    "few-images",
    words("{images:|image|images} for {classes:|class|classes} are few, so the scores are "
          "imprecise.",
          ja="{classes} クラスに画像 {images} 枚は少なく、スコアは粗い値です。"),
)  # fmt: skip
FEW_OF_THE_IMAGES = code(
    "few-of-the-images",
    words("{images} of the {available:|image|images} are few for {classes:|class|classes}, so the "
          "scores are imprecise. --sample {wanted:d} takes more of them.",
          ja="画像 {available} 枚のうち {images} 枚は {classes} クラスには少なく、"
             "スコアは粗い値です。--sample {wanted:d} で増やせます。"),
    words("{images} of the {available:|image|images} are few for {classes:|class|classes}, so the "
          "scores are imprecise. The command can take more of them.",
          ja="画像 {available} 枚のうち {images} 枚は {classes} クラスには少なく、"
             "スコアは粗い値です。コマンドなら枚数を増やせます。"),
)  # fmt: skip
CLASSES_MISSING = code(
    "classes-missing",
    words("{missing} of {classes:|class|classes} {missing:~|has|have} no images. A trigger that "
          "works on images of {missing:~|that class|those classes} alone cannot be found.",
          ja="{classes} クラス中 {missing} クラスに画像がありません。"
             "そのクラスの画像だけに効くトリガーは見つかりません。"),
)  # fmt: skip
FEW_CLASSES = code(
    "few-classes",
    words("With only {classes:|class|classes} the test has little power.",
          ja="{classes} クラスだけでは、検定の力は弱くなります。"),
)  # fmt: skip
UNKNOWN_DETECTORS = code(
    "unknown-detectors",
    words("This version of bdshift does not know {detectors}, so that evidence does not count.",
          ja="この版の bdshift は {detectors} を知らないため、その証拠は判定に含まれません。"),
)  # fmt: skip
PARTS_LEFT_OUT = code(
    "parts-left-out",
    words("This version of bdshift cannot keep {count:|part|parts} of the audit file; saving it "
          "again loses {count:~|it|them}: {places}.",
          ja="この版の bdshift は監査ファイルの {count} 箇所を保持できません。"
             "保存し直すと失われます：{places}。"),
)  # fmt: skip


_caution(no_labels)
_caution(other_networks)
_caution(several_preprocessings)
_caution(low_accuracy)


@_caution
def _parts_left_out(facts: Facts) -> Remark | None:
    left = facts.left_out
    if not left:
        return None
    listed = (*left[:_MAX_NAMED], *(("…",) if len(left) > _MAX_NAMED else ()))
    return Remark(PARTS_LEFT_OUT, {"count": len(left), "places": listed})


@_caution
def _unknown_detectors(facts: Facts) -> Remark | None:
    if not facts.unknown:
        return None
    return Remark(UNKNOWN_DETECTORS, {"detectors": tuple(facts.unknown)})


@_caution
def _few_images(facts: Facts) -> Remark | None:
    enough = facts.images >= _GOOD_IMAGES_A_CLASS * facts.classes
    if enough or _too_few_images(facts) is not None:
        return None
    values = {"images": facts.images, "classes": facts.classes}
    if not facts.left_unused:
        return Remark(FEW_IMAGES, values)
    available = facts.images + facts.left_unused
    wanted = min(available, _GOOD_IMAGES_A_CLASS * facts.classes)
    return Remark(FEW_OF_THE_IMAGES, {**values, "available": available, "wanted": wanted})


@_caution
def _classes_missing(facts: Facts) -> Remark | None:
    missing = sum(count == 0 for count in facts.counts)
    if not missing or _most_classes_missing(facts) is not None:
        return None
    return Remark(CLASSES_MISSING, {"missing": missing, "classes": facts.classes})


_caution(suspect_with_few_images)


@_caution
def _few_classes(facts: Facts) -> Remark | None:
    most = max((len(one.judgment.usable) for one in facts.judged), default=0)
    if not facts.suspected or not _MIN_CLASSES <= most < _POWERFUL_CLASSES:
        return None
    return Remark(FEW_CLASSES, {"classes": most})


_caution(second_stage_not_run)
