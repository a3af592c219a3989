"""The audit file: one HDF5 file with everything an audit found. Its layout is docs/audit-file.md.

Numbers are datasets, all else is one JSON text beside them, and nothing in the file is code. It is
written beside its destination, flushed to the disk, and renamed over it: a killed writer leaves
the old file whole.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from bdshift.audit import Audit, ImagesRecord, LabelProposal, ModelRecord, ScanSettings
from bdshift.checkpoints.contest import Trial
from bdshift.errors import InputError
from bdshift.images.collection import ImageFile, Skipped
from bdshift.images.preprocessing import Normalisation, Preprocessing
from bdshift.neurons.tac import Tac
from bdshift.shift.embed import Embedding
from bdshift.shift.result import Shifts
from bdshift.shift.verdict import ClassScore, Verdict

FORMAT, SCHEMA = "bdshift-audit", 1
_MAX_BYTES = 16 * 1024**3  # of one dataset: an audit of a million images would still fit

_SHIFT_ARRAYS = ("shift", "l2", "loss", "lower", "kkt", "multiplier")


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
    file.attrs["format"], file.attrs["schema"] = FORMAT, SCHEMA
    file.attrs["bdshift"] = audit.versions.get("bdshift", "")
    file["audit.json"] = json.dumps(_described(audit), ensure_ascii=False, allow_nan=False)
    file["model/weight"], file["model/bias"] = audit.model.weight, audit.model.bias
    for name in _SHIFT_ARRAYS:
        file[f"shift/{name}"] = getattr(audit.shifts, name)
    for number, tac in enumerate(audit.tac):
        file[f"tac/{number}/change"], file[f"tac/{number}/signed"] = tac.change, tac.signed
    if embeddings and audit.embedding is not None:
        for name in ("phi", "logits", "labels"):
            values = getattr(audit.embedding, name)
            file.create_dataset(
                f"embedding/{name}", data=values, compression="lzf", shuffle=True,
                chunks=(min(1024, len(values)), *values.shape[1:]),
            )  # fmt: skip


def _number(value: float) -> float | None:
    """JSON has no NaN: null is "cannot be said"."""
    return value if math.isfinite(value) else None


def _described(audit: Audit) -> dict[str, Any]:
    model, embedding, shifts = audit.model, audit.embedding, audit.shifts
    verdict = asdict(audit.verdict)
    verdict["p_value"] = _number(audit.verdict.p_value)
    verdict["scores"] = [
        {key: _number(value) for key, value in asdict(score).items()}
        for score in audit.verdict.scores
    ]
    settings = asdict(audit.settings)
    settings["labels"] = str(settings["labels"]) if settings["labels"] else None
    return {
        "model": {
            key: getattr(model, key)
            for key in ("path", "sha256", "container", "architecture", "head")
        },
        "images": asdict(audit.images),
        "settings": settings,
        "trials": [asdict(trial) for trial in audit.trials],
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
            {key: getattr(tac, key) for key in ("trigger", "target", "asr", "ra", "images")}
            for tac in audit.tac
        ],
        "versions": audit.versions,
    }


def load_audit(path: str | Path) -> Audit:
    """Read an audit file.

    Raises `InputError` if it is missing, no audit file, of a newer schema, or damaged.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    try:
        with h5py.File(path, "r") as file:
            if file.attrs.get("format") != FORMAT:
                raise InputError(f"{path}: is an HDF5 file, but not an audit file of bdshift")
            schema = int(file.attrs.get("schema", 0))
            if schema > SCHEMA:
                raise InputError(
                    f"{path}: was written by a newer bdshift (schema {schema}, this one reads "
                    f"{SCHEMA})"
                )
            return _read(file)
    except InputError:
        raise
    except OSError as error:
        raise InputError(f"{path}: is no audit file, or damaged ({error})") from error
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise InputError(f"{path}: is damaged ({type(error).__name__}: {error})") from error


def _dataset(file: h5py.File, name: str) -> h5py.Dataset:
    """A dataset of this very file: a link into another file is not followed."""
    group: h5py.Group = file
    for part in name.split("/"):
        link = group.get(part, getlink=True)
        if not isinstance(link, h5py.HardLink):
            raise KeyError(name)
        group = group[part]
    if not isinstance(group, h5py.Dataset) or group.is_virtual or group.external:
        raise KeyError(name)
    if group.nbytes > _MAX_BYTES:
        raise ValueError(f"{name} claims {group.nbytes} bytes")
    return group


