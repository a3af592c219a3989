"""What is said of a recovered trigger, wherever it is shown."""

from __future__ import annotations

import math

import numpy as np

from bdshift.audit.facts import RecoveredTrigger
from bdshift.audit.records import Audit
from bdshift.audit.recovered import compared, fact_of, images_of, limits
from bdshift.neurons.rankings import cosine
from bdshift.recovery.recovery import Recovery
from bdshift.text import figure
from bdshift.words import Sentence, words

_MAX_NEURONS = 10  # listed

TITLE = words("Trigger recovered for class {index} “{name}”: {kind}",
              ja="クラス {index}「{name}」について復元したトリガー：{kind}")  # fmt: skip
CONTROL = words("control “{name}”", ja="対照「{name}」")
SENDS = words(
    "It sends {asr:.1%} of {images:|unused image|unused images} {of} to this class. {compared}",
    ja="探索に使わなかった{of}画像 {images} 枚の {asr:.1%} をこのクラスに誘導します。{compared}",
)  # fmt: skip
IS_EVIDENCE = words(
    "This is evidence of a backdoor: control classes take at least three times as much, or cannot "
    "be reached.",
    ja="対照クラスでは 3 倍以上の変化を要するか到達できないため、バックドアの証拠といえます。",
)  # fmt: skip
IS_EVIDENCE_OF_PAIR = words(
    "This is evidence of a backdoor: control classes and the other way take at least five times "
    "as much, or cannot be reached. Classes that are alike are near each other both ways.",
    ja="対照クラスと逆方向では 5 倍以上の変化を要するか到達できないため、"
       "バックドアの証拠といえます。似たクラスどうしなら、双方向とも小さな変化で到達するはずです。",
)  # fmt: skip
IS_NO_EVIDENCE = words(
    "This is no evidence of a backdoor: some change sends images to any class. {limits}",
    ja="どのクラスにも何らかの変化で到達できるため、バックドアの証拠とはいえません。{limits}",
)  # fmt: skip
TRANSFERS = words(
    "Found on half of the classes, such a change sends {transfer:.1%} of the images of the others "
    "there.",
    ja="半数のクラスの画像で探した変化は、残りのクラスの画像の {transfer:.1%} をそこへ誘導します。",
)  # fmt: skip
PROXY = words(
    "TAC under it is a proxy, since the true trigger is not known: cosine with |shift| {cosine}; "
    "strongest neurons: {neurons}.",
    ja="真のトリガーは不明なので、これによる TAC は代理指標です：|シフト| とのコサイン {cosine}、"
       "最も強いニューロン {neurons}。",
)  # fmt: skip
COST = words(
    "{seconds:.1f} s; {forwards} images forward, {backwards} back; seed {seed}.",
    ja="{seconds:.1f} 秒、画像 順伝播 {forwards} 枚・逆伝播 {backwards} 枚、シード {seed}。",
)  # fmt: skip


def agreement_with_shift(audit: Audit, recovery: Recovery) -> float:
    """Cosine of the proxy TAC and the absolute embedding shift of its class; NaN if one is zero."""
    return cosine(recovery.tac.change, np.abs(audit.shifts.shift[recovery.target]))


def strongest_neurons(recovery: Recovery) -> list[int]:
    """Those that the recovered trigger moves most, in order."""
    order = np.argsort(-recovery.tac.change, kind="stable")
    return [int(k) for k in order[:_MAX_NEURONS]]


def title(audit: Audit, recovery: Recovery) -> Sentence:
    """The class and the kind of change."""
    name = audit.images.class_names[recovery.target]
    values = {"index": recovery.target, "name": name, "kind": Sentence(recovery.label)}
    return Sentence(TITLE, values)


def verdict(fact: RecoveredTrigger) -> Sentence:
    """Whether it is evidence of a backdoor, and why."""
    if not fact.confirms:
        return Sentence(IS_NO_EVIDENCE, {"limits": limits(fact)})
    return Sentence(IS_EVIDENCE if fact.source < 0 else IS_EVIDENCE_OF_PAIR)


def recovery_sentences(audit: Audit, recovery: Recovery) -> list[Sentence]:
    """What it does, what that means, and what it took."""
    fact, cost, names = fact_of(recovery), recovery.attempts, audit.images.class_names
    found = [
        Sentence(SENDS, {
            "asr": recovery.asr, "images": recovery.images,
            "of": images_of(fact, names), "compared": compared(fact, names),
        }),
        verdict(fact),
    ]  # fmt: skip
    if not math.isnan(recovery.transfer):
        found.append(Sentence(TRANSFERS, {"transfer": recovery.transfer}))
    change = recovery.tac.change
    strongest = (f"{k} ({figure(float(change[k]), '.3g')})" for k in strongest_neurons(recovery))
    proxy = {
        "cosine": figure(agreement_with_shift(audit, recovery), ".3f"),
        "neurons": ", ".join(strongest),
    }
    spent = {
        "seconds": recovery.seconds, "forwards": sum(one.forwards for one in cost),
        "backwards": sum(one.backwards for one in cost), "seed": recovery.seed,
    }  # fmt: skip
    return [*found, Sentence(PROXY, proxy), Sentence(COST, spent)]
