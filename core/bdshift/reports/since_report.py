"""What changed from one audit to a later one, in sentences and a table of classes."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from bdshift.audit.finding import Finding
from bdshift.audit.made import in_words
from bdshift.audit.records import Audit
from bdshift.audit.since import UNSET, Since
from bdshift.spec import shortened
from bdshift.text import figure
from bdshift.words import Sentence, words

_NOTABLE = 0.01  # share by which a norm has to change to be spoken of

MODEL = "Model"
SETTINGS = "Settings"
FINDING = "Finding"
CLASSES = "Classes"
TRIGGERS = words("Triggers", ja="トリガー")
PURIFICATIONS = words("Purified models", ja="浄化したモデル")

SAME_MODEL = words("Both audits are of the same model, the same weights (SHA-256 {sha256}).",
                   ja="どちらも同じモデルの監査です（重みが同一、SHA-256 {sha256}）。")  # fmt: skip
RETRAINED = words(
    "The weights are others. Architecture and classes are the same, so the second may be a later "
    "version of the first: what differs may come from the model or from the audit.",
    ja="重みが異なります。アーキテクチャとクラスは同じなので、後者は前者の新しい版かもしれません。"
       "違いはモデルによるものとも監査によるものとも考えられます。",
)  # fmt: skip
OTHER_MODEL = words(
    "These are different models: {old} and {new}. {shared} of {count:|class|classes} have the same "
    "name in both; only these are compared, and their numbers say nothing about change over time.",
    ja="別のモデルです：{old} と {new}。{count} クラス中、両方に同じ名前があるのは {shared} "
       "クラスで、それだけを比較します。数値の違いは時間による変化を示しません。",
)  # fmt: skip
DATES = words("Audited {old}, and again {new}.", ja="監査日時：{old}、次に {new}。")
NO_DATE = words("at an unknown time", ja="日時不明")
NO_DATES = words("Neither audit says when it was made.",
                 ja="どちらの監査にも日時の記録がありません。")  # fmt: skip
REVERSED = words("The audit that is given first was made later.",
                 ja="先に指定された監査のほうが後に行われています。")  # fmt: skip
SAME_IMAGES = words("The same images were used.", ja="同じ画像を使っています。")
OTHER_IMAGES = words(
    "Other images were used: {old:|image|images} before, {new} now.",
    ja="使った画像が異なります：前は {old} 枚、今回は {new} 枚。",
)
ACCURACY = words("Clean accuracy was {old:.2%} and is {new:.2%}.",
                 ja="クリーン正解率は {old:.2%} から {new:.2%} になりました。")  # fmt: skip
SAME_ACCURACY = words("Clean accuracy is still {new:.2%}.",
                      ja="クリーン正解率は {new:.2%} のままです。")  # fmt: skip
SAME_SETTINGS = words("The scans had the same settings.", ja="スキャンの設定は同じです。")
SETTING = words("{name} was {old} and is {new}.", ja="{name} は {old} から {new} になりました。")
ADDED = words("{name} is new: {new}.", ja="{name} が加わりました：{new}。")
REMOVED = words("{name} is no longer given; it was {old}.",
                ja="{name} の指定はなくなりました（前は {old}）。")  # fmt: skip
QUOTED = words("“{name}”", ja="「{name}」")
PREPROCESSING = "preprocessing"
VERSION = words("the version of bdshift", ja="bdshift のバージョン")
SAME_FINDING = words("The finding is the same: {headline}.", ja="判定は同じです：{headline}。")
OTHER_FINDING = words("The finding was “{old}” and is “{new}”.",
                      ja="判定は「{old}」から「{new}」になりました。")  # fmt: skip
BEFORE = words("Before: {said}", ja="前：{said}")
NOW = words("Now: {said}", ja="今回：{said}")
SAME_SUSPECTS = words(
    "The suspected class is still {names}.", ja="疑わしいクラスは {names} のままです。"
)
NO_SUSPECTS = words("No class is suspected, now as before.",
                    ja="前も今回も、疑わしいクラスはありません。")  # fmt: skip
OTHER_SUSPECTS = words("The suspected class was {old} and is {new}.",
                       ja="疑わしいクラスは {old} から {new} になりました。")  # fmt: skip
NONE = words("none", ja="なし")
P = words("p, compared with clean models, was {old:.2g} and is {new:.2g}.",
          ja="クリーンなモデルと比べた p は {old:.2g} から {new:.2g} になりました。")  # fmt: skip
SAME_P = words("p, compared with clean models, is still {new:.2g}.",
               ja="クリーンなモデルと比べた p は {new:.2g} のままです。")  # fmt: skip
JUDGED_BY = words("The first was judged {old}, the second {new}.",
                  ja="判定方法は、前が{old}、今回が{new}です。")  # fmt: skip
BESIDE = words("by comparison with clean models", ja="クリーンなモデルとの比較")
BY_RULE = words("by a rule", ja="規則")
OTHER_ALPHA = words(
    "The shifts were solved for α = {old:g} and α = {new:g}: norms differ for that reason.",
    ja="シフトは α = {old:g} と α = {new:g} で解かれています。ノルムはそのためにも異なります。",
)
STEADY = words("No norm has changed by more than {share:.0%}.",
               ja="{share:.0%} を超えて変わったノルムはありません。")  # fmt: skip
MOVED = words(
    "{count:|norm has|norms have} changed by more than {share:.0%}, most that of “{name}”: it was "
    "{old} and is {new}.",
    ja="{share:.0%} を超えて変わったノルムは {count} 個で、最も変わったのは「{name}」です"
       "（{old} から {new}）。",
)  # fmt: skip
NO_TRIGGERS = words("No trigger was measured or recovered, now or before.",
                    ja="前も今回も、測定・復元したトリガーはありません。")  # fmt: skip
KNOWN = words("Trigger {trigger} for class “{name}”: {what}",
              ja="クラス「{name}」のトリガー {trigger}：{what}")  # fmt: skip
RECOVERED = words("Trigger recovered for class “{name}” ({kind}): {what}",
                  ja="クラス「{name}」で復元したトリガー（{kind}）：{what}")  # fmt: skip
ASR = words("ASR was {old:.1%} and is {new:.1%}.", ja="ASR は {old:.1%} から {new:.1%}。")
SAME_ASR = words("ASR is still {new:.1%}.", ja="ASR は {new:.1%} のまま。")
NEW_ASR = words("new, with an ASR of {new:.1%}.", ja="新規、ASR {new:.1%}。")
GONE = words(
    "only in the first audit, with an ASR of {old:.1%}.", ja="前の監査のみ、ASR {old:.1%}。"
)
NO_PURIFICATIONS = words("There are no purified models, now or before.",
                         ja="前も今回も、浄化したモデルはありません。")  # fmt: skip
PURIFIED = words("{method} for class “{name}”: {what}", ja="クラス「{name}」への {method}：{what}")
MADE = words("new; accuracy {acc:.1%}, ASR {asr:.1%}.",
             ja="新規、正解率 {acc:.1%}、ASR {asr:.1%}。")  # fmt: skip
KEPT = words("in both; accuracy {acc:.1%}, ASR {asr:.1%}.",
             ja="両方にあり、正解率 {acc:.1%}、ASR {asr:.1%}。")  # fmt: skip
DROPPED = words("only in the first audit; accuracy {acc:.1%}, ASR {asr:.1%}.",
                ja="前の監査のみ、正解率 {acc:.1%}、ASR {asr:.1%}。")  # fmt: skip


@dataclass(frozen=True)
class SinceSection:
    """A part of the comparison."""

    title: str
    sentences: tuple[Sentence, ...]


def since_sections(since: Since) -> tuple[SinceSection, ...]:
    """What changed, the model first."""
    return (
        SinceSection(MODEL, tuple(_model(since))),
        SinceSection(SETTINGS, tuple(_settings(since))),
        SinceSection(FINDING, tuple(_finding(since))),
        SinceSection(CLASSES, tuple(_norms(since))),
        SinceSection(TRIGGERS, tuple(_triggers(since)) or (Sentence(NO_TRIGGERS),)),
        SinceSection(PURIFICATIONS, tuple(_purified(since)) or (Sentence(NO_PURIFICATIONS),)),
    )


def _model(since: Since) -> Iterator[Sentence]:
    old, new = since.old, since.new
    if since.relation == "same":
        yield Sentence(SAME_MODEL, {"sha256": new.model.sha256})
    elif since.relation == "retrained":
        yield Sentence(RETRAINED)
    else:
        yield Sentence(OTHER_MODEL, {
            "old": f"{old.model.path} ({old.model.architecture})",
            "new": f"{new.model.path} ({new.model.architecture})",
            "shared": len(since.classes), "count": new.model.classes,
        })  # fmt: skip
    whens = [in_words(one.date) or Sentence(NO_DATE) for one in (old, new)]
    known = bool(old.date or new.date)
    yield Sentence(DATES, {"old": whens[0], "new": whens[1]}) if known else Sentence(NO_DATES)
    if since.is_reversed:
        yield Sentence(REVERSED)
    if since.has_same_images:
        yield Sentence(SAME_IMAGES)
    else:
        counts = {"old": sum(old.images.counts), "new": sum(new.images.counts)}
        yield Sentence(OTHER_IMAGES, counts)
    a, b = old.accuracy, new.accuracy
    if not (math.isnan(a) or math.isnan(b)):  # else images had no labels
        yield Sentence(SAME_ACCURACY if a == b else ACCURACY, {"old": a, "new": b})


def _settings(since: Since) -> Iterator[Sentence]:
    changed = since.settings
    if not changed:
        yield Sentence(SAME_SETTINGS)
    for one in changed:
        form = ADDED if one.was == UNSET else REMOVED if one.now == UNSET else SETTING
        yield Sentence(form, {"name": one.name, "old": one.was, "new": one.now})
    for label, was, now in (
        (PREPROCESSING, _preprocessing(since.old), _preprocessing(since.new)),
        (VERSION, since.old.versions.get("bdshift", "–"), since.new.versions.get("bdshift", "–")),
    ):
        if was != now:
            yield Sentence(SETTING, {"name": Sentence(label), "old": was, "new": now})


def _preprocessing(audit: Audit) -> str:
    p = audit.preprocessing
    return f"{p.size} px, {p.order.upper()}, {p.normalization.name}, {p.framing.fit}"


def _finding(since: Since) -> Iterator[Sentence]:
    was, now = since.old.finding, since.new.finding
    if was.level == now.level:
        yield Sentence(SAME_FINDING, {"headline": now.headline})
    else:
        yield Sentence(OTHER_FINDING, {"old": was.headline, "new": now.headline})
    if str(was.statement) != str(now.statement):
        yield Sentence(BEFORE, {"said": was.statement})
        yield Sentence(NOW, {"said": now.statement})
    old, new = _suspects(since.old, was), _suspects(since.new, now)
    if not (old or new):
        yield Sentence(NO_SUSPECTS)
    elif old == new:
        yield Sentence(SAME_SUSPECTS, {"names": new})
    else:
        none = Sentence(NONE)
        yield Sentence(OTHER_SUSPECTS, {"old": old or none, "new": new or none})
    before, after = since.old.verdict, since.new.verdict
    if before is not None and after is not None:
        p, q = before.standing.p, after.standing.p
        yield Sentence(SAME_P if p == q else P, {"old": p, "new": q})
    elif (before is None) != (after is None):
        ways = [Sentence(BY_RULE if one is None else BESIDE) for one in (before, after)]
        yield Sentence(JUDGED_BY, {"old": ways[0], "new": ways[1]})


def _suspects(audit: Audit, finding: Finding) -> tuple[Sentence, ...]:
    names = audit.images.class_names
    return tuple(Sentence(QUOTED, {"name": names[i]}) for i in finding.suspected)


def _norms(since: Since) -> Iterator[Sentence]:
    a, b = since.old.shifts, since.new.shifts
    if a.alpha != b.alpha:
        yield Sentence(OTHER_ALPHA, {"old": a.alpha, "new": b.alpha})
    moved = [
        (abs(change), new, float(a.l2[old]), float(b.l2[new]))
        for old, new in since.classes
        if not abs(change := relative(float(a.l2[old]), float(b.l2[new]))) <= _NOTABLE
    ]
    if not moved:
        yield Sentence(STEADY, {"share": _NOTABLE})
        return
    _, most, was, now = max(moved)
    yield Sentence(MOVED, {
        "count": len(moved), "share": _NOTABLE, "name": since.new.images.class_names[most],
        "old": figure(was), "new": figure(now),
    })  # fmt: skip


def relative(was: float, now: float) -> float:
    """By which share a norm has grown; 0 if both are infinite or zero."""
    if was == now:
        return 0.0
    return now / was - 1 if was else float("inf")


def _triggers(since: Since) -> Iterator[Sentence]:
    for was, now in since.triggers:
        one, audit = (now, since.new) if now is not None else (was, since.old)
        assert one is not None
        what = _asr(None if was is None else was.asr, None if now is None else now.asr)
        name = audit.images.class_names[one.target]
        yield Sentence(KNOWN, {"trigger": shortened(one.trigger), "name": name, "what": what})
    for before, after in since.recoveries:
        found, audit = (after, since.new) if after is not None else (before, since.old)
        assert found is not None
        what = _asr(None if before is None else before.asr, None if after is None else after.asr)
        values = {"name": audit.images.class_names[found.target], "kind": Sentence(found.label)}
        yield Sentence(RECOVERED, {**values, "what": what})


def _asr(was: float | None, now: float | None) -> Sentence:
    if was is None:
        return Sentence(NEW_ASR, {"new": now})
    if now is None:
        return Sentence(GONE, {"old": was})
    same = was == now or (math.isnan(was) and math.isnan(now))
    return Sentence(SAME_ASR if same else ASR, {"old": was, "new": now})


def _purified(since: Since) -> Iterator[Sentence]:
    for was, now in since.purifications:
        one, audit = (now, since.new) if now is not None else (was, since.old)
        assert one is not None
        said = DROPPED if now is None else MADE if was is None else KEPT
        what = Sentence(said, {"acc": one.after.acc, "asr": one.after.asr})
        name = audit.images.class_names[one.result.target]
        yield Sentence(
            PURIFIED, {"method": shortened(one.result.method), "name": name, "what": what}
        )
