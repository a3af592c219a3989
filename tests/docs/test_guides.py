"""The guides call things in the window what the window calls them, in both languages."""

from __future__ import annotations

import re

import pytest
from doc_pages import page
from templates import words_in_code

from bdshift.words import catalog

WORDS = {**catalog("ja"), **words_in_code(), "日本語": "日本語", "English": "English"}
_NOT_IN_THE_WINDOW = {"and", "q"}


@pytest.mark.parametrize("name", ["docs/guide.md", "docs/tutorial.md"])
def test_words_in_italics_are_the_window_s(name: str) -> None:
    said = set(re.findall(r"(?<!\*)\*([^*\n]+)\*(?!\*)", page(name))) - _NOT_IN_THE_WINDOW
    assert len(said) > 5
    assert sorted(said - WORDS.keys()) == []


def test_quoted_words_are_the_japanese_window_s() -> None:
    said = set(re.findall(r"「([^」]+)」", page("docs/guide.ja.md")))
    assert len(said) > 20
    assert sorted(said - {*WORDS.values()}) == []


def test_both_guides_have_the_same_parts() -> None:
    heads = [len(re.findall(r"^## ", page(f"docs/{name}"), re.MULTILINE))
             for name in ("guide.md", "guide.ja.md")]  # fmt: skip
    assert heads[0] == heads[1] > 5
