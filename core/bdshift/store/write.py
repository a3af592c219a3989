"""Writes an audit file; a killed writer leaves the old one whole."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from bdshift.audit import Audit
from bdshift.errors import InputError
from bdshift.files import written_whole
from bdshift.store.schema import EMBEDDING_ARRAYS, FORMAT, SCHEMA, SHIFT_ARRAYS, TRIGGERED_ARRAYS
from bdshift.store.typed import plain


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
        raise InputError(f"{path}: cannot be written ({error})") from error


def _write(file: h5py.File, audit: Audit, embeddings: bool) -> None:
    file.attrs["format"], file.attrs["schema"] = np.bytes_(FORMAT), SCHEMA
    text = json.dumps(_described(audit), allow_nan=False).encode()
    file["audit.json"] = np.frombuffer(text, np.uint8)
    _write_arrays(file, audit, embeddings)
    for number, cleaned in enumerate(audit.runs):
        run = file.create_group(f"runs/{number}")
        _write_arrays(run.create_group("rescan"), cleaned.rescan, embeddings)
        if cleaned.run.ranking is not None:
            run["ranking"] = cleaned.run.ranking
        if embeddings and cleaned.run.weights is not None:
            for position, tensor in enumerate(cleaned.run.weights.values()):
                run[f"weights/{position}"] = tensor.numpy()


def _write_arrays(group: h5py.Group, audit: Audit, embeddings: bool) -> None:
    group["model/weight"], group["model/bias"] = audit.model.weight, audit.model.bias
    for name in SHIFT_ARRAYS:
        group[f"shift/{name}"] = getattr(audit.shifts, name)
    for number, tac in enumerate(audit.tac):
        group[f"tac/{number}/change"], group[f"tac/{number}/signed"] = tac.change, tac.signed
        if embeddings and tac.triggered is not None:
            for name in TRIGGERED_ARRAYS:
                _write_rows(group, f"tac/{number}/{name}", getattr(tac.triggered, name))
    if embeddings and audit.embedding is not None:
        for name in EMBEDDING_ARRAYS:
            _write_rows(group, f"embedding/{name}", getattr(audit.embedding, name))


def _write_rows(group: h5py.Group, name: str, values: NDArray[Any]) -> None:
    """One row an image, packed."""
    group.create_dataset(
        name, data=values, compression="lzf", shuffle=True,
        chunks=(min(1024, len(values)), *values.shape[1:]),
    )  # fmt: skip


def _described(audit: Audit) -> dict[str, Any]:
    """All that is no array."""
    embedding = audit.embedding
    return {
        **plain(audit, without=("model", "embedding", "shifts", "tac", "runs")),
        "model": plain(audit.model, without=("weight", "bias")),
        "embedding": None
        if embedding is None
        else {
            "files": [[file.name, file.label] for file in embedding.files],
            "batch": embedding.batch,
        },
        "shifts": plain(audit.shifts, without=SHIFT_ARRAYS),
        "tac": [plain(tac, without=("change", "signed", "triggered")) for tac in audit.tac],
        "runs": [
            {
                **plain(cleaned, without=("run", "rescan")),
                "run": plain(cleaned.run, without=("weights", "ranking")),
                "weights": None if cleaned.run.weights is None else list(cleaned.run.weights),
                "rescan": _described(cleaned.rescan),
            }
            for cleaned in audit.runs
        ],
    }
