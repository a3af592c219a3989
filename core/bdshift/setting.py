"""Settings that explain themselves.

A trigger, a method, a rule: each is a frozen dataclass whose fields are made by `setting`. Label,
help, range, unit and where the default comes from are stored in the field itself, so the window's
forms, ``--help``, the tables of the docs and the reader of ``name:key=value`` all say the same, and
a new setting is one line.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

from bdshift.errors import UsageError
from bdshift.words import Sentence, words

Widget = Literal["plain", "color", "file", "neurons", "drawing"]
"""What a value is besides its type: text, RGB in hexadecimal, a path, numbers joined by +, what was
painted by hand.
"""

Role = Literal["", "row", "column", "size", "opacity"]
"""What a value means on an image, where it can be dragged: the first row, the first column, the
longer side in pixels (0: its own), how much of it shows (0…1).
"""

_KEY = "setting"


@dataclass(frozen=True)
class Explained:
    """What a field says about itself.

    Attributes:
        label: its display name.
        help: what it does, in a sentence.
        low, high: the smallest and the largest value that makes sense; None for any.
        above: whether ``low`` itself is too low.
        step: by which a form counts up and down; ``decimals`` is how many it shows.
        unit: after the number, such as "px".
        source: where the default comes from, or what others use.
        widget: how a form asks for it.
        role: what it means on an image; "" for nothing.
        placeholder: what a form shows where the value is empty.
        when: whether the setting has any effect, given all of them; None for always.
    """

    label: str
    help: str = ""
    low: float | None = None
    high: float | None = None
    above: bool = False
    step: float = 1
    decimals: int = 0
    unit: str = ""
    source: str = ""
    widget: Widget = "plain"
    role: Role = ""
    placeholder: str = ""
    when: Callable[[Any], bool] | None = None


def setting(default: Any, label: str, help: str = "", **more: Any) -> Any:
    """A dataclass field with a default (`MISSING` for none); ``more`` is as in `Explained`."""
    return field(default=default, metadata={_KEY: Explained(label, help, **more)})


@dataclass(frozen=True)
class Option:
    """A setting of a class, with the type that its annotation resolves to.

    Attributes:
        name: of the field.
        kind: int, float, bool or str.
        choices: what it may be; () for any.
        default: `dataclasses.MISSING` if it must be given.
        about: what the field says about itself.
    """

    name: str
    kind: type
    choices: tuple[Any, ...]
    default: Any
    about: Explained

    @property
    def required(self) -> bool:
        """Whether it has no default."""
        return self.default is MISSING

    def read(self, text: str) -> Any:
        """A value from text. Raises ValueError."""
        if self.kind is bool:
            if text.lower() not in ("true", "false"):
                raise ValueError(text)
            return text.lower() == "true"
        return self.kind(text)

    def check(self, owner: str, value: Any) -> None:
        """Raise `UsageError` for a value of another type, or out of range."""
        about = self.about
        if self.choices:
            if value not in self.choices:
                raise UsageError(
                    "{owner}: {name} is one of {choices}, not {value}",
                    owner=owner, name=self.name, choices=self.choices, value=repr(value),
                )  # fmt: skip
            return
        fits = type(value) is self.kind or (self.kind is float and type(value) is int)
        if fits and self.kind in (int, float):
            low = -math.inf if about.low is None else about.low
            high = math.inf if about.high is None else about.high
            fits = (value > low if about.above else value >= low) and value <= high
            fits = fits and not (type(value) is float and math.isinf(value))
        if not fits:
            raise UsageError(
                "{owner}: {name} is {range}, not {value}",
                owner=owner, name=self.name, range=self.range_in_words(), value=repr(value),
            )  # fmt: skip

    def range_in_words(self) -> Sentence:
        """What it may be, as a sentence."""
        about, whole = self.about, self.kind is int
        if self.kind is str:
            return Sentence(words("a text", ja="文字列"))
        if self.kind is bool:
            return Sentence(words("true or false", ja="true か false"))
        noun = (
            words("a whole number", ja="整数") if whole else words("a number", ja="数")
        )  # fmt: skip
        values: dict[str, Any] = {"noun": Sentence(noun), "low": about.low, "high": about.high}
        if about.low is None and about.high is None:
            return Sentence(noun)
        if about.high is None:
            form = (
                words("{noun} above {low}", ja="{low} より大きい{noun}") if about.above
                else words("{noun} of {low} or more", ja="{low} 以上の{noun}")
            )  # fmt: skip
        elif about.low is None:
            form = words("{noun} up to {high}", ja="{high} 以下の{noun}")
        else:
            form = (
                words("{noun} above {low}, up to {high}",
                      ja="{low} より大きく {high} 以下の{noun}") if about.above
                else words("{noun} from {low} to {high}", ja="{low}〜{high} の{noun}")
            )  # fmt: skip
        return Sentence(form, values)


def files_of(member: Any) -> tuple[Path, ...]:
    """The files that a member's settings name."""
    names = (getattr(member, one.name) for one in options_of(type(member))
             if one.about.widget == "file")  # fmt: skip
    return tuple(Path(name).expanduser() for name in names if name)


_options: dict[type, tuple[Option, ...]] = {}


def options_of(kind: type) -> tuple[Option, ...]:
    """The settings of a dataclass, in order. Fields not made by `setting` are left out."""
    if kind not in _options:
        _options[kind] = tuple(_find(kind))
    return _options[kind]


def _find(kind: Any) -> Iterator[Option]:
    hints = get_type_hints(kind)
    for one in fields(kind):
        if _KEY in one.metadata:
            hint = hints[one.name]
            choices = get_args(hint) if get_origin(hint) is Literal else ()
            kind_of = type(choices[0]) if choices else hint
            yield Option(one.name, kind_of, choices, one.default, one.metadata[_KEY])
