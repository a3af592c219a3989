"""Audit files, made from scratch or changed, and audits compared down to the last number."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import torch

from bdshift.audit import Audit
from bdshift.store import load_audit

OLD_AUDITS = Path(__file__).parents[1] / "core" / "data" / "audits"


def old_audit(name: str) -> Audit:
    """An audit that an older version wrote."""
    return load_audit(OLD_AUDITS / f"{name}.h5")


def description(path: Path) -> Any:
    """The file's JSON, parsed."""
    with h5py.File(path, "r") as file:
        return json.loads(file["audit.json"][()].tobytes())


def describe(path: Path, text: Any) -> None:
    """Replace the file's JSON, with a value or with bytes."""
    raw = text if isinstance(text, bytes) else json.dumps(text).encode()
    with h5py.File(path, "r+") as file:
        del file["audit.json"]
        file["audit.json"] = np.frombuffer(raw, np.uint8)


def change(path: Path, *way: str | int, value: Any) -> None:
    """Set the value at the path ``way`` in the file's JSON."""
    edit(path, *way, by=lambda place, name: place.__setitem__(name, value))


def remove(path: Path, *way: str | int) -> None:
    """Remove the value at the path ``way`` in the file's JSON."""
    edit(path, *way, by=lambda place, name: place.__delitem__(name))


def edit(path: Path, *way: str | int, by: Callable[[Any, str | int], None]) -> None:
    """Call ``by`` with the container and the last key of the path ``way`` in the file's JSON."""
    found = place = description(path)
    for part in way[:-1]:
        place = place[part]
    by(place, way[-1])
    describe(path, found)


def same(a: object, b: object, at: str = "audit") -> None:
    """Assert deep equality of dataclasses, with arrays, tensors and NaNs."""
    if dataclasses.is_dataclass(a):
        assert type(a) is type(b), at
        for field in dataclasses.fields(a):
            same(getattr(a, field.name), getattr(b, field.name), f"{at}.{field.name}")
    elif isinstance(a, np.ndarray):
        assert isinstance(b, np.ndarray), at
        assert a.dtype == b.dtype, at
        assert np.array_equal(a, b, equal_nan=a.dtype.kind == "f"), at
    elif isinstance(a, torch.Tensor):
        assert isinstance(b, torch.Tensor), at
        assert a.dtype == b.dtype, at
        assert torch.equal(a, b), at
    elif isinstance(a, (tuple, list)):
        assert type(a) is type(b), at
        assert len(a) == len(b), at
        for number, (x, y) in enumerate(zip(a, b, strict=True)):
            same(x, y, f"{at}[{number}]")
    elif isinstance(a, Mapping):
        assert isinstance(b, Mapping), at
        assert list(a) == list(b), at
        for key in a:
            same(a[key], b[key], f"{at}[{key!r}]")
    elif isinstance(a, float) and math.isnan(a):
        assert isinstance(b, float), at
        assert math.isnan(b), at
    else:
        assert type(a) is type(b), at
        assert a == b, at
