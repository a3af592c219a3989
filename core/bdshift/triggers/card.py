"""The trigger in a victim's card, the JSON that `bdshift lab train` leaves next to its model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bdshift.errors import InputError, UsageError
from bdshift.json_data import parse_json
from bdshift.setting import options_of
from bdshift.spec import split_spec, split_specs, write_options
from bdshift.triggers.base import TRIGGERS, local_file

_MAX_FILE_BYTES = 1024 * 1024
_MAX_VALUES = 100_000


def is_card(text: str) -> bool:
    """Whether a trigger's text is the path of a card."""
    return text.endswith(".json")


def read_card(path: str) -> str:
    """The trigger's text. A file that it names is looked for next to the card, where training puts
    it, by its path and by its name; so is the file that training created.

    Raises `InputError` if ``path`` is not a card, `UsageError` if its victim is clean or has
    several triggers.
    """
    text = open_card(path).told("attack")
    if not text:
        raise UsageError("{path}: belongs to a clean model, which has no trigger", path=path)
    if len(split_specs(text)) > 1:
        raise UsageError(
            "{path}: has several triggers; name one instead of the card: {text}",
            path=path, text=text,
        )  # fmt: skip
    folder = local_file(path).parent
    name, options = split_spec(text)
    made = TRIGGERS[name].made_file
    for key in file_options(name):
        named = local_file(options.get(key) or made or "")
        if named.name:
            found = [p for p in (folder / named.name, folder / named) if p.exists()]
            options[key] = str(found[0]) if found else str(named)
    return write_options(name, options)


def card_target(path: str) -> str:
    """The class that the victim's trigger sends images to; empty if there is not exactly one.
    Raises `InputError` if ``path`` is not a card.
    """
    return open_card(path).told("target")


def file_options(name: str) -> list[str]:
    """The options of the attack ``name`` that are paths."""
    return [one.name for one in options_of(TRIGGERS[name]) if one.about.widget == "file"]


def trigger_files(text: str) -> tuple[Path, ...]:
    """The files that the text of a trigger names: a card, pictures, what training left. Raises as
    `read_card` does.
    """
    if is_card(text):
        return local_file(text), *trigger_files(read_card(text))
    name, options = split_spec(text)
    return tuple(local_file(options[key]) for key in file_options(name) if options.get(key))


@dataclass(frozen=True)
class VictimCard:
    """What a card's file holds, which may be anything."""

    path: str
    found: Mapping[str, Any]

    def told(self, key: str) -> str:
        """A text of the recipe. Raises `InputError` if the card does not say it."""
        recipe = self.found.get("recipe")
        text = recipe.get(key) if isinstance(recipe, dict) else None
        if not isinstance(text, str):
            raise InputError(
                "{path}: not a victim's card (it does not say its {key})", path=self.path, key=key
            )
        return text

    @property
    def class_names(self) -> tuple[str, ...]:
        """The names of the victim's classes, in the network's order; () if it does not say them."""
        names = self.found.get("class_names")
        if not isinstance(names, list) or not all(isinstance(one, str) for one in names):
            return ()
        return tuple(names)


def open_card(path: str) -> VictimCard:
    """Read a card. Raises `InputError` if ``path`` is none."""
    card = local_file(path)
    try:
        if not (card.is_file() and card.stat().st_size <= _MAX_FILE_BYTES):
            raise InputError("{path}: not a victim's card (no file, or too large)", path=path)
        text = card.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise InputError(
            "{path}: not a victim's card ({reason})", path=path, reason=str(error)
        ) from error
    try:
        found = parse_json(text, _MAX_VALUES)
    except InputError as error:
        raise InputError(
            "{path}: not a victim's card ({reason})", path=path, reason=error.sentence
        ) from error
    return VictimCard(path, found if isinstance(found, dict) else {})
