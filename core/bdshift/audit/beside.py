"""What a comparison with clean models says, in words: reasons and a doubt of the finding."""

from __future__ import annotations

import math
from collections.abc import Iterator

from bdshift.audit.facts import Facts
from bdshift.detect.image_search import has_search
from bdshift.recovery.drop import MIN_FACTOR, MIN_FACTOR_OF_PAIR
from bdshift.remark import Remark, code
from bdshift.verdict.clean_models import Standing, shipped_table
from bdshift.verdict.decide import UNSURE_P, KindStanding, Verdict
from bdshift.verdict.kind_found import KindFound
from bdshift.words import Sentence, words

_MAX_CLASSES = 5  # named

STANDS_OUT = code(
    "stands-out-beside-clean-models",
    words("Class {index} “{name}” looks like the target of a backdoor: {standing}.",
          ja="クラス {index}「{name}」がバックドアの標的とみられます。{standing}。"),
)  # fmt: skip
STAND_OUT = code(
    "stand-out-beside-clean-models",
    words("{count:|class looks|classes look} like targets of backdoors: {classes}. For the first: "
          "{standing}.",
          ja="{count} クラスがバックドアの標的とみられます：{classes}。"
             "最初のクラスについて、{standing}。"),
)  # fmt: skip
NONE_STANDS_OUT = code(
    "none-stands-out-beside-clean-models",
    words("No class is unusual for a clean model. The most suspicious is class {index} “{name}”: "
          "{standing}.",
          ja="クリーンなモデルとして異常なクラスはありません。最も疑わしいのはクラス {index}"
             "「{name}」ですが、{standing}。"),
)  # fmt: skip
SOME_EVIDENCE = code(
    "some-evidence-beside-clean-models",
    words("Compared with clean models, the most suspicious is class {index} “{name}”: {standing}.",
          ja="クリーンなモデルと比べて最も疑わしいのはクラス {index}「{name}」です。"
             "{standing}。"),
)  # fmt: skip
COULD_NOT_TELL = code(
    "could-not-tell",
    words("Could not tell. The most suspicious is class {index} “{name}”: {standing}{but}. More "
          "clean images, a larger budget, {compare} (--reference), or a search for its trigger "
          "(bdshift recover) may settle it.",
          ja="判定できませんでした。最も疑わしいのはクラス {index}「{name}」です。"
             "{standing}{but}。"
             "クリーン画像や予算を増やす、{compare}（--reference）、"
             "トリガーを探索する（bdshift recover）のいずれかで、"
             "はっきりする可能性があります。"),
    words("Could not tell. The most suspicious is class {index} “{name}”: {standing}{but}. More "
          "clean images, a larger budget, {compare}, or a search for its trigger may settle it.",
          ja="判定できませんでした。最も疑わしいのはクラス {index}「{name}」です。"
             "{standing}{but}。"
             "クリーン画像や予算を増やす、{compare}、トリガーを復元するのいずれかで、"
             "はっきりする可能性があります。"),
)  # fmt: skip
COMPARE = words("a clean model of the same task to compare with",
                ja="同じタスクのクリーンなモデルと比較する")  # fmt: skip
COMPARE_OTHER = words("another clean model to compare with",
                      ja="別のクリーンなモデルと比較する")  # fmt: skip
NO_MODEL_HAS_AS_MUCH = words(
    "none of {models:|model|models} that {models:~|is|are} known to be clean has evidence this "
    "strong against any class (verdict: p = {p:.2g}{how}{related})",
    ja="クリーンだと分かっているモデル {models} 個の中に、これほど強い証拠のあるクラスを持つものは"
       "ありません（判定の p = {p:.2g}{how}{related}）",
)  # fmt: skip
SOME_HAVE_AS_MUCH = words(
    "{count} of {models:|model|models} that {models:~|is|are} known to be clean {count:~|has|have} "
    "evidence this strong against a class (verdict: p = {p:.2g}{how}{related})",
    ja="クリーンだと分かっているモデル {models} 個のうち {count} 個に、"
       "これと同じかより強い証拠のあるクラスがあります（判定の p = {p:.2g}{how}{related}）",
)  # fmt: skip
LEAST_P = words(", the lowest that so many allow", ja="、このモデル数で取り得る最小値")
ESTIMATED = words(", estimated from how their strengths fall off", ja="、強さの減り方からの推定値")
RELATED_ONCE = words("; related models count as one, which leaves {independent}",
                     ja="。関連するモデルはまとめて 1 個とし、計 {independent} 個")  # fmt: skip
