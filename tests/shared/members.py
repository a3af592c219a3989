"""What every member of a registry must satisfy, whoever adds it."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from typing import Any

import pytest

from bdshift.errors import UsageError
from bdshift.registry import Configured, Registry, start_of
from bdshift.setting import Option, options_of
from bdshift.words import is_known, translate


def check_member(registry: Registry[Any], name: str) -> None:
    """Check a class or a preset: its text, its words in both languages, its settings' ranges."""
    presets = {one.name: one for one in registry.presets()}
    if name in presets:
        preset = presets[name]
        member = registry.parse(name)
        assert member is preset.member
        assert name not in registry, "a class of that name would hide it, or the other way round"
        assert registry.parse(member.spec) == member
        _check_words(name, preset.label, preset.summary)
        return
    kind = registry[name]
    member = registry.parse(start_of(kind))
    assert type(member) is kind
    assert kind.name == name
    assert registry.parse(member.spec) == member
    _check_words(name, kind.label, kind.summary)
    for option in options_of(kind):
        about = option.about
        _check_words(f"{name}: {option.name}", about.label, about.help, about.source)
        assert is_japanese(about.placeholder), about.placeholder
        _check_range(registry, member, option)


def _check_words(what: str, label: str, *texts: str) -> None:
    assert label, f"{what} has no label"
    assert is_japanese(label) or is_known(label), f"{what}: {label} has no Japanese"
    for text in texts:
        assert is_japanese(text), f"{what}: {text!r} has no Japanese"


def is_japanese(text: str) -> bool:
    """Whether ``text`` has a Japanese translation, or needs none, like "CLP"."""
    return translate(text, "ja") != text or not any(letter.islower() for letter in text)


def _check_range(registry: Registry[Any], member: Configured, option: Option) -> None:
    """Values in range are accepted; others are refused, with the setting's name and its range."""
    if option.default is not dataclasses.MISSING:
        assert getattr(member, option.name) == option.default
    told = rf"^{member.name}: {option.name} is "
    for value in _out_of_range(option):
        with pytest.raises(UsageError, match=told):
            dataclasses.replace(member, **{option.name: value})
    if option.about.high is not None:
        dataclasses.replace(member, **{option.name: option.kind(option.about.high)})
    for choice in option.choices:
        dataclasses.replace(member, **{option.name: choice})
    if option.kind is not str:
        with pytest.raises(UsageError, match=option.name):
            registry.parse(f"{member.name}:{option.name}=much")


def _out_of_range(option: Option) -> Iterator[object]:
    about = option.about
    yield None
    if option.choices:
        yield "no such thing"
    if option.kind not in (int, float):
        return
    assert about.low is not None, f"{option.name} may be as small as anybody likes"
    assert about.high is not None, f"{option.name} may be as large as anybody likes"
    yield from (about.low - 1, about.high + 1, math.nan, math.inf, "1", True)
    if about.above:
        yield about.low
    if option.kind is int:
        yield about.low + 0.5
