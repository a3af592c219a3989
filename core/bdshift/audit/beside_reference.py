"""What a reference, a model that is said to be clean, changes, in words: reasons, a doubt, and
cautions of the finding.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from bdshift.audit.facts import Facts, ReferenceFacts
from bdshift.remark import Remark, code
from bdshift.verdict.decide import KindStanding, Verdict
from bdshift.words import Sentence, words

_MAX_CLASSES = 5  # each with a sentence

EXPLAINS = code(
    "reference-explains",
    words("Less what the reference, {reference}, has, too, class {index} “{name}” is nothing "
          "unusual compared with clean models (times as easy to reach as the others: {figures}). "
          "That the reference is clean is your word.",
          ja="参照モデル {reference} にもある分を差し引くと、クリーンなモデルと比べてクラス {index}"
             "「{name}」は異常ではありません（ほかのクラスに対する到達しやすさの倍率：{figures}）。"
             "参照モデルがクリーンであることは、確認できません。"),
)  # fmt: skip
LEAVES = code(
    "reference-leaves",
    words("The reference, {reference}, does not explain class {index} “{name}” (times as easy to "
          "reach as the others: {figures}).",
          ja="クラス {index}「{name}」は、参照モデル {reference} では説明できません"
             "（ほかのクラスに対する到達しやすさの倍率：{figures}）。"),
)  # fmt: skip
CHANGES_NOTHING = code(
    "reference-changes-nothing",
    words("The reference, {reference}, changes nothing: without it, no class stands out, either.",
          ja="参照モデル {reference} の有無で結果は変わりません。"
             "なくても、突出したクラスはありません。"),
)  # fmt: skip
FIGURES = words("{detector} {factor:#.3g} here and {of_reference:#.3g} there",
                ja="{detector} {factor:#.3g}（参照モデル {of_reference:#.3g}）")  # fmt: skip
ONLY_FIGURES = words("{detector} the only one reached here, {of_reference:#.3g} there",
                     ja="{detector} ここで到達できる唯一のクラス（参照モデル {of_reference:#.3g}）"
                     )  # fmt: skip
REFERENCE = words("{name} ({accuracy:.1%} clean accuracy)",
                  ja="{name}（クリーン正解率 {accuracy:.1%}）")  # fmt: skip
BOTH_SUSPECTED = code(
    "reference-suspected-too",
    words("The reference, {reference}, is suspected of the same: {classes}. Either both models "
          "have the backdoor, or the class is easy to reach by nature. Compare with a clean model "
          "from another source.",
          ja="同じクラスが、参照モデル {reference} でも疑われます：{classes}。"
             "両方のモデルにバックドアがあるか、もともと到達しやすいクラスかのどちらかです。"
             "別の出所のクリーンなモデルと比較してください。"),
)  # fmt: skip
ITSELF_SUSPECTED = code(
    "reference-suspected",
    words("The reference, {reference}, is suspected itself, because of {classes}; it explains "
          "nothing there.",
          ja="参照モデル {reference} 自体が疑われます：{classes}。"
             "そのクラスの説明には使いません。"),
)  # fmt: skip
NOT_USED = code(
    "reference-not-used",
    words("The reference, {reference}, was not used. {why}",
          ja="参照モデル {reference} は使いませんでした。{why}"),
)  # fmt: skip
NO_SEARCH = words("Triggers were not searched for in the images as they were in clean models, so "
                  "there is nothing to compare.",
                  ja="クリーンなモデルと同じ方法では画像でトリガーを探索していないため、"
                     "比較する対象がありません。")  # fmt: skip


def reference_reasons(facts: Facts) -> Iterator[Remark]:
    """Which classes it explains, and which not; and what detectors say of both models."""
    if facts.reference is not None and facts.reference.misread is None:
        yield from facts.reference.said
    reference, verdict, alone = _used(facts)
    if reference is None or verdict is None or alone is None:
        return
    before = _in_question(alone)
    asked = [one for one in before if one not in reference.suspected]
    for index in [one for one in asked if one not in verdict.unusual][:_MAX_CLASSES]:
        yield _about(EXPLAINS, index, verdict, reference, facts)
    for index in [one for one in asked if one in verdict.unusual][:_MAX_CLASSES]:
        yield _about(LEAVES, index, verdict, reference, facts)
    if not before and not facts.suspected:
        yield Remark(CHANGES_NOTHING, {"reference": _named(reference)})


def reference_suspected_too(facts: Facts) -> Remark | None:
    """The doubt, if all that is suspected is suspected in the reference, too."""
    reference = facts.reference
    if reference is None or reference.misread is not None or facts.by_rule or not facts.suspected:
        return None
    if not set(facts.suspected) <= set(reference.suspected):
        return None
    return Remark(BOTH_SUSPECTED, _suspected(facts.suspected, reference, facts))


def reference_cautions(facts: Facts) -> Iterator[Remark]:
    """Why it was not used, or not for all classes."""
    reference = facts.reference
    if reference is None or facts.by_rule:
        return
    why = NO_SEARCH if facts.verdict is None and not reference.said else ""
    sentence = Sentence(why) if reference.misread is None else reference.misread.sentence
    if sentence:
        yield Remark(NOT_USED, {"reference": _named(reference), "why": sentence})
    elif reference.suspected and reference_suspected_too(facts) is None:
        yield Remark(ITSELF_SUSPECTED, _suspected(reference.suspected, reference, facts))


def _used(facts: Facts) -> tuple[ReferenceFacts | None, Verdict | None, Verdict | None]:
    reference = facts.reference
    if reference is None or reference.misread is not None:
        return None, None, None
    return reference, facts.verdict, facts.verdict_alone


def _in_question(verdict: Verdict) -> tuple[int, ...]:
    """The suspected classes, or the one that keeps the verdict from clearing the model."""
    return verdict.suspected or ((verdict.index,) if verdict.is_unusual else ())


def _about(
    name: str, index: int, verdict: Verdict, reference: ReferenceFacts, facts: Facts
) -> Remark:
    values = {"index": index, "name": facts.class_names[index], "reference": _named(reference)}
    figures = tuple(_figures(one, index) for one in verdict.kinds if one.own[index] > 0)
    return Remark(name, {**values, "figures": figures})


def _figures(one: KindStanding, index: int) -> Sentence:
    factor = one.factor(index)
    return Sentence(ONLY_FIGURES if math.isinf(factor) else FIGURES, {
        "detector": Sentence(one.detector.label), "factor": factor,
        "of_reference": one.of_reference(index),
    })  # fmt: skip


def _suspected(
    classes: tuple[int, ...], reference: ReferenceFacts, facts: Facts
) -> dict[str, object]:
    listed = [f"{i} “{facts.class_names[i]}”" for i in classes[:_MAX_CLASSES]]
    more = ("…",) if len(classes) > _MAX_CLASSES else ()
    return {"reference": _named(reference), "classes": (*listed, *more)}


def _named(reference: ReferenceFacts) -> Sentence:
    return Sentence(REFERENCE, {"name": reference.name, "accuracy": reference.accuracy})