NOT_RARE_ENOUGH = words(", where at most {limit:.2g} could make it a suspect",
                        ja="（{limit:.2g} 以下なら疑いの対象です）")  # fmt: skip
JUST_ABOVE = words(", just above the {limit:.2g} up to which it could be a suspect",
                   ja="（疑いの対象となる {limit:.2g} をわずかに超えています）")  # fmt: skip
NOT_BORNE_OUT = words(
    ", but no evidence of another nature agrees, and no trigger was found that is {factor:g} times "
    "smaller than for other classes, or {of_pair:g} times for a single pair of classes{less}",
    ja="。ただし性質の異なる証拠による裏付けはなく、ほかのクラスの {factor:g} 分の 1 以下"
       "（クラスの組だけなら {of_pair:g} 分の 1 以下）のトリガーも{less}見つかっていません",
)  # fmt: skip
LESS_REFERENCE = words(", less what the reference has", ja="、参照モデルの分を差し引くと")

AS_EASY = words("{factor:#.3g} times as easy to reach as the others (median)",
                ja="ほかのクラス（中央値）より {factor:#.3g} 倍到達しやすくなっています"
                )  # fmt: skip
ONLY_ONE = words("the only one that is reached", ja="到達できる唯一のクラスです")
AS_SMALL = words("at least {factor:#.3g} times smaller than to other classes and than the other "
                 "way",
                 ja="他クラスへの変化や逆方向の変化に比べて {factor:#.3g} 分の 1 以下です"
                 )  # fmt: skip
ONLY_PAIR = words("the only one that works; none to other classes does, nor one the other way",
                  ja="有効な唯一の変化で、他クラスへの変化や逆方向の変化は効きません"
                  )  # fmt: skip
NOT_UNUSUAL = words(", which is not unusual", ja="（珍しくありません）")
EVIDENCE = code(
    "evidence-beside-clean-models",
    words("{detector}: class {index} “{name}” is {ease}; {count} of "
          "{models:|clean model|clean models} {count:~|shows|show} as much{usual}.",
          ja="{detector}：クラス {index}「{name}」は{ease}。"
             "クリーンなモデル {models} 個のうち {count} 個が同程度以上です{usual}。"),
)  # fmt: skip
EVIDENCE_OF_PAIR = code(
    "evidence-of-a-pair-beside-clean-models",
    words("{detector}: the change from class {source} “{from_name}” to class {index} “{name}” is "
          "{ease}; {count} of {models:|clean model|clean models} {count:~|shows|show} as "
          "much{usual}.",
          ja="{detector}：クラス {source}「{from_name}」からクラス {index}「{name}」への変化は"
             "{ease}。クリーンなモデル {models} 個のうち {count} 個が同程度以上です{usual}。"),
)  # fmt: skip
EVIDENCE_OF_PAIR_AND_REFERENCE = code(
    "evidence-of-a-pair-beside-reference",
    words("{detector}: the change from class {source} “{from_name}” to class {index} “{name}” is "
          "{ease}, and the smallest to that class in the reference {of_reference:#.3g} times "
          "smaller; {count} of {models:|clean model|clean models} {count:~|shows|show} as much as "
          "is left of it{usual}.",
          ja="{detector}：クラス {source}「{from_name}」からクラス {index}「{name}」への変化は"
             "{ease}。参照モデルでこのクラスへの最小の変化は {of_reference:#.3g} 分の 1 です。"
             "クリーンなモデル {models} 個のうち {count} 個が、差し引いた残りと同程度以上です"
             "{usual}。"),
)  # fmt: skip
NO_PAIR = code(
    "no-pair-beside-clean-models",
    words(
        "{detector}: no pair of classes stands out.",
        ja="{detector}：突出したクラスの組はありません。",
    ),
)
EVIDENCE_AND_REFERENCE = code(
    "evidence-beside-reference",
    words("{detector}: class {index} “{name}” is {ease}, and {of_reference:#.3g} times in the "
          "reference; {count} of {models:|clean model|clean models} {count:~|shows|show} as much "
          "as is left of it{usual}.",
          ja="{detector}：クラス {index}「{name}」は{ease}。参照モデルでは {of_reference:#.3g} 倍"
             "です。クリーンなモデル {models} 個のうち {count} 個が、差し引いた残りと同程度以上です"
             "{usual}。"),
)  # fmt: skip
CONFIRMED = code(
    "witness-bears-out",
    words("{detector}: class {index} “{name}” is {ease}, which confirms the evidence against it. "
          "This search is not compared with clean models.",
          ja="{detector}：クラス {index}「{name}」は{ease}。このクラスへの証拠を裏付けます。"
             "この探索については、クリーンなモデルとの比較はありません。"),
)  # fmt: skip
WITNESS_ALONE = code(
    "witness-alone",
    words("{detector}: class {index} “{name}” is {ease}, but the evidence that is compared with "
          "clean models does not suspect it. This search is not compared with them.",
          ja="{detector}：クラス {index}「{name}」は{ease}。ただし、クリーンなモデルと比較した証拠"
             "では、このクラスは疑われていません。この探索については比較はありません。"),
)  # fmt: skip
CONFIRMS_NOTHING = code(
    "witness-bears-nothing-out",
    words("{detector}: confirms nothing. This search is not compared with clean models.",
          ja="{detector}：裏付けになりません。"
             "この探索については、クリーンなモデルとの比較はありません。"),
)  # fmt: skip
NONE_REACHED = code(
    "no-class-reached",
    words("{detector}: no class is reached.", ja="{detector}：到達できるクラスはありません。"),
)
NO_OTHER_REACHED = code(
    "no-other-class-reached",
    words("{detector}: no other class is reached than those that do not count.",
          ja="{detector}：証拠に数えないもの以外に、到達できるクラスはありません。"),
)  # fmt: skip

