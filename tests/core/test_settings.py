"""Settings, their text, and registries of what has them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import MISSING, dataclass
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bdshift.errors import UsageError
from bdshift.registry import Configured, Registry, start_of
from bdshift.setting import options_of, setting
from bdshift.spec import split_spec, split_specs, write_options
from bdshift.words import words

NOUN = words("thing of the tests", ja="テストの物")


@dataclass(frozen=True)
class Thing(Configured):
    """One of each kind of setting. Annotations are objects here, not text."""

    name = "thing"
    label = "Thing"
    summary = "A thing."

    count: int = setting(3, "Count", low=1, high=9)
    share: float = setting(0.5, "Share", low=0, above=True, high=1)
    flag: bool = setting(False, "Flag")
    kind: Literal["a", "b"] = setting("a", "Kind")
    depth: Literal[18, 50] = setting(18, "Depth")
    text: str = setting("", "Text")

    def check(self) -> None:
        """Two settings that do not go together."""
        if self.flag and self.count == 9:
            raise UsageError("thing: nine with a flag")


@dataclass(frozen=True)
class Needy(Configured):
    """A setting without a default."""

    name = "needy"
    label = "Needy"
    summary = "Needs a file."

    file: str = setting(MISSING, "File", widget="file")


@pytest.fixture
def registry() -> Iterator[Registry[Configured]]:
    found: Registry[Configured] = Registry(NOUN, "bdshift.detect.rules")
    found.register(Thing)
    found.register(Needy)
    found.preset("usual", "Usual", "As usual.", Thing(count=5))
    yield found
    for name in ("thing", "needy", "usual"):
        found.forget(name)


def test_types_come_from_the_annotation(registry: Registry[Configured]) -> None:
    made = registry.parse("thing:count=5,share=0.25,flag=true,kind=b,depth=50,text=x")
    assert made == Thing(5, 0.25, True, "b", 50, "x")
    assert [type(getattr(made, one.name)) for one in options_of(Thing)] == [
        int, float, bool, str, int, str,
    ]  # fmt: skip
    assert registry.parse(made.spec) == made


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("thing:count=0", "count is a whole number from 1 to 9, not 0"),
        ("thing:count=10", "from 1 to 9"),
        ("thing:count=2.5", "count cannot be '2.5'"),
        ("thing:share=0", "share is a number above 0, up to 1, not 0"),
        ("thing:share=nan", "share is a number"),
        ("thing:flag=yes", "flag cannot be 'yes'"),
        ("thing:kind=c", "kind is one of a, b, not 'c'"),
        ("thing:depth=34", "depth is one of 18, 50, not 34"),
        ("thing:color=red", "unknown option 'color'; the options are count, share"),
        ("thing:count", "'count' is not an option=value"),
        ('thing:text="open', "a quote is not closed"),
        ("thing:flag=true,count=9", "nine with a flag"),
        ("needy", "needs file=…"),
        ("x", "unknown thing of the tests 'x'; choose one of needy, thing, usual"),
        ("thin", r"of the tests 'thin'; did you mean thing\? The others are needy, usual"),
    ],
)
def test_what_makes_no_sense_is_refused(
    registry: Registry[Configured], text: str, wrong: str
) -> None:
    with pytest.raises(UsageError, match=wrong):
        registry.parse(text)


def test_a_newer_option_can_be_left_out(registry: Registry[Configured]) -> None:
    assert registry.parse("thing:count=4,newer=1", strict=False) == Thing(count=4)


def test_presets_and_starts(registry: Registry[Configured]) -> None:
    assert registry.parse("usual") == Thing(count=5)
    assert start_of(Needy) == "needy:file="
    assert registry.parse(start_of(Thing)) == Thing()


def test_a_name_is_taken_once(registry: Registry[Configured]) -> None:
    @dataclass(frozen=True)
    class Other(Configured):
        name = "thing"

    with pytest.raises(ValueError, match=r"two of .* are called 'thing'"):
        registry.register(Other)


@given(st.dictionaries(st.from_regex(r"[a-z_]{1,8}", fullmatch=True), st.text(max_size=20)))
def test_any_text_survives_the_round_trip(options: dict[str, str]) -> None:
    """Commas, semicolons, equals signs, blanks, quotes and backslashes among them."""
    text = write_options("name", options)
    assert split_spec(text) == ("name", options)
    assert split_specs(f"{text};{text}") == [text, text]


@pytest.mark.parametrize("path", ["a, b;c=d.png", 'say "x".png', "back\\slash", " blank "])
def test_a_path_survives_a_registry(path: str) -> None:
    from bdshift.triggers import TRIGGERS
    from bdshift.triggers.attacks.patch import Patch

    assert TRIGGERS.parse(Patch(file=path).spec) == Patch(file=path)


def test_adding_a_member_is_one_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A registry finds the modules of its package by itself."""
    package = tmp_path / "some_members"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "one.py").write_text(
        "from dataclasses import dataclass\n"
        "import test_settings_holder as holder\n"
        "from bdshift.registry import Configured\n"
        "@holder.REGISTRY.register\n"
        "@dataclass(frozen=True)\n"
        "class One(Configured):\n"
        "    name = 'one'\n"
    )
    holder = tmp_path / "test_settings_holder.py"
    holder.write_text(
        "from bdshift.registry import Registry\nREGISTRY = Registry('member', 'some_members')\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    import importlib

    found: Any = importlib.import_module("test_settings_holder")
    assert list(found.REGISTRY) == ["one"]
