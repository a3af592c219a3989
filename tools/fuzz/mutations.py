"""Changed copies of files: of their bytes, and where they are JSON, of its values."""

from __future__ import annotations

import json
import random
from contextlib import suppress
from typing import Any

_NUMBERS = (0, 1, -1, 127, 128, 255, 256, 2**15, 2**31 - 1, 2**31, 2**32, 2**53, 2**63, 2**64)
_VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 3, 2**31, 2**63, 10**30, 0.5, -1e300, "", "x", "../../x", "a" * 5000,
    "{count}", "\ud800", [], [[]], {}, {"": {}}, [0] * 50, {"template": "{x}", "values": {}},
)  # fmt: skip


def mutated(data: bytes, other: bytes, rng: random.Random) -> bytes:
    """A copy of ``data`` with a few changes; parts may come from ``other``."""
    if data[:1] == b"{" and rng.random() < 0.8:
        with suppress(ValueError, RecursionError):
            return _json(json.loads(data), rng)
    found = bytearray(data)
    for _ in range(1 + int(rng.expovariate(0.5))):
        rng.choice((_flip, _number, _cut, _repeat, _insert, _from_other))(found, other, rng)
    return bytes(found)


def _json(value: Any, rng: random.Random) -> bytes:
    for _ in range(1 + int(rng.expovariate(1))):
        places = list(_places(value))
        if not places:
            break
        box, key = rng.choice(places)
        what = rng.random()
        if what < 0.2:
            del box[key]
        elif what < 0.35:
            one, other = rng.choice(places)
            box[key] = json.loads(json.dumps(one[other]))  # a copy: no value holds itself
        elif what < 0.5 and isinstance(box[key], (int, float)):
            box[key] = type(box[key])(rng.choice((-1, 2, 1000)) * box[key] + rng.choice((0, 1)))
        else:
            box[key] = rng.choice(_VALUES)
    return json.dumps(value).encode()


def _places(value: Any) -> Any:
    """Every container in ``value`` with every key of it."""
    rows = value.items() if isinstance(value, dict) else enumerate(value)
    for key, item in rows:
        yield value, key
        if isinstance(item, (dict, list)):
            yield from _places(item)


def _spot(data: bytearray, rng: random.Random) -> tuple[int, int]:
    start = rng.randrange(len(data) + 1)
    return start, min(len(data), start + 1 + int(rng.expovariate(0.1)))


def _flip(data: bytearray, _: bytes, rng: random.Random) -> None:
    if data:
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)


def _number(data: bytearray, _: bytes, rng: random.Random) -> None:
    size, order = rng.choice((1, 2, 4, 8)), rng.choice(("little", "big"))
    value = rng.choice(_NUMBERS) % 256**size
    start = rng.randrange(max(1, len(data) - size + 1))
    data[start : start + size] = value.to_bytes(size, "little" if order == "little" else "big")


def _cut(data: bytearray, _: bytes, rng: random.Random) -> None:
    start, end = _spot(data, rng)
    del data[start : end if rng.random() < 0.8 else len(data)]


def _repeat(data: bytearray, _: bytes, rng: random.Random) -> None:
    start, end = _spot(data, rng)
    data[end:end] = data[start:end] * rng.choice((1, 2, 50))


def _insert(data: bytearray, _: bytes, rng: random.Random) -> None:
    start, _end = _spot(data, rng)
    data[start:start] = rng.randbytes(1 + int(rng.expovariate(0.2)))


def _from_other(data: bytearray, other: bytes, rng: random.Random) -> None:
    start, end = _spot(data, rng)
    first = rng.randrange(len(other) + 1)
    data[start:end] = other[first : first + rng.choice((4, 16, 64))]