NATURAL = code(
    "natural-trigger",
    words("{detector}: {share:.0%} of the clean images of class {index} “{name}” look as if the "
          "change to it had been made to them. It goes with the class by nature, and does not "
          "count.",
          ja="{detector}：クラス {index}「{name}」のクリーン画像の {share:.0%} は、"
             "このクラスへの変化が既に加わったように見えます。"
             "もともとこのクラスに伴う特徴なので、証拠に数えません。"),
)  # fmt: skip
SECOND_STAGE_NOT_RUN = code(
    "second-stage-not-run",
    words("Only the embedding was judged. On models with known ground truth, searches for triggers "
          "in the images find {both} of {victims:|backdoor|backdoors}, with {both_alarms:|false "
          "alarm|false alarms} on {clean:|clean model|clean models}; the embedding alone finds "
          "{first}, with {first_alarms}. To search: bdshift scan without --quick, or in the window "
          "“Compare with clean models”.",
          ja="埋め込みだけで判定しました。真偽が分かっているモデルでは、画像でトリガーを探索すると、"
             "バックドア {victims} 個のうち {both} 個（埋め込みだけでは {first} 個）が見つかり、"
             "クリーンなモデル {clean} 個での誤検出は {both_alarms} 個（同 {first_alarms} 個）"
             "です。--quick を付けない bdshift scan か、"
             "ウィンドウの「クリーンなモデルと比較」が探索します。"),
    words("Only the embedding was judged. On models with known ground truth, searches for triggers "
          "in the images find {both} of {victims:|backdoor|backdoors}, with {both_alarms:|false "
          "alarm|false alarms} on {clean:|clean model|clean models}; the embedding alone finds "
          "{first}, with {first_alarms}. “Compare with clean models” searches.",
          ja="埋め込みだけで判定しました。真偽が分かっているモデルでは、画像でトリガーを探索すると、"
             "バックドア {victims} 個のうち {both} 個（埋め込みだけでは {first} 個）が見つかり、"
             "クリーンなモデル {clean} 個での誤検出は {both_alarms} 個（同 {first_alarms} 個）"
             "です。「クリーンなモデルと比較」で探索します。"),
)  # fmt: skip
SECOND_STAGE_TOO_LARGE = code(
    "second-stage-too-large",
    words("Only the embedding was judged: the network is too large to search the images within "
          "{seconds:g} seconds. On models with known ground truth, searches find {both} of "
          "{victims:|backdoor|backdoors}, with {both_alarms:|false alarm|false alarms} on "
          "{clean:|clean model|clean models}; the embedding alone finds {first}, with "
          "{first_alarms}. A larger --budget searches.",
          ja="埋め込みだけで判定しました。ネットワークが大きく、{seconds:g} 秒では画像を探索でき"
             "ません。真偽が分かっているモデルでは、探索するとバックドア {victims} 個のうち {both} "
             "個（埋め込みだけでは {first} 個）が見つかり、クリーンなモデル {clean} 個での誤検出は "
             "{both_alarms} 個（同 {first_alarms} 個）です。--budget を増やすと探索します。"),
    words("Only the embedding was judged: the network is too large to search the images within "
          "{seconds:g} seconds. On models with known ground truth, searches find {both} of "
          "{victims:|backdoor|backdoors}, with {both_alarms:|false alarm|false alarms} on "
          "{clean:|clean model|clean models}; the embedding alone finds {first}, with "
          "{first_alarms}. “Compare with clean models” searches, if you accept how long it takes.",
          ja="埋め込みだけで判定しました。ネットワークが大きく、{seconds:g} 秒では画像を探索でき"
             "ません。真偽が分かっているモデルでは、探索するとバックドア {victims} 個のうち {both} "
             "個（埋め込みだけでは {first} 個）が見つかり、クリーンなモデル {clean} 個での誤検出は "
             "{both_alarms} 個（同 {first_alarms} 個）です。"
             "時間がかかっても構わなければ、「クリーンなモデルと比較」で探索します。"),
)  # fmt: skip

