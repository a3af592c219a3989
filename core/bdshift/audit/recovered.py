"""What recovered triggers say about a finding.

A recovered trigger is no proof by itself: some change sends images to any class. It is evidence if
it works on images that the search did not use, and is at most a third of what the same search needs
for other classes of the same network. One that sends images of a single class must be at most a
fifth, since there are many more pairs than classes, and also of the change the other way: classes
may be alike by nature, but likeness is symmetric and an attack is directed. How it does on the
other classes says which attack it is, not whether it is one. One that does not count is no
acquittal either: the search may have missed the trigger.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from bdshift.audit.facts import WORKING_ASR, Facts, RecoveredTrigger
from bdshift.recovery.recovery import Recovery
from bdshift.remark import Remark, code
from bdshift.words import Sentence, words

RECOVERED_CONFIRMS = code(
    "recovered-confirms",
    words("Confirmed from the input: a trigger recovered for class {index} “{name}” ({kind}) sends "
          "{asr:.1%} of {images:|unused image|unused images} {of} there. {compared}",
          ja="入力側からも裏付けられました：クラス {index}「{name}」について復元した"
             "トリガー（{kind}）は、探索に使わなかった{of}画像 {images} 枚の {asr:.1%} を"
             "このクラスに誘導します。{compared}"),
)  # fmt: skip
RECOVERED_BACKDOOR = code(
    "recovered-backdoor",
    words("No detector suspects class {index} “{name}”, but a trigger recovered for it ({kind}) "
          "sends {asr:.1%} of {images:|unused image|unused images} {of} there. {compared}",
          ja="検出器はクラス {index}「{name}」を疑っていませんが、"
             "復元したトリガー（{kind}）は、探索に使わなかった{of}画像 {images} 枚の {asr:.1%} を"
             "このクラスに誘導します。{compared}"),
)  # fmt: skip
RECOVERED_DOES_NOT_CONFIRM = code(
    "recovered-does-not-confirm",
    words("The trigger recovered for class {index} “{name}” ({kind}) does not confirm the "
          "suspicion: it sends {asr:.1%} of {images:|unused image|unused images} {of} there. "
          "{compared} {limits} This does not clear the class: the search may have missed the "
          "trigger.",
          ja="クラス {index}「{name}」について復元したトリガー（{kind}）は、疑いを裏付けません："
             "探索に使わなかった{of}画像 {images} 枚の {asr:.1%} をこのクラスに誘導します。"
             "{compared}{limits}"
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
LIMITS = words(
    "It would count from 80% and a third of the control classes' size.",
    ja="証拠とみなすのは、80% 以上かつ対照クラスの 3 分の 1 以下の大きさの場合です。",
)  # fmt: skip
LIMITS_OF_PAIR = words(
    "It would count from 80% and a fifth of the size for control classes and the other way.",
    ja="証拠とみなすのは、80% 以上で、大きさが対照クラスと逆方向の 5 分の 1 以下の場合です。",
)  # fmt: skip
REVERSE = words(
    "The other way, from “{target}” to “{source}”, it takes {reverse:.3g}: {factor:.2f} times as "
    "much.",
    ja="逆方向（「{target}」から「{source}」）では {reverse:.3g}（{factor:.2f} 倍）です。",
)  # fmt: skip
REVERSE_NOT_REACHED = words(
    "The other way, from “{target}” to “{source}”, none was found.",
    ja="逆方向（「{target}」から「{source}」）では見つかりませんでした。",
)  # fmt: skip
REVERSE_UNKNOWN = words(
    "The other way, from “{target}” to “{source}”, was not tried.",
    ja="逆方向（「{target}」から「{source}」）は試していません。",
)  # fmt: skip
ALONE = words(
    "On images of the other classes it reaches {elsewhere:.1%}: it works for “{source}” alone.",
    ja="残りのクラスの画像では {elsewhere:.1%} にとどまり、「{source}」だけに効きます。",
)  # fmt: skip
ELSEWHERE_TOO = words(
    "On images of the other classes it reaches {elsewhere:.1%}: it works not only for “{source}”.",
    ja="残りのクラスの画像でも {elsewhere:.1%} に達し、「{source}」以外にも効きます。",
)  # fmt: skip
PARTLY_ELSEWHERE = words(
    "On images of the other classes it reaches {elsewhere:.1%}.",
    ja="残りのクラスの画像では {elsewhere:.1%} です。",
)  # fmt: skip
TOGETHER = words("{first} {second}", ja="{first}{second}")
NO_CONTROLS = words(
    "To reach 80% takes a change of size {size:.3g} there, which was compared with no other class.",
    ja="80% に達する変化の大きさは {size:.3g} で、ほかのクラスとは比較していません。",
)  # fmt: skip
NOT_REACHED = words(
    "No change of this kind was found that reaches 80%.",
    ja="この種類では、80% に達する変化は見つかりませんでした。",
)  # fmt: skip
PARTY = words("Recovered trigger", ja="復元したトリガー")
"""What stands for the name of a detector where evidence disagrees."""


def fact_of(recovery: Recovery) -> RecoveredTrigger:
    """What a recovery says about the finding."""
    won, back = recovery.attempt, recovery.reverse
    return RecoveredTrigger(
        Sentence(recovery.label), recovery.target, recovery.source, recovery.asr, recovery.images,
        won.target.size, won.control_size(0.8), not won.most_reached,
        math.nan if back is None else back.size, recovery.elsewhere,
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
         "images": one.images, "of": images_of(one, names), "compared": compared(one, names),
         "limits": limits(one)},
    )  # fmt: skip


def images_of(one: RecoveredTrigger, class_names: Sequence[str]) -> Sentence:
    """Which images it was tried on, in words."""
    if one.source < 0:
        return Sentence(OF_OTHERS)
    return Sentence(OF_SOURCE, {"name": class_names[one.source]})


def limits(one: RecoveredTrigger) -> Sentence:
    """From where on it would be evidence, in words."""
    return Sentence(LIMITS if one.source < 0 else LIMITS_OF_PAIR)


def compared(one: RecoveredTrigger, class_names: Sequence[str]) -> Sentence:
    """Its size beside what other classes take; with a single source also beside the other way, and
    what it does on the remaining classes, in words.
    """
    found = _beside_controls(one)
    for sentence in about_pair(one, class_names):
        found = Sentence(TOGETHER, {"first": found, "second": sentence})
    return found


def about_pair(one: RecoveredTrigger, class_names: Sequence[str]) -> Iterator[Sentence]:
    """What is known of a single source: the other way, and the remaining classes, in words."""
    if one.source < 0:
        return
    ends = {"source": class_names[one.source], "target": class_names[one.target]}
    if math.isnan(one.reverse):
        yield Sentence(REVERSE_UNKNOWN, ends)
    elif math.isinf(one.reverse):
        yield Sentence(REVERSE_NOT_REACHED, ends)
    elif math.isfinite(one.size):
        yield Sentence(REVERSE, {**ends, "reverse": one.reverse, "factor": one.reverse_factor})
    if not math.isnan(one.elsewhere):
        name = PARTLY_ELSEWHERE
        if one.elsewhere >= WORKING_ASR:
            name = ELSEWHERE_TOO
        elif one.elsewhere <= 1 - WORKING_ASR:
            name = ALONE
        yield Sentence(name, {"elsewhere": one.elsewhere, "source": ends["source"]})


def _beside_controls(one: RecoveredTrigger) -> Sentence:
    if math.isinf(one.size):
        return Sentence(NOT_REACHED)
    if math.isnan(one.control):
        return Sentence(NO_CONTROLS, {"size": one.size})
    if math.isinf(one.control):
        return Sentence(NO_CONTROL_REACHED, {"size": one.size})
    values = {"size": one.size, "control": one.control, "factor": one.factor}
    return Sentence(COMPARED_AT_LEAST if one.at_least else COMPARED, values)
