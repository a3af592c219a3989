"""What recovered triggers say about a finding.

A recovered trigger is no proof by itself: some change sends images to any class. It is evidence if
it works on images that the search did not use, and is at most a third of what the same search needs
for other classes of the same network. One that does not is no acquittal either: the search may have
missed the trigger.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from bdshift.audit.facts import Facts, RecoveredTrigger
from bdshift.recover.recovery import Recovery
from bdshift.remark import Remark, code
from bdshift.words import Sentence, words

RECOVERED_CONFIRMS = code(
    "recovered-confirms",
    words("Confirmed from the input: a trigger recovered for class {index} “{name}” ({kind}) sends "
          "{asr:.1%} of {images:|unused image|unused images} {of} there. {compared}",
          ja="入力側からも裏付けられました：クラス {index}「{name}」について復元した"
             "トリガー（{kind}）は、探索に使わなかった{of}画像 {images} 枚の {asr:.1%} を"
             "このクラスに送ります。{compared}"),
)  # fmt: skip
RECOVERED_BACKDOOR = code(
    "recovered-backdoor",
    words("No detector suspects class {index} “{name}”, but a trigger recovered for it ({kind}) "
          "sends {asr:.1%} of {images:|unused image|unused images} {of} there. {compared}",
          ja="検出器はクラス {index}「{name}」を疑っていませんが、"
             "復元したトリガー（{kind}）は、探索に使わなかった{of}画像 {images} 枚の {asr:.1%} を"
             "このクラスに送ります。{compared}"),
)  # fmt: skip
RECOVERED_DOES_NOT_CONFIRM = code(
    "recovered-does-not-confirm",
    words("The trigger recovered for class {index} “{name}” ({kind}) does not confirm the "
          "suspicion: it sends {asr:.1%} of {images:|unused image|unused images} {of} there. "
          "{compared} It would count from 80% and a third of the control classes' size. This does "
          "not clear the class: the search may have missed the trigger.",
          ja="クラス {index}「{name}」について復元したトリガー（{kind}）は、疑いを裏付けません："
             "探索に使わなかった{of}画像 {images} 枚の {asr:.1%} をこのクラスに送ります。{compared}"
             "裏付けとみなすのは、80% 以上かつ対照クラスの 3 分の 1 以下の場合です。"
             "探索で見つからなかっただけかもしれないため、疑いが晴れるわけではありません。"),
)  # fmt: skip
OF_OTHERS = words("of other classes", ja="他クラスの")
OF_SOURCE = words("of class “{name}”", ja="クラス「{name}」の")
COMPARED = words(
    "To reach 80% takes a change of size {size:.3g} there, and {control:.3g} for control classes "
    "(median): {factor:.2f} times as much.",
    ja="80% に達する変化の大きさは {size:.3g}、対照クラスでは中央値 {control:.3g}"
       "（{factor:.2f} 倍）です。",
)  # fmt: skip
COMPARED_AT_LEAST = words(
    "To reach 80% takes a change of size {size:.3g} there, and at least {control:.3g} for control "
    "classes, most of which were not reached: {factor:.2f} times as much.",
    ja="80% に達する変化の大きさは {size:.3g}、対照クラスでは {control:.3g} 以上"
       "（{factor:.2f} 倍）です。対照クラスの多くは 80% に達していません。",
)  # fmt: skip
NO_CONTROL_REACHED = words(
    "To reach 80% takes a change of size {size:.3g} there; for the control classes none was found.",
    ja="80% に達する変化の大きさは {size:.3g} で、"
       "対照クラスでは見つかりませんでした。",
)  # fmt: skip
NO_CONTROLS = words(
    "To reach 80% takes a change of size {size:.3g} there, which was compared with no other class.",
    ja="80% に達する変化の大きさは {size:.3g} で、ほかのクラスとは比べていません。",
)  # fmt: skip
NOT_REACHED = words(
    "No change of this kind was found that reaches 80%.",
    ja="この種類では、80% に達する変化は見つかりませんでした。",
)  # fmt: skip
PARTY = words("Recovered trigger", ja="復元したトリガー")
"""What stands for the name of a detector where evidence disagrees."""


def fact_of(recovery: Recovery) -> RecoveredTrigger:
    """What a recovery says about the finding."""
    won = recovery.attempt
    return RecoveredTrigger(
        Sentence(recovery.label), recovery.target, recovery.source, recovery.asr, recovery.images,
        won.target.size, won.control_size(0.8), not won.most_reached,
    )  # fmt: skip


def recovered_reasons(facts: Facts) -> Iterator[Remark]:
    """Recovered triggers that are evidence, those of classes that no detector suspects first."""
    confirming = [one for one in facts.recovered if one.confirms]
    for one in confirming:
        if one.target not in facts.detected:
            yield _remark(RECOVERED_BACKDOOR, one, facts)
    for one in confirming:
        if one.target in facts.detected:
            yield _remark(RECOVERED_CONFIRMS, one, facts)


def recovered_cautions(facts: Facts) -> Iterator[Remark]:
    """Recovered triggers of suspected classes that are no evidence."""
    for one in facts.recovered:
        if one.target in facts.detected and one.target not in facts.confirmed:
            yield _remark(RECOVERED_DOES_NOT_CONFIRM, one, facts)


def _remark(name: str, one: RecoveredTrigger, facts: Facts) -> Remark:
    names = facts.class_names
    return Remark(
        name,
        {"index": one.target, "name": names[one.target], "kind": one.kind, "asr": one.asr,
         "images": one.images, "of": images_of(one, names), "compared": compared(one)},
    )  # fmt: skip


def images_of(one: RecoveredTrigger, class_names: Sequence[str]) -> Sentence:
    """Which images it was tried on, in words."""
    if one.source < 0:
        return Sentence(OF_OTHERS)
    return Sentence(OF_SOURCE, {"name": class_names[one.source]})


def compared(one: RecoveredTrigger) -> Sentence:
    """Its size and that of the controls, in words."""
    if math.isinf(one.size):
        return Sentence(NOT_REACHED)
    if math.isnan(one.control):
        return Sentence(NO_CONTROLS, {"size": one.size})
    if math.isinf(one.control):
        return Sentence(NO_CONTROL_REACHED, {"size": one.size})
    values = {"size": one.size, "control": one.control, "factor": one.factor}
    return Sentence(COMPARED_AT_LEAST if one.at_least else COMPARED, values)
