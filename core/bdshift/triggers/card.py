"""The trigger of a victim's card, the JSON that `bdshift lab train` leaves beside its model."""

from __future__ import annotations

import json
from pathlib import Path

from bdshift.errors import InputError, UsageError
from bdshift.spec import split_spec
from bdshift.triggers.base import local_file

_MOST = 1024 * 1024  # bytes
_LEARNED = "input-aware", "lira"
FILE_OPTIONS = "file", "mask", "pattern"
"""Settings of triggers that are paths."""


def read_card(path: str) -> str:
    """The trigger's text. A file that it names is looked for beside the card, where training puts
    one, by its path and by its name; a learned trigger is there too.

    Raises `InputError` if ``path`` is no card, `UsageError` if its victim is clean or has several
    triggers.
    """
    text = _said(path, "attack")
    if not text:
        raise UsageError(f"{path}: is of a clean model, which has no trigger")
    if ";" in text:
        raise UsageError(f"{path}: has several triggers; name one instead of the card: {text}")
    folder = local_file(path).parent
    name, options = split_spec(text)
    if name in _LEARNED and not options.get("file"):
        options["file"] = "trigger.pth"
    for key in FILE_OPTIONS:
        if options.get(key):
            named = Path(options[key])
            found = [p for p in (folder / named.name, folder / named) if p.exists()]
            options[key] = str(found[0]) if found else options[key]
    return f"{name}:{','.join(f'{key}={value}' for key, value in options.items())}"


def card_target(path: str) -> str:
    """The class that its victim's trigger sends images to; empty if that is not one class. Raises
    as `read_card`.
    """
    return _said(path, "target")


def _said(path: str, key: str) -> str:
    card = local_file(path)
    try:
        if not (card.is_file() and card.stat().st_size <= _MOST):
            raise ValueError("no file, or too large")
        text = json.loads(card.read_text(encoding="utf-8"))["recipe"][key]
        if not isinstance(text, str):
            raise TypeError(f"its {key} is no text")
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise InputError(f"{path}: not a victim's card ({error})") from error
    return text
