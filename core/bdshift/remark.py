"""Remarks: things worth saying about an audit, each as a code with values.

A code is for programs and for the audit file, and never changes; its wording is for readers, in
every language, and may be improved. The module that registers a code is the only place that defines
it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from bdshift.words import Sentence, words

_templates: dict[str, str] = {}
_in_window: dict[str, str] = {}


def code(name: str, template: str, in_window: str = "") -> str:
    """Register ``name`` as a code that says ``template``, made by `words`; returns ``name``.
    ``in_window``, with the same values, is for a reader who has the window, if ``template`` tells
    what to type.

    Raises ValueError if another code has that name.
    """
    if _templates.setdefault(name, template) != template:
        raise ValueError(f"two remarks are called {name!r}")
    if in_window:
        _in_window[name] = in_window
    return name


def codes() -> Mapping[str, str]:
    """Every registered code, and its English template."""
    return _templates


def codes_in_window() -> Mapping[str, str]:
    """The same, as the window says them."""
    return {**_templates, **_in_window}


AS_WRITTEN = code("as-written", words("{text}", ja="{text}"))
"""A remark that an older version stored as a sentence."""


@dataclass(frozen=True)
class Remark:
    """A code and its values: text, numbers, tuples of text, or, if it is not saved, sentences, and
    tuples of them or of numbers.

    ``text`` is what one says whose code this version does not know: the words it was saved with, or
    the code itself.
    """

    code: str
    values: Mapping[str, Any] = field(default_factory=dict)
    text: str = ""

    def __post_init__(self) -> None:
        text = "" if self.code in _templates else self.text or self.code
        object.__setattr__(self, "text", text)

    @property
    def plain_values(self) -> dict[str, Any]:
        """Those that are not sentences; sentences in a list are given in English."""
        return {
            key: tuple(map(_plain, one)) if isinstance(one, tuple) else one
            for key, one in self.values.items()
            if not isinstance(one, Sentence)
        }

    @property
    def sentence(self) -> Sentence:
        """The remark in words."""
        template = _templates.get(self.code)
        if template is None:
            return Sentence(_templates[AS_WRITTEN], {"text": self.text})
        return Sentence(template, self.values)

    @property
    def in_window(self) -> Sentence:
        """The remark in words for a reader who has the window."""
        template = _in_window.get(self.code)
        return self.sentence if template is None else Sentence(template, self.values)


def _plain(value: Any) -> Any:
    return value if isinstance(value, (int, float)) else str(value)
