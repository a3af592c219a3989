"""When an audit is made, and with which software."""

from __future__ import annotations

import datetime
import platform

import numpy as np
import torch

from bdshift._version import __version__
from bdshift.errors import UsageError
from bdshift.words import words

_FORM = "%Y-%m-%dT%H:%MZ"
_NO_DATE = words("{text!r} is no date and time in UTC", ja="{text!r} は UTC の日時ではありません")


def versions() -> dict[str, str]:
    """Versions that a result depends on."""
    return {
        "bdshift": __version__,
        "python": platform.python_version(),
        "torch": str(torch.__version__),
        "numpy": np.__version__,
    }


def now() -> str:
    """Date and time as an audit keeps them, in UTC to the minute: 2025-03-04T09:30Z."""
    return datetime.datetime.now(datetime.UTC).strftime(_FORM)


def check_date(text: str) -> None:
    """Raise `UsageError` if it is not as `now` writes it, nor "", which older audits have."""
    if text:
        parsed(text)


def parsed(text: str) -> datetime.datetime:
    """A date and time that an audit keeps. Raises `UsageError` if it is none."""
    try:
        found = datetime.datetime.strptime(text, _FORM).replace(tzinfo=datetime.UTC)
    except ValueError:
        raise UsageError(_NO_DATE, text=text) from None
    if found.strftime(_FORM) != text:  # as text, dates are in order only if they are padded
        raise UsageError(_NO_DATE, text=text)
    return found


def in_words(text: str) -> str:
    """The same for people, in all languages: 2025-03-04 09:30 UTC; "" if it is not known."""
    return f"{parsed(text):%Y-%m-%d %H:%M} UTC" if text else ""
