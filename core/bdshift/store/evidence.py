"""Evidence as an audit file holds it: a description and datasets."""

from __future__ import annotations

import json
from io import BytesIO
from typing import Any

import h5py
import numpy as np

from bdshift.arrays import array_fields
from bdshift.detect.detector import DETECTORS, Evidence
from bdshift.json_data import parse_json
from bdshift.spec import split_spec
from bdshift.store.datasets import Datasets
from bdshift.store.schema import TEXT
from bdshift.store.typed import Reader, plain

_MAX_VALUES = 1_000_000  # of the description of one


def describe_evidence(one: Evidence) -> dict[str, Any]:
    """Everything except arrays."""
    return {**plain(one, without=("record",)), "record": plain(one.record)}


def write_evidence(group: h5py.Group, at: str, one: Evidence) -> None:
    """The datasets of one detector's evidence, under ``at``."""
    write_arrays(group, at, one)
    if one.record is not None:
        write_arrays(group, f"{at}/record", one.record)


def write_arrays(group: h5py.Group, at: str, thing: Any) -> None:
    """The array fields of a dataclass, under ``at``."""
    for name in array_fields(type(thing)):
        value = getattr(thing, name)
        if value is not None:
            group[f"{at}/{name}"] = value


def read_evidence(reader: Reader, at: str, row: dict[str, Any]) -> Evidence:
    """The evidence that is described by ``row`` and has its datasets under ``at``. The record of a
    detector that this version does not know is left alone.

    Raises many kinds of errors if anything does not fit.
    """
    text = reader.read_as(str, row["detector"])
    name, record = split_spec(text)[0], None
    if name in DETECTORS:
        DETECTORS.parse(text, strict=False)
        record = reader.build(DETECTORS[name].record, row["record"], f"{at}record/")
    elif row.get("record") is not None:
        reader.unknown[f"{at}record"] = row["record"]
    rest = {key: one for key, one in row.items() if key != "record"}
    found: Evidence = reader.build(Evidence, rest, at, record=record)
    return found


def pack_evidence(one: Evidence) -> bytes:
    """One detector's evidence by itself, as bytes."""
    buffer = BytesIO()
    with h5py.File(buffer, "w") as file:
        file[TEXT] = np.frombuffer(json.dumps(describe_evidence(one)).encode(), np.uint8)
        write_evidence(file, one.name, one)
    return buffer.getvalue()


def unpack_evidence(content: bytes) -> Evidence:
    """What `pack_evidence` packed. Raises as `read_evidence` does."""
    with h5py.File(BytesIO(content), "r") as file:
        datasets = Datasets(file, len(content), lambda place: place)
        row = parse_json(datasets.find(TEXT)[()].tobytes(), _MAX_VALUES)
        return read_evidence(Reader(datasets, {}), f"{split_spec(row['detector'])[0]}/", row)
