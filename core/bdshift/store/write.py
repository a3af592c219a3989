"""Writes an audit file; a killed writer leaves the old one intact."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from bdshift.arrays import array_fields
from bdshift.audit import Audit, Purification
from bdshift.errors import InputError
from bdshift.files import written_whole
from bdshift.neurons.tac import Tac
from bdshift.shift.embed import Embedding
from bdshift.store.schema import FORMAT, SCHEMA, TEXT, TRIGGERED_ARRAYS
from bdshift.store.typed import plain, unescaped

_OWN_PLACES = ("embedding", "evidence", "tac", "purifications", "unknown", "left_out")


def save_audit(audit: Audit, path: str | Path, *, embeddings: bool = True) -> None:
    """Write ``audit``, atomically; an existing file is replaced only by a complete one.

    Without ``embeddings`` the file is small: it has no images and no weights of purified models,
    and what-if cuts need the model and images again.

    Raises `InputError` if it cannot be written there.
    """
    path = Path(path)
    try:
        with written_whole(path) as part, h5py.File(part, "w") as file:
            _write(file, audit, embeddings)
    except OSError as error:
        raise InputError(
            "{path}: cannot be written ({reason})", path=path, reason=str(error)
        ) from error


def _write(file: h5py.File, audit: Audit, embeddings: bool) -> None:
    file.attrs["format"], file.attrs["schema"] = np.bytes_(FORMAT), SCHEMA
    described = _described(audit)
    for place, value in audit.unknown.items():
        if not isinstance(value, np.ndarray):
            _put(described, place, value)
    text = json.dumps(described, allow_nan=False).encode()
    file[TEXT] = np.frombuffer(text, np.uint8)
    _write_audit(file, audit, embeddings)
    for place, value in audit.unknown.items():
        if isinstance(value, np.ndarray) and place not in file:
            file[place] = value


def _put(described: Any, place: str, value: Any) -> None:
    """Put back what this version does not know, where it was, if that place still exists."""
    *way, name = map(unescaped, place.split("/"))
    for part in way:
        if isinstance(described, list):
            described = described[int(part)] if int(part) < len(described) else None
        else:
            described = described.get(part)
        if not isinstance(described, (dict, list)):
            return
    if described.get(name) is None:
        described[name] = value


def _write_audit(group: h5py.Group, audit: Audit, embeddings: bool) -> None:
    _write_arrays(group, "model", audit.model)
    for one in audit.evidence:
        _write_arrays(group, f"evidence/{one.name}", one)
        if one.record is not None:
            _write_arrays(group, f"evidence/{one.name}/record", one.record)
    for number, tac in enumerate(audit.tac):
        _write_tac(group, f"tac/{number}", tac, embeddings)
    if embeddings and audit.embedding is not None:
        for name in array_fields(Embedding):
            _write_rows(group, f"embedding/{name}", getattr(audit.embedding, name))
    for number, made in enumerate(audit.purifications):
        _write_purification(group, f"purifications/{number}", made, embeddings)


def _write_arrays(group: h5py.Group, at: str, thing: Any) -> None:
    for name in array_fields(type(thing)):
        value = getattr(thing, name)
        if value is not None:
            group[f"{at}/{name}"] = value


def _write_tac(group: h5py.Group, at: str, tac: Tac, embeddings: bool) -> None:
    _write_arrays(group, at, tac)
    if embeddings and tac.triggered is not None:
        for name in TRIGGERED_ARRAYS:
            _write_rows(group, f"{at}/triggered/{name}", getattr(tac.triggered, name))


def _write_purification(group: h5py.Group, at: str, made: Purification, embeddings: bool) -> None:
    _write_arrays(group, f"{at}/result", made.result)
    if embeddings and made.result.weights is not None:
        for number, tensor in enumerate(made.result.weights.values()):
            group[f"{at}/result/weights/{number}"] = tensor.numpy()
    _write_audit(group.create_group(f"{at}/rescan"), made.rescan, embeddings)


def _write_rows(group: h5py.Group, name: str, values: NDArray[Any]) -> None:
    """One row per image, compressed."""
    group.create_dataset(
        name, data=values, compression="lzf", shuffle=True,
        chunks=(min(1024, len(values)), *values.shape[1:]),
    )  # fmt: skip


def _described(audit: Audit) -> dict[str, Any]:
    """Everything except arrays."""
    embedding = audit.embedding
    return {
        **plain(audit, without=_OWN_PLACES),
        "embedding": None
        if embedding is None
        else {
            "files": [[file.name, file.label] for file in embedding.files],
            "batch": embedding.batch,
        },
        "evidence": {
            one.name: {**plain(one, without=("record",)), "record": plain(one.record)}
            for one in audit.evidence
        },
        "tac": [plain(tac, without=("triggered",)) for tac in audit.tac],
        "purifications": [
            {
                **plain(made, without=("result", "rescan")),
                "result": {
                    **plain(made.result, without=("weights",)),
                    "weights": None if made.result.weights is None else list(made.result.weights),
                },
                "rescan": _described(made.rescan),
            }
            for made in audit.purifications
        ],
    }
