"""Writes an audit file: beside its destination, flushed to the disk, and renamed over it. A killed
writer leaves the old file whole.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from bdshift.audit import Audit
from bdshift.errors import InputError
from bdshift.store.schema import EMBEDDING_ARRAYS, FORMAT, SCHEMA, SHIFT_ARRAYS, TRIGGERED_ARRAYS
from bdshift.text import json_number


def save_audit(audit: Audit, path: str | Path, *, embeddings: bool = True) -> None:
    """Write ``audit``, atomically; an existing file is replaced only by a complete one.

    Without ``embeddings`` the file is small, but what-if cuts need the model and images again.

    Raises `InputError` if it cannot be written there.
    """
    path = Path(path)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with h5py.File(part, "w") as file:
            _write(file, audit, embeddings)
        _flush_to_disk(part)
        os.replace(part, path)
        _flush_to_disk(path.parent)
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error})") from error
    finally:
        part.unlink(missing_ok=True)


def _flush_to_disk(path: Path) -> None:
    if os.name == "nt" and path.is_dir():
        return  # Windows has no handle of a folder to flush
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _write(file: h5py.File, audit: Audit, embeddings: bool) -> None:
    file.attrs["format"], file.attrs["schema"] = np.bytes_(FORMAT), SCHEMA
    text = json.dumps(_described(audit), allow_nan=False).encode()
    file["audit.json"] = np.frombuffer(text, np.uint8)
    file["model/weight"], file["model/bias"] = audit.model.weight, audit.model.bias
    for name in SHIFT_ARRAYS:
        file[f"shift/{name}"] = getattr(audit.shifts, name)
    for number, tac in enumerate(audit.tac):
        file[f"tac/{number}/change"], file[f"tac/{number}/signed"] = tac.change, tac.signed
        if embeddings and tac.triggered is not None:
            for name in TRIGGERED_ARRAYS:
                _write_rows(file, f"tac/{number}/{name}", getattr(tac.triggered, name))
    if embeddings and audit.embedding is not None:
        for name in EMBEDDING_ARRAYS:
            _write_rows(file, f"embedding/{name}", getattr(audit.embedding, name))


def _write_rows(file: h5py.File, name: str, values: NDArray[Any]) -> None:
    """One row an image, packed."""
    file.create_dataset(
        name, data=values, compression="lzf", shuffle=True,
        chunks=(min(1024, len(values)), *values.shape[1:]),
    )  # fmt: skip


def _described(audit: Audit) -> dict[str, Any]:
    model, embedding, shifts = audit.model, audit.embedding, audit.shifts
    verdict = asdict(audit.verdict)
    verdict["p_value"] = json_number(audit.verdict.p_value)
    verdict["scores"] = [
        {key: json_number(value) for key, value in asdict(score).items()}
        for score in audit.verdict.scores
    ]
    settings = asdict(audit.settings)
    if isinstance(settings["labels"], Path):
        settings["labels"] = str(settings["labels"])
    return {
        "model": {
            key: getattr(model, key)
            for key in ("path", "sha256", "container", "architecture", "head")
        },
        "images": asdict(audit.images),
        "settings": settings,
        "trials": [
            {
                **asdict(trial),
                "loss": json_number(trial.loss),
                "mismatch": json_number(trial.mismatch),
            }
            for trial in audit.trials
        ],
        "accuracy": audit.accuracy,
        "embedding": None
        if embedding is None
        else {
            "files": [[file.name, file.label] for file in embedding.files],
            "batch": embedding.batch,
        },
        "shifts": {
            key: getattr(shifts, key)
            for key in ("status", "alpha", "solver", "iterations", "seconds")
        },
        "verdict": verdict,
        "warnings": audit.warnings,
        "device": audit.device,
        "precision": audit.precision,
        "seconds_embed": audit.seconds_embed,
        "proposal": asdict(audit.proposal) if audit.proposal else None,
        "tac": [
            {
                "trigger": tac.trigger,
                "target": tac.target,
                "asr": json_number(tac.asr),
                "ra": json_number(tac.ra),
                "images": tac.images,
            }
            for tac in audit.tac
        ],
        "versions": audit.versions,
    }