SECOND_STAGE_RUNS = words(
    "So far only the embedding was judged. Triggers are being searched for in the images, to "
    "compare the evidence with that against clean models. On models with known ground truth, that "
    "finds {both} of {victims:|backdoor|backdoors}, with {both_alarms:|false alarm|false alarms} "
    "on {clean:|clean model|clean models}; the embedding alone finds {first}, with {first_alarms}.",
    ja="ここまでは埋め込みだけの判定です。クリーンなモデルと証拠を比較するため、"
       "画像でトリガーを探索しています。真偽が分かっているモデルでは、これにより"
       "バックドア {victims} 個のうち {both} 個（埋め込みだけでは {first} 個）が見つかり、"
       "クリーンなモデル {clean} 個での誤検出は {both_alarms} 個（同 {first_alarms} 個）です。",
)  # fmt: skip
"""Instead of the caution that it was not run, with the same values, while it is."""


def verdict_reasons(facts: Facts) -> Iterator[Remark]:
    """The verdict, and each kind of evidence behind it: the strongest, witnesses, the others."""
    found = facts.verdict
    if found is None:
        return
    if found.suspected or facts.suspected or not found.is_unusual:
        yield _statement(found, facts)
    strongest, *others = found.kinds
    yield _kind(strongest, found, facts)
    for witness in found.witnesses:
        yield _witness(witness, found, facts)
    for one in others:
        yield _kind(one, found, facts)


def could_not_tell(facts: Facts) -> Remark | None:
    """The doubt, if the evidence is neither enough nor what clean models have."""
    found = facts.verdict
    if found is None or facts.suspected or not found.is_unusual:
        return None
    alike = f"{found.standing.p:.2g}" == f"{found.limit:.2g}"
    but = Sentence(JUST_ABOVE if alike else NOT_RARE_ENOUGH, {"limit": found.limit})
    if found.standing.p <= found.limit:
        less = Sentence(LESS_REFERENCE) if facts.reference is not None else ""
        factors = {"factor": MIN_FACTOR, "of_pair": MIN_FACTOR_OF_PAIR}
        but = Sentence(NOT_BORNE_OUT, {**factors, "less": less})
    compare = Sentence(COMPARE if facts.reference is None else COMPARE_OTHER)
    values = {**_of_class(found.index, found.standing, facts), "but": but, "compare": compare}
    return Remark(COULD_NOT_TELL, values)


def natural_triggers(facts: Facts) -> Iterator[Remark]:
    """Changes that do not count, because a class's own images carry them."""
    verdict = facts.verdict
    for one in () if verdict is None else (*verdict.kinds, *verdict.witnesses):
        for index, share in one.natural:
            values = {"detector": Sentence(one.detector.label), "share": share}
            yield Remark(NATURAL, {**values, "index": index, "name": facts.class_names[index]})


