"""The trigger of a victim's card, the JSON that `bdshift lab train` leaves beside its model."""

from __future__ import annotations

import json

from bdshift.errors import InputError, UsageError
from bdshift.triggers.base import local_file

_MOST = 1024 * 1024  # bytes
_LEARNT = "input-aware", "lira"
_FILES = "file", "pattern"


def read_card(path: str) -> str:
    """The trigger's text. A file that it names relatively is looked for beside the card, where a
    learnt trigger is too.

    Raises `InputError` if ``path`` is no card, `UsageError` if its victim is clean or has several
    triggers.
    """
    card = local_file(path)
    try:
        if not (card.is_file() and card.stat().st_size <= _MOST):
            raise ValueError("no file, or too large")
        text = json.loads(card.read_text(encoding="utf-8"))["recipe"]["attack"]
        if not isinstance(text, str):
            raise TypeError("its attack is no text")
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise InputError(f"{path}: not a victim's card ({error})") from error
    if not text:
        raise UsageError(f"{path}: is of a clean model, which has no trigger")
    if ";" in text:
        raise UsageError(f"{path}: has several triggers; name one of them: {text}")
    name, _, rest = text.partition(":")
    options = dict(part.partition("=")[::2] for part in rest.split(",") if part)
    if name in _LEARNT and not options.get("file"):
        options["file"] = "trigger.pth"
    for key in _FILES:
        beside = card.parent / options[key] if options.get(key) else None
        if beside is not None and beside.exists():  # an absolute path stays as it is
            options[key] = str(beside)
    return f"{name}:{','.join(f'{key}={value}' for key, value in options.items())}"
