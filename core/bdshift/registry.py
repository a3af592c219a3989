"""Kinds of things that are one file each, found by name.

A registry knows a package and imports all its modules on first use; a class registers itself with a
decorator. So adding a trigger, a method, a rule or a detector means writing one file, and nothing
else knows its name.
"""

from __future__ import annotations

import difflib
import importlib
import pkgutil
from collections.abc import Iterator
from dataclasses import MISSING, dataclass
from functools import cache
from typing import Any, ClassVar, Generic, TypeVar

from bdshift.errors import UsageError
from bdshift.setting import Option, options_of
from bdshift.spec import split_spec, write_options, write_spec
from bdshift.words import Sentence


@dataclass(frozen=True)
class Configured:
    """Base of everything with settings: a frozen dataclass of `setting`s, each checked against its
    range.

    Attributes:
        name: identifies it in text.
        label: its display name.
        summary: what it does, in a sentence.
        place: its position among its kind, smallest first.
    """

    name: ClassVar[str]
    label: ClassVar[str]
    summary: ClassVar[str]
    place: ClassVar[int] = 1000

    def __post_init__(self) -> None:
        for option in options_of(type(self)):
            option.check(self.name, getattr(self, option.name))
        self.check()

    def check(self) -> None:
        """Raise `UsageError` for settings that do not go together."""

    @property
    def spec(self) -> str:
        """The text that its registry reads back."""
        return write_spec(self.name, self)


Kind = TypeVar("Kind", bound=Configured)


@dataclass(frozen=True)
class Preset(Generic[Kind]):
    """A member with certain settings, under its own name."""

    name: str
    label: str
    summary: str
    member: Kind


class Registry(Generic[Kind]):
    """The classes that registered themselves, and presets of them.

    ``noun`` is what a member is called in errors, made by `words`; the modules of ``package`` are
    imported when the registry is first used.
    """

    def __init__(self, noun: str, package: str) -> None:
        self.noun, self._package = noun, package
        self._kinds: dict[str, type[Kind]] = {}
        self._presets: dict[str, Preset[Kind]] = {}

    def register(self, kind: type[Kind]) -> type[Kind]:
        """Class decorator: ``kind`` is found by its ``name`` from now on.

        Raises ValueError if that name is taken.
        """
        self._check_free(kind.name)
        self._kinds[kind.name] = kind
        return kind

    def preset(self, name: str, label: str, summary: str, member: Kind) -> Kind:
        """Returns ``member``, which from now on is found by ``name``, too.

        Raises ValueError if that name is taken.
        """
        self._check_free(name)
        self._presets[name] = Preset(name, label, summary, member)
        return member

    def _check_free(self, name: str) -> None:
        if name in self._kinds or name in self._presets:
            raise ValueError(f"two of {self._package} are called {name!r}")

    def forget(self, name: str) -> None:
        """Remove a member, as a test does that added it."""
        self._kinds.pop(name, None)
        self._presets.pop(name, None)

    def _look(self) -> None:
        import_members(self._package)

    def __iter__(self) -> Iterator[str]:
        """Names of the classes, in their order."""
        return iter([kind.name for kind in self.kinds()])

    def __contains__(self, name: object) -> bool:
        self._look()
        return name in self._kinds

    def __getitem__(self, name: str) -> type[Kind]:
        """The class of that name. Raises `UsageError` if there is none."""
        self._look()
        if name not in self._kinds:
            raise self._unknown(name)
        return self._kinds[name]

    def _unknown(self, name: str) -> UsageError:
        names = (*self, *self._presets)
        said: dict[str, Any] = {"noun": Sentence(self.noun), "name": repr(name)}
        near = difflib.get_close_matches(name, names, 1)
        if not near:
            return UsageError("unknown {noun} {name}; choose one of {names}", **said, names=names)
        others = tuple(one for one in names if one not in near)
        return UsageError("unknown {noun} {name}; did you mean {near}? The others are {names}",
                          **said, near=near[0], names=others)  # fmt: skip

    def kinds(self) -> tuple[type[Kind], ...]:
        """The classes, in their order."""
        self._look()
        return tuple(sorted(self._kinds.values(), key=lambda kind: (kind.place, kind.name)))

    def presets(self) -> tuple[Preset[Kind], ...]:
        """The presets."""
        self._look()
        return tuple(self._presets.values())

    def parse(self, text: str, *, strict: bool = True) -> Kind:
        """Read the text of a member, or the name of a preset.

        An option that is not known is an error, or, if not ``strict``, left out: it may come from a
        newer version.

        Raises `UsageError` if the name is unknown or an option is missing or out of range.
        """
        name, given = split_spec(text)
        self._look()
        if name in self._presets and not given:
            return self._presets[name].member
        kind = self[name]
        options = {option.name: option for option in options_of(kind)}
        values: dict[str, Any] = {}
        for key, value in given.items():
            if key not in options:
                if not strict:
                    continue
                raise UsageError(
                    "{noun} {text}: unknown option {key}; the options are {names}",
                    noun=Sentence(self.noun), text=repr(text), key=repr(key), names=tuple(options),
                )  # fmt: skip
            try:
                values[key] = options[key].read(value)
            except ValueError as error:
                raise UsageError(
                    "{noun} {text}: {key} cannot be {value}",
                    noun=Sentence(self.noun), text=repr(text), key=key, value=repr(value),
                ) from error  # fmt: skip
        missing = [key for key, one in options.items() if one.required and key not in values]
        if missing:
            raise UsageError(
                "{noun} {text}: needs {key}=…",
                noun=Sentence(self.noun),
                text=repr(text),
                key=missing[0],
            )
        return kind(**values)


@cache
def import_members(package: str) -> None:
    """Import all modules of a package, which register what they contain; done once.

    Another thread that asks meanwhile waits at the module that is being imported, and a member that
    asks while it is imported gets those that are there.
    """
    found = importlib.import_module(package)
    for one in pkgutil.iter_modules(found.__path__, f"{package}."):
        importlib.import_module(one.name)


def start_of(kind: type[Configured]) -> str:
    """The text of a class with its defaults; settings without one are left open."""
    return write_options(kind.name, {one.name: _shown(one) for one in options_of(kind)})


def _shown(option: Option) -> object:
    return "" if option.default is MISSING else option.default
