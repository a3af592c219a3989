"""Sentences shown to users, in every language that the program supports.

English is in the code and is the key of all others. What is registered somewhere (a trigger, a
setting, a code of the finding) carries its Japanese next to it, by `words`, so that its file is all
there is to it; other sentences have theirs in ``resources/i18n/ja.json``.

A `Sentence` is a template and its values, so that code that decides what to say need not know in
which language, or where. In a template, ``{name}`` is a value, ``{name:.1%}`` a number in Python's
format, with a real minus sign and – for None and NaN. ``{count:|image|images}`` is "1 image" or
"1,200 images", and ``{count:~|is|are}`` the word alone. Integers have commas between the thousands,
except for those that name something (`_NAMES`).
"""

from __future__ import annotations

import json
import numbers
import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Literal, get_args

from bdshift.assets import asset
from bdshift.text import figure, grouped

Language = Literal["en", "ja"]
LANGUAGES: tuple[Language, ...] = get_args(Language)

_NAMES = frozenset({"index", "number", "op", "schema", "seed", "source", "target"})
"""Values whose integers say which one, not how many."""
_JOINED_BY = {"en": ", ", "ja": "、"}
_beside_the_code: dict[str, str] = {}


def words(en: str, *, ja: str) -> str:
    """Register the Japanese of ``en``; returns ``en``.

    Raises ValueError if the same English was given a different translation elsewhere.
    """
    if _beside_the_code.setdefault(en, ja) != ja:
        raise ValueError(f"{en!r} has two translations: {_beside_the_code[en]!r} and {ja!r}")
    return en


def is_known(template: str) -> bool:
    """Whether this version has ``template``. Others are never filled in: they may come from a
    hostile file.
    """
    return template in _beside_the_code or template in catalog("ja")


@cache
def catalog(language: Language) -> Mapping[str, str]:
    """The sentences of ``resources/i18n``, by the English ones; empty for English."""
    if language == "en":
        return {}
    found: dict[str, str] = json.loads(asset(f"i18n/{language}.json").read_text("utf-8"))
    return found


def translate(text: str, language: Language) -> str:
    """``text``, a template or plain words, in ``language``; unchanged without a translation."""
    if language == "en":
        return text
    return _beside_the_code.get(text) or catalog(language).get(text, text)


class _Which(int):
    """An integer that says which one, not how many."""


class _Formatter(string.Formatter):
    """Python's, with plurals and lists, and without access to a value's attributes."""

    def __init__(self, language: Language) -> None:
        self._language = language

    def get_field(self, field_name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        value = kwargs[field_name]
        if isinstance(value, numbers.Integral) and field_name in _NAMES:
            value = _Which(value)
        return value, field_name

    def format_field(self, value: Any, format_spec: str) -> str:
        if isinstance(value, Sentence):
            return value.render(self._language)
        if isinstance(value, (tuple, list)):
            return _JOINED_BY[self._language].join(self.format_field(one, "") for one in value)
        number, bar, forms = format_spec.partition("|")
        if bar:
            one, _, many = forms.partition("|")
            form = one if value == 1 else many
            return form if number == "~" else f"{grouped(value)} {form}"
        if value is None or isinstance(value, float):
            return figure(value, format_spec or ".4g")
        if format_spec:
            return format(value, format_spec)
        if isinstance(value, (bool, _Which)):
            return str(value)
        return grouped(int(value)) if isinstance(value, numbers.Integral) else str(value)


@dataclass(frozen=True)
class Sentence:
    """A template and its values. ``str()`` is English.

    Attributes:
        template: English, one that the catalogs know; without values it is shown as is, braces and
            all.
        values: by name: text, numbers, other sentences, or tuples of these.
    """

    template: str
    values: Mapping[str, Any] = field(default_factory=dict)

    def render(self, language: Language = "en") -> str:
        """The sentence in a language."""
        text = translate(self.template, language)
        return _Formatter(language).vformat(text, (), self.values) if self.values else text

    def __str__(self) -> str:
        return self.render()

    def __bool__(self) -> bool:
        return bool(self.template)


def as_sentence(text: str | Sentence, values: Mapping[str, Any]) -> Sentence:
    """A sentence as is, or one made of a template and ``values``."""
    return text if isinstance(text, Sentence) else Sentence(text, values)
