"""Sentences in both languages, and that none is missing."""

from __future__ import annotations

import math
import re

import pytest
from templates import has_words, placeholders, templates, words_in_code

from bdshift.errors import InputError, SeveralModels, UsageError
from bdshift.remark import Remark, code, codes, codes_in_window
from bdshift.words import Sentence, catalog, translate, words

COUNTED = words("{count:|image|images} of {path}, in the tests", ja="テスト {path} の {count} 枚")
WORDS = words("a word of the tests", ja="テストの言葉")


@pytest.mark.parametrize(
    ("template", "values", "english", "japanese"),
    [
        (COUNTED, {"count": 1, "path": "a"}, "1 image of a, in the tests", "テスト a の 1 枚"),
        (COUNTED, {"count": 1200, "path": "a"}, "1,200 images of a, in the tests",
         "テスト a の 1,200 枚"),
        (WORDS, {}, "a word of the tests", "テストの言葉"),
        ("{inner}: {number:.1%}", {"inner": Sentence(WORDS), "number": 0.5},
         "a word of the tests: 50.0%", "テストの言葉: 50.0%"),
        ("{names}", {"names": ("a", "b")}, "a, b", "a、b"),
        ("{x:.2f} {y} {z}", {"x": -1.5, "y": math.nan, "z": math.inf}, "−1.50 – ∞", "−1.50 – ∞"),
        ("{count:~|is|are}", {"count": 2}, "are", "are"),
        ("{index}, {seed}, {count}, {yes}",
         {"index": 1203, "seed": 1203, "count": 1203, "yes": True},
         "1203, 1203, 1,203, True", "1203, 1203, 1,203, True"),
        ("no values {at all}", {}, "no values {at all}", "no values {at all}"),
    ],
)  # fmt: skip
def test_a_sentence(template: str, values: dict[str, object], english: str, japanese: str) -> None:
    sentence = Sentence(template, values)
    assert str(sentence) == english
    assert sentence.render("ja") == japanese


def test_a_value_cannot_reach_into_another() -> None:
    with pytest.raises((KeyError, AttributeError)):
        str(Sentence("{a.__class__}", {"a": 1}))


def test_one_english_has_one_japanese() -> None:
    assert words("a word of the tests", ja="テストの言葉") == WORDS
    with pytest.raises(ValueError, match="two translations"):
        words("a word of the tests", ja="別の言葉")


def test_an_error_is_a_sentence_with_its_file_in_front() -> None:
    error = SeveralModels("{count:|model|models}", count=2).with_names(("a", "b"))
    found = error.at("file.pth")
    assert str(found) == "file.pth: 2 models"
    assert isinstance(found, SeveralModels)
    assert found.names == ("a", "b")
    assert found.sentence.render("ja").startswith("file.pth：")
    assert str(InputError("{not filled in}")) == "{not filled in}"
    assert not issubclass(UsageError, InputError)


def test_a_remark_says_what_its_code_stands_for() -> None:
    name = code("of-the-tests", words("{count:|thing|things}", ja="{count} 個"))
    assert str(Remark(name, {"count": 3}).sentence) == "3 things"
    assert Remark(name, {"count": 3}).sentence.render("ja") == "3 個"
    assert str(Remark("of-a-newer-version").sentence) == "of-a-newer-version"
    with pytest.raises(ValueError, match="two remarks"):
        code("of-the-tests", "another")


def test_every_sentence_has_japanese() -> None:
    """Errors, notes, stages, the window's words, the report's page."""
    known = catalog("ja").keys() | words_in_code().keys()
    missing = {
        text: place for text, place in templates().items() if has_words(text) and text not in known
    }
    assert missing == {}


def test_every_code_of_a_finding_has_japanese() -> None:
    import bdshift.audit

    assert bdshift.audit
    for name, template in codes().items():
        assert not has_words(template) or translate(template, "ja") != template, name


def test_the_window_tells_nobody_what_to_type() -> None:
    import bdshift.audit

    assert bdshift.audit
    for name, template in codes_in_window().items():
        for text in (template, translate(template, "ja")):
            assert re.search(r"--[a-z]|bdshift (scan|recover|purify)", text) is None, name
        assert placeholders(template) <= placeholders(codes()[name])
    quick = Remark(
        "second-stage-not-run", dict.fromkeys(placeholders(codes()["second-stage-not-run"]), 1)
    )
    assert "--quick" in str(quick.sentence)
    assert str(quick.in_window).endswith("“Compare with clean models” searches.")
    assert quick.in_window.render("ja").endswith("「クリーンなモデルと比較」で探索します。")
    other = Remark("few-images", {"images": 3, "classes": 2})
    assert other.in_window == other.sentence


def test_translations_take_the_same_values() -> None:
    for english, japanese in {**catalog("ja"), **words_in_code()}.items():
        assert placeholders(english) == placeholders(japanese), english


def test_the_catalog_has_nothing_that_nobody_says() -> None:
    said, beside = templates(), words_in_code()
    assert [text for text in catalog("ja") if text not in said or text in beside] == []
