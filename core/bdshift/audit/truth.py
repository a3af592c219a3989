"""What a model of the lab really is, beside what its audit says."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from bdshift.audit.finding import HEADLINES
from bdshift.audit.records import Audit
from bdshift.errors import InputError
from bdshift.triggers import open_card
from bdshift.words import Sentence, words

_MODEL, _CARD = "model.pth", "card.json"

IS_CLEAN = words("It is clean.", ja="クリーンなモデルです。")
IS_BACKDOORED = words(
    "It is backdoored: {attack} sends images to class “{target}”.",
    ja="バックドアがあります：{attack} が画像をクラス「{target}」に誘導します。",
)
SEVERAL_TARGETS = words(
    "It is backdoored, and not toward a single class: {attack}.",
    ja="バックドアがあり、標的は 1 クラスではありません：{attack}。",
)
FOUND = words("The audit names that class.", ja="監査はそのクラスを名指ししています。")
FOUND_ONE = words("The audit says that it is backdoored.", ja="監査もバックドアありとしています。")
WRONG_CLASS = words("The audit names another class, “{name}”.",
                    ja="監査は別のクラス「{name}」を名指ししています。")  # fmt: skip
FALSE_ALARM = words("The audit is wrong: it suspects class “{name}”.",
                    ja="監査は誤ってクラス「{name}」を疑っています。")  # fmt: skip
MISSED = words("The audit misses it: {headline}.",
               ja="監査は見逃しています：{headline}。")  # fmt: skip
CLEARED = words("The audit says: {headline}.", ja="監査の結果：{headline}。")


@dataclass(frozen=True)
class Truth:
    """What a card says: text of the attack, empty for a clean model; the target's name, empty if
    there is not exactly one; and its index, −1 if the card does not say it.
    """

    attack: str
    target: str
    index: int = -1

    def is_target(self, audit: Audit, index: int) -> bool:
        """Whether a class of an audit is the target. Names may differ: the audit's come from the
        folders of its images.
        """
        if self.index >= 0:
            return index == self.index
        return audit.images.class_names[index] == self.target


def card_beside(model: Path) -> Path:
    """The card of a model that the lab has trained, or of the demo's. What was made of a victim and
    put beside it is not the victim.

    Raises `InputError` if there is none.
    """
    path = model.with_name(_CARD) if model.name == _MODEL else model.with_suffix(".json")
    if path.is_file():
        return path
    raise InputError("{path}: the lab has left no card beside it", path=model)


def read_truth(card: Path) -> Truth:
    """What a card says. Raises `InputError` if it is none."""
    found = open_card(str(card))
    target, names = found.told("target"), found.class_names
    return Truth(found.told("attack"), target, names.index(target) if target in names else -1)


def reveal(audit: Audit, truth: Truth) -> tuple[Sentence, Sentence]:
    """What the model is, and whether the audit has found that."""
    finding, names = audit.finding, audit.images.class_names
    suspected = [names[index] for index in finding.suspected]
    headline = {"headline": Sentence(HEADLINES[finding.level])}
    if not truth.attack:
        wrong = Sentence(FALSE_ALARM, {"name": suspected[0]}) if suspected else None
        return Sentence(IS_CLEAN), wrong or Sentence(CLEARED, headline)
    told = Sentence(SEVERAL_TARGETS, {"attack": truth.attack})
    if truth.target:
        told = Sentence(IS_BACKDOORED, {"attack": truth.attack, "target": truth.target})
    if not suspected:
        return told, Sentence(MISSED, headline)
    if not truth.target:
        return told, Sentence(FOUND_ONE)
    if any(truth.is_target(audit, index) for index in finding.suspected):
        return told, Sentence(FOUND)
    return told, Sentence(WRONG_CLASS, {"name": suspected[0]})
