"""JSON from files that may come from anyone: three bytes of it can become a hundred in memory, so
what it holds is counted before it is parsed.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, NoReturn

from bdshift.errors import InputError


def parse_json(
    data: bytes | str,
    most: int,
    object_pairs_hook: Callable[[list[tuple[str, Any]]], Any] | None = None,
) -> Any:
    """The value of a JSON text that holds at most about ``most`` values; ``object_pairs_hook`` is
    `json.loads`'s.

    Raises `InputError`, without the file's name, if it may hold more, is nested too deeply, or is
    not JSON: NaN and infinity are not.
    """
    check_json(data, most)
    try:
        return json.loads(data, parse_constant=_no_number, object_pairs_hook=object_pairs_hook)
    except RecursionError as error:
        raise InputError("its JSON is nested too deeply") from error
    except ValueError as error:
        raise InputError("its JSON is broken ({reason})", reason=str(error)) from error


def check_json(data: bytes | str, most: int) -> None:
    """Raise `InputError` if a text may hold more than about ``most`` values."""
    raw = data.encode("utf-8", "replace") if isinstance(data, str) else data
    count = raw.count(b",") + raw.count(b"[") + raw.count(b"{")
    if count > most:  # those inside of texts are counted, too: there are never more values
        raise InputError("its JSON holds more than {most:,} values", most=most)


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number")
