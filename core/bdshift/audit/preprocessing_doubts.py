"""Whether the finding hangs on a preprocessing that the images do not settle: what the model is
under the others that they do not rule out.

Where the same was run under each, the findings are compared. Otherwise only the norms were judged
under the others; that is a doubt where the norms decide, and a caution where they do not.
"""

from __future__ import annotations

from dataclasses import replace

from bdshift.audit.facts import Facts, Level, ReadingFacts
from bdshift.checkpoints.listing import with_semicolons
from bdshift.remark import Remark, code
from bdshift.words import Sentence, words

HANGS_ON_PREPROCESSING = code(
    "preprocessings-disagree",
    words("The images do not tell which preprocessing is right, and the finding hangs on it. Under "
          "“{chosen}”, {found}; under “{other}”, {other_found}. Name the right one with "
          "--normalize.",
          ja="この画像ではどの前処理が正しいか決まらず、しかも前処理によって判定が変わります。"
             "「{chosen}」では{found}、「{other}」では{other_found}という結果です。"
             "正しいものを --normalize で指定してください。"),
    words("The images do not tell which preprocessing is right, and the finding hangs on it. Under "
          "“{chosen}”, {found}; under “{other}”, {other_found}. Choose the right one with "
          "“Preprocessing ranking…”.",
          ja="この画像ではどの前処理が正しいか決まらず、しかも前処理によって判定が変わります。"
             "「{chosen}」では{found}、「{other}」では{other_found}という結果です。"
             "正しいものを「前処理の順位…」で選んでください。"),
)  # fmt: skip
SEVERAL_FIT = code(
    "several-preprocessings-fit",
    words("The images do not tell which preprocessing is right. The audit is under “{chosen}” "
          "({accuracy:.1%} clean accuracy); {others}.{more}{how}",
          ja="この画像ではどの前処理が正しいか決まりません。監査では「{chosen}」"
             "（クリーン正解率 {accuracy:.1%}）を使いました。{others}。{more}{how}"),
    words("The images do not tell which preprocessing is right. The audit is under “{chosen}” "
          "({accuracy:.1%} clean accuracy); {others}.{more}",
          ja="この画像ではどの前処理が正しいか決まりません。監査では「{chosen}」"
             "（クリーン正解率 {accuracy:.1%}）を使いました。{others}。{more}"),
)  # fmt: skip
ONE_OTHER = words("under “{other}” ({accuracy:.1%}), {found}",
                  ja="「{other}」（{accuracy:.1%}）では{found}")  # fmt: skip
ONLY_NORMS = words(" Under the others only the norms were judged.",
                   ja="ほかの前処理ではノルムだけを判定しました。")  # fmt: skip
SEARCH_UNDER_EACH = words(" bdshift scan --each-preprocessing searches under each.",
                          ja="bdshift scan --each-preprocessing がそれぞれで探索します。"
                          )  # fmt: skip
SUSPECTED = words("what is suspected is {classes}", ja="{classes} が疑われる")
NOTHING = words("nothing is suspected", ja="疑われるものはない")
CANNOT_TELL = words("nothing can be concluded", ja="判定できない")


def hangs_on_preprocessing(facts: Facts) -> Remark | None:
    """The doubt, if what is suspected under another one is something else, or nothing."""
    for other in facts.readings:
        compared = _compared(other, facts)
        if compared is not None and _differ(*compared):
            own, found = compared
            return Remark(HANGS_ON_PREPROCESSING, {
                "chosen": facts.preprocessing, "found": _in_words(own, facts),
                "other": other.preprocessing, "other_found": _in_words(found, facts),
            })  # fmt: skip
    return None


def several_preprocessings(facts: Facts) -> Remark | None:
    """The caution that names the others, with what was found under each."""
    if not facts.readings:
        return None
    others = [
        Sentence(ONE_OTHER, {
            "other": one.preprocessing, "accuracy": one.accuracy,
            "found": _in_words(_finding_of(one), facts),
        })
        for one in facts.readings
    ]  # fmt: skip
    searched = facts.verdict is None or all(one.searched for one in facts.readings)
    values = {
        "chosen": facts.preprocessing, "accuracy": facts.accuracy,
        "more": Sentence("" if searched else ONLY_NORMS),
        "how": Sentence("" if searched else SEARCH_UNDER_EACH),
    }  # fmt: skip
    return Remark(SEVERAL_FIT, {**values, "others": with_semicolons(others)})


_Found = tuple[Level, tuple[int, ...]]
"""A level, and the suspected classes."""


def _compared(other: ReadingFacts, facts: Facts) -> tuple[_Found, _Found] | None:
    """What was found under the chosen one and under another, by the same evidence; None if the
    evidence differs, and that of the other decides nothing here.
    """
    if not facts.judged:
        return None
    if facts.verdict is not None:  # triggers are recovered under the chosen one alone
        own = replace(facts, recovered=())
        return ((own.evident, own.suspected), _finding_of(other)) if other.searched else None
    return _by_norms(facts.flagged_by_norms), _by_norms(other.by_norms)


def _finding_of(other: ReadingFacts) -> _Found:
    if other.suspected:
        return "backdoored", other.suspected
    return _by_norms(other.by_norms) if not other.searched else (other.level, ())


def _by_norms(classes: tuple[int, ...]) -> _Found:
    return ("backdoored", classes) if classes else ("nothing-unusual", ())


def _differ(own: _Found, other: _Found) -> bool:
    if own[1] or other[1]:
        return not set(own[1]) & set(other[1])
    return own[0] != other[0]


def _in_words(found: _Found, facts: Facts) -> Sentence:
    level, classes = found
    if classes:
        return Sentence(
            SUSPECTED, {"classes": tuple(f"“{facts.class_names[i]}”" for i in classes[:5])}
        )
    return Sentence(NOTHING if level == "nothing-unusual" else CANNOT_TELL)