def second_stage_not_run(facts: Facts) -> Remark | None:
    """How much surer the searches would make it, if they were not run and no rule was asked for."""
    table = shipped_table()
    searched = has_search(one.detector for one in facts.judged)
    if facts.by_rule or searched or facts.recovered or table.first is None or table.both is None:
        return None
    values = {
        "victims": table.both.victims, "first": table.first.named, "both": table.both.named,
        "clean": table.both.clean, "first_alarms": table.first.alarms,
        "both_alarms": table.both.alarms,
    }  # fmt: skip
    if facts.seconds:
        return Remark(SECOND_STAGE_TOO_LARGE, values | {"seconds": facts.seconds})
    return Remark(SECOND_STAGE_NOT_RUN, values)


def _statement(found: Verdict, facts: Facts) -> Remark:
    if len(found.suspected) > 1:
        listed = [f"{i} “{facts.class_names[i]}”" for i in found.suspected[:_MAX_CLASSES]]
        classes = (*listed, *(("…",) if len(found.suspected) > _MAX_CLASSES else ()))
        count, standing = len(found.suspected), in_words(found.standings[0])
        return Remark(STAND_OUT, {"count": count, "classes": classes, "standing": standing})
    if found.suspected:
        return Remark(STANDS_OUT, _of_class(found.suspected[0], found.standings[0], facts))
    name = SOME_EVIDENCE if found.is_unusual else NONE_STANDS_OUT
    return Remark(name, _of_class(found.index, found.standing, facts))


def _of_class(index: int, standing: Standing, facts: Facts) -> dict[str, object]:
    return {
        "index": index, "name": facts.class_names[index], "standing": in_words(standing),
        "p": standing.p,
    }  # fmt: skip


def in_words(standing: Standing) -> Sentence:
    """How many clean models have as much."""
    least = LEAST_P if standing.p <= standing.least else ""
    how = Sentence(ESTIMATED if standing.estimated else least)
    template = SOME_HAVE_AS_MUCH if standing.count else NO_MODEL_HAS_AS_MUCH
    shared = standing.independent < standing.models
    related = Sentence(RELATED_ONCE, {"independent": standing.independent}) if shared else ""
    values = {"models": standing.models, "count": standing.count, "p": standing.p}
    return Sentence(template, {**values, "how": how, "related": related})


def _witness(one: KindFound, found: Verdict, facts: Facts) -> Remark:
    label = Sentence(one.detector.label)
    suspected = next((index for index in found.suspected if one.works(index)), None)
    index = one.index if suspected is None else suspected
    if not one.works(index):
        return Remark(CONFIRMS_NOTHING, {"detector": label})
    name = WITNESS_ALONE if suspected is None else CONFIRMED
    values = {"detector": label, "index": index, "name": facts.class_names[index]}
    return Remark(name, {**values, **_ease(one, index)})


def _ease(one: KindFound, index: int) -> dict[str, object]:
    factor = one.factor(index)
    by_pair = one.source >= 0
    only, times = (ONLY_PAIR, AS_SMALL) if by_pair else (ONLY_ONE, AS_EASY)
    return {
        "factor": factor,
        "ease": Sentence(only) if math.isinf(factor) else Sentence(times, {"factor": factor}),
    }


def _kind(one: KindStanding, found: Verdict, facts: Facts) -> Remark:
    index = one.index
    label = Sentence(one.detector.label)
    if not one.reaches:
        return Remark(NO_OTHER_REACHED if one.natural else NONE_REACHED, {"detector": label})
    if one.has_no_pair:
        return Remark(NO_PAIR, {"detector": label})
    usual = one.standing.p > UNSURE_P
    values = {
        "detector": label, "index": index, "name": facts.class_names[index],
        **_ease(one, index), "models": one.standing.models, "count": one.standing.count,
        "usual": Sentence(NOT_UNUSUAL if usual else ""),
    }  # fmt: skip
    explained = one.explained[index] > 0
    if explained:
        values["of_reference"] = one.of_reference(index)
    if one.source >= 0:
        values |= {"source": one.source, "from_name": facts.class_names[one.source]}
        return Remark(EVIDENCE_OF_PAIR_AND_REFERENCE if explained else EVIDENCE_OF_PAIR, values)
    return Remark(EVIDENCE_AND_REFERENCE if explained else EVIDENCE, values)
