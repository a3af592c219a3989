"""Reads an audit file. It may come from anybody: links out of it, bombs, and values that do not fit
each other are refused.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NoReturn

import h5py
import numpy as np
from numpy.typing import NDArray

from bdshift.audit import Audit, ImagesRecord, LabelProposal, ModelRecord, ScanSettings
from bdshift.checkpoints.contest import Trial
from bdshift.errors import InputError, UsageError
from bdshift.images.collection import ImageFile
from bdshift.neurons.tac import Tac
from bdshift.shift.embed import Embedding, Precision
from bdshift.shift.result import Shifts
from bdshift.shift.verdict import Verdict
from bdshift.store.schema import FORMAT, SCHEMA, SHIFT_ARRAYS
from bdshift.store.typed import build, read_as

_MOST_PER_BYTE = 100  # LZF packs at most 88 to 1; a dataset that claims more is a bomb


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
    except (
        LookupError, TypeError, ValueError, AttributeError, OverflowError, RuntimeError, UsageError,
    ) as error:  # fmt: skip
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
    if group.compression not in (None, "lzf"):
        raise ValueError(f"{name} is compressed in another way")
    if group.nbytes > _MOST_PER_BYTE * group.id.get_storage_size():
        raise ValueError(f"{name} claims {group.nbytes} bytes")
    return group


def _array(file: h5py.File, name: str, dtype: type, shape: tuple[int, ...]) -> NDArray[Any]:
    dataset = _dataset(file, name)
    if dataset.dtype.kind not in "fiu" or dataset.shape != shape:
        raise ValueError(f"{name} is {dataset.dtype} {dataset.shape}, not numbers {shape}")
    return np.asarray(dataset[()], dtype=dtype)


def _read(file: h5py.File) -> Audit:
    found = json.loads(_dataset(file, "audit.json").asstr()[()])
    given: dict[str, Any] = {}
    weight = _dataset(file, "model/weight")
    if len(weight.shape) != 2 or 0 in weight.shape:
        raise ValueError("the head is no matrix")
    classes, dim = weight.shape
    given["model"] = build(
        ModelRecord,
        found.pop("model"),
        weight=_array(file, "model/weight", np.float32, (classes, dim)),
        bias=_array(file, "model/bias", np.float32, (classes,)),
    )
    given["images"] = images = build(ImagesRecord, found.pop("images"))
    given["settings"] = build(ScanSettings, found.pop("settings"))
    given["trials"] = read_as(tuple[Trial, ...], found.pop("trials"))
    given["proposal"] = read_as(LabelProposal | None, found.pop("proposal"))
    given["verdict"] = verdict = build(Verdict, found.pop("verdict"))
    given["shifts"] = shifts = build(
        Shifts,
        found.pop("shifts"),
        **{
            name: _array(
                file, f"shift/{name}", np.float64, (classes, dim) if name == "shift" else (classes,)
            )
            for name in SHIFT_ARRAYS
        },
    )
    given["tac"] = tuple(
        build(
            Tac,
            row,
            change=_array(file, f"tac/{number}/change", np.float64, (dim,)),
            signed=_array(file, f"tac/{number}/signed", np.float64, (dim,)),
        )
        for number, row in enumerate(found.pop("tac"))
    )
    about = found.pop("embedding")
    embedding = None
    if about is not None and "embedding" in file:
        embedding = _embedding(file, about, found, images, (classes, dim))
    audit: Audit = build(Audit, found, **given, embedding=embedding)
    indices = [*verdict.poisoned, *(tac.target for tac in audit.tac)]
    lists = (images.counts, images.class_names, verdict.scores, shifts.status)
    if any(len(one) != classes for one in lists) or not audit.trials:
        _unfit()
    if not all(0 <= index < classes for index in indices):
        _unfit()
    return audit


def _embedding(
    file: h5py.File,
    about: dict[str, Any],
    found: dict[str, Any],
    images: ImagesRecord,
    head: tuple[int, int],
) -> Embedding:
    classes, dim = head
    rows = read_as(tuple[tuple[str, int], ...], about["files"])
    count = len(rows)
    labels = _array(file, "embedding/labels", np.int64, (count,))
    if count == 0 or labels.min() < 0 or labels.max() >= classes:
        _unfit()
    return Embedding(
        phi=_array(file, "embedding/phi", np.float32, (count, dim)),
        logits=_array(file, "embedding/logits", np.float32, (count, classes)),
        labels=labels,
        files=tuple(ImageFile(*row) for row in rows),
        images_hash=images.sha256,
        skipped=images.skipped,
        precision=read_as(Precision, found["precision"]),
        batch=read_as(int, about["batch"]),
        seconds=read_as(float, found["seconds_embed"]),
    )


def _unfit() -> NoReturn:
    raise ValueError("its parts do not fit each other")