def _array(file: h5py.File, name: str, dtype: type, dims: int) -> NDArray[Any]:
    values: NDArray[Any] = np.asarray(_dataset(file, name)[()], dtype=dtype)
    if values.ndim != dims:
        raise ValueError(f"{name} has {values.ndim} dimensions, not {dims}")
    return values


def _nan(value: float | None) -> float:
    return math.nan if value is None else float(value)


def _read(file: h5py.File) -> Audit:
    text = _dataset(file, "audit.json").asstr()[()]
    found = json.loads(text)

    def vector(name: str) -> NDArray[np.float64]:
        return _array(file, name, np.float64, 1)

    weight = _array(file, "model/weight", np.float32, 2)
    bias = _array(file, "model/bias", np.float32, 1)
    images = ImagesRecord(
        **{
            **found["images"],
            "counts": tuple(found["images"]["counts"]),
            "class_names": tuple(found["images"]["class_names"]),
            "skipped": tuple(Skipped(**skip) for skip in found["images"]["skipped"]),
        }
    )
    settings = found["settings"]
    settings["labels"] = Path(settings["labels"]) if settings["labels"] else None
    described: dict[str, Any] = {**found["shifts"], "status": tuple(found["shifts"]["status"])}
    for name in _SHIFT_ARRAYS[1:]:
        described[name] = vector(f"shift/{name}")
    shifts = Shifts(shift=_array(file, "shift/shift", np.float64, 2), **described)
    if shifts.shift.shape != weight.shape or len(shifts.l2) != len(weight) != 0:
        raise ValueError("the shifts do not fit the head")
    proposal = found["proposal"]
    return Audit(
        model=ModelRecord(**found["model"], weight=weight, bias=bias),
        images=images,
        settings=ScanSettings(**settings),
        trials=tuple(_trial(trial) for trial in found["trials"]),
        accuracy=float(found["accuracy"]),
        embedding=_embedding(file, found, images) if found["embedding"] and "embedding" in file
        else None,
        shifts=shifts,
        verdict=_verdict(found["verdict"]),
        warnings=tuple(found["warnings"]),
        device=found["device"],
        precision=found["precision"],
        seconds_embed=float(found["seconds_embed"]),
        proposal=LabelProposal(**proposal) if proposal else None,
        tac=tuple(
            Tac(**row, change=vector(f"tac/{i}/change"), signed=vector(f"tac/{i}/signed"))
            for i, row in enumerate(found["tac"])
        ),
        versions=dict(found["versions"]),
    )  # fmt: skip


def _trial(found: dict[str, Any]) -> Trial:
    preprocessing = found["preprocessing"]
    n = preprocessing["normalisation"]
    normalisation = Normalisation(n["name"], tuple(n["mean"]), tuple(n["std"]), n["divisor"])
    return Trial(
        **{
            **found,
            "preprocessing": Preprocessing(
                preprocessing["size"], normalisation, preprocessing["order"]
            ),
        }
    )


def _embedding(file: h5py.File, found: dict[str, Any], images: ImagesRecord) -> Embedding:
    files = tuple(ImageFile(name, label) for name, label in found["embedding"]["files"])
    phi = _array(file, "embedding/phi", np.float32, 2)
    logits = _array(file, "embedding/logits", np.float32, 2)
    labels = _array(file, "embedding/labels", np.int64, 1)
    if not len(files) == len(phi) == len(logits) == len(labels):
        raise ValueError("the embeddings do not fit together")
    return Embedding(
        phi=phi,
        logits=logits,
        labels=labels,
        files=files,
        images_hash=images.sha256,
        skipped=images.skipped,
        precision=found["precision"],
        batch=found["embedding"]["batch"],
        seconds=float(found["seconds_embed"]),
    )


def _verdict(found: dict[str, Any]) -> Verdict:
    scores = tuple(
        ClassScore(_nan(row["z"]), _nan(row["mad"]), _nan(row["grubbs_p"]))
        for row in found["scores"]
    )
    convert: dict[str, Callable[[Any], Any]] = {
        "poisoned": tuple, "cautions": tuple, "p_value": _nan, "scores": lambda _: scores,
    }  # fmt: skip
    return Verdict(**{key: convert.get(key, lambda v: v)(value) for key, value in found.items()})
