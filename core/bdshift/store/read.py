"""Reads an audit file. It may come from anybody: links out of it, bombs, and values that do not fit
each other are refused.
"""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

import h5py
import numpy as np
import torch
from numpy.typing import NDArray

from bdshift.audit import Audit, Cleaned, ImagesRecord, ModelRecord
from bdshift.errors import InputError, UsageError
from bdshift.images.collection import ImageFile
from bdshift.neurons.tac import Tac
from bdshift.purify import Purified
from bdshift.shift.embed import THUMBNAIL, Embedding, Precision
from bdshift.shift.result import Shifts
from bdshift.shift.verdict import Verdict, check_rule
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
            if _attribute(file, "format", "S") != FORMAT.encode():
                raise InputError(f"{path}: is an HDF5 file, but not an audit file of bdshift")
            schema = int(_attribute(file, "schema", "i") or 0)
            if schema > SCHEMA:
                raise InputError(
                    f"{path}: was written by a newer bdshift (schema {schema}, this one reads "
                    f"{SCHEMA})"
                )
            return _read(_Datasets(file, path.stat().st_size), schema)
    except InputError:
        raise
    except OSError as error:
        raise InputError(  # what HDF5 itself says is for its makers, and kept as the cause
            f"{path}: is no audit file, or is cut short; a checkpoint is read by bdshift scan"
        ) from error
    except (
        LookupError, TypeError, ValueError, AttributeError, OverflowError, RuntimeError, UsageError,
    ) as error:  # fmt: skip
        raise InputError(f"{path}: is damaged ({type(error).__name__}: {error})") from error


def _attribute(file: h5py.File, name: str, kind: str) -> Any:
    """A fixed-length attribute. HDF5 keeps values of variable length in heaps, and its library can
    be caught in an endless loop by a damaged one: none is ever read.
    """
    if name not in file.attrs or file.attrs.get_id(name).dtype.kind != kind:
        return None
    return file.attrs[name]


class _Datasets:
    """The file's datasets: each may be read once, and all together no more than it can hold."""

    def __init__(self, file: h5py.File, size: int) -> None:
        self._file = file
        self._room = _MOST_PER_BYTE * size
        self._seen: set[int] = set()

    def __contains__(self, name: str) -> bool:
        return name in self._file

    def find(self, name: str) -> h5py.Dataset:
        """A dataset of this very file: a link into another file is not followed, nor a second link
        to the same dataset.
        """
        group: h5py.Group = self._file
        for part in name.split("/"):
            link = group.get(part, getlink=True)
            if not isinstance(link, h5py.HardLink):
                raise KeyError(name)
            group = group[part]
        if not isinstance(group, h5py.Dataset) or group.is_virtual or group.external:
            raise KeyError(name)
        if group.compression not in (None, "lzf") or group.dtype.kind not in "fiu":
            raise ValueError(f"{name} is kept in another way")
        address = h5py.h5o.get_info(group.id).addr
        if address in self._seen:
            raise ValueError(f"{name} is another name of what was read before")
        self._seen.add(address)
        self._room -= group.nbytes
        if self._room < 0 or group.nbytes > _MOST_PER_BYTE * group.id.get_storage_size():
            raise ValueError(f"{name} claims {group.nbytes} bytes")
        return group

    def array(self, name: str, dtype: type, shape: tuple[int, ...]) -> NDArray[Any]:
        """All of it, if it has this shape."""
        dataset = self.find(name)
        if dataset.shape != shape:
            raise ValueError(f"{name} is {dataset.shape}, not {shape}")
        return np.asarray(dataset[()], dtype=dtype)


def _read(file: _Datasets, schema: int) -> Audit:
    text = file.find("audit.json")
    if text.ndim != 1 or text.dtype != np.uint8:
        raise ValueError("its description is no text")
    found = json.loads(text[()].tobytes())
    runs = found.pop("runs") if schema > 1 else []
    audit = _audit(file, "", found)
    return replace(audit, runs=tuple(_run(file, i, row, audit) for i, row in enumerate(runs)))


def _audit(file: _Datasets, at: str, found: dict[str, Any]) -> Audit:
    """An audit without its runs, whose arrays lie under ``at``."""
    given: dict[str, Any] = {"runs": ()}
    head = file.find(f"{at}model/weight")
    if head.ndim != 2 or 0 in head.shape:
        raise ValueError("the head is no matrix")
    classes, dim = head.shape
    given["model"] = build(
        ModelRecord,
        found.pop("model"),
        weight=np.asarray(head[()], dtype=np.float32),
        bias=file.array(f"{at}model/bias", np.float32, (classes,)),
    )
    settings = found.get("settings")
    if isinstance(settings, dict):
        settings.setdefault("weights", None)  # which the first files of schema 2 had not
    given["images"] = images = build(ImagesRecord, found.pop("images"))
    given["verdict"] = verdict = build(Verdict, found.pop("verdict"))
    given["shifts"] = shifts = build(
        Shifts,
        found.pop("shifts"),
        **{
            name: file.array(
                f"{at}shift/{name}", np.float64, (classes, dim) if name == "shift" else (classes,)
            )
            for name in SHIFT_ARRAYS
        },
    )
    about = found.pop("embedding")
    embedding = None
    if about is not None and f"{at}embedding" in file:
        embedding = _embedding(file, at, about, found, images, (classes, dim))
    given["tac"] = tuple(
        build(
            Tac,
            row,
            change=file.array(f"{at}tac/{number}/change", np.float64, (dim,)),
            signed=file.array(f"{at}tac/{number}/signed", np.float64, (dim,)),
            triggered=_triggered(file, f"{at}tac/{number}", embedding),
        )
        for number, row in enumerate(found.pop("tac"))
    )
    audit: Audit = build(Audit, found, **given, embedding=embedding)
    indices = [*verdict.poisoned, *(tac.target for tac in audit.tac)]
    lists = (images.counts, images.class_names, verdict.scores, shifts.status)
    if any(len(one) != classes for one in lists) or not audit.trials:
        _unfit()
    if not all(0 <= index < classes for index in indices):
        _unfit()
    if not (0 < shifts.alpha < math.inf and np.isfinite(shifts.shift).all()):
        _unfit()
    check_rule(verdict.rule, verdict.beta)
    return audit


def _run(file: _Datasets, number: int, row: dict[str, Any], audit: Audit) -> Cleaned:
    """A purification of ``audit``."""
    rescan = row.pop("rescan")
    if rescan.pop("runs"):
        raise ValueError("a purification of a purified model")
    again = _audit(file, f"runs/{number}/rescan/", rescan)
    names = read_as(tuple[str, ...] | None, row.pop("weights"))
    weights = None
    if names is not None and f"runs/{number}/weights" in file:
        weights = {
            name: torch.from_numpy(np.asarray(file.find(f"runs/{number}/weights/{place}")[()]))
            for place, name in enumerate(names)
        }
    ranking = None
    if f"runs/{number}/ranking" in file:
        dim = audit.model.embedding_dim
        ranking = file.array(f"runs/{number}/ranking", np.float32, (dim,))
        if not np.isfinite(ranking).all():
            _unfit()
    run: Purified = build(Purified, row.pop("run"), weights=weights, ranking=ranking)
    cleaned: Cleaned = build(Cleaned, row, run=run, rescan=again)
    sizes = {len(cleaned.before.by_class), len(cleaned.after.by_class), again.model.classes}
    if sizes != {audit.model.classes} or not 0 <= run.target < audit.model.classes:
        _unfit()
    if again.model.embedding_dim != audit.model.embedding_dim:
        _unfit()
    # What would be exported must be what the figures are of, as far as can be told without running.
    for name, array in (("weight", again.model.weight), ("bias", again.model.bias)):
        own = (weights or {}).get(f"{audit.model.head}.{name}")
        if own is not None and not np.array_equal(own.numpy(), array):
            _unfit()
    return cleaned


def _embedding(
    file: _Datasets,
    at: str,
    about: dict[str, Any],
    found: dict[str, Any],
    images: ImagesRecord,
    head: tuple[int, int],
) -> Embedding:
    classes, dim = head
    rows = read_as(tuple[tuple[str, int], ...], about["files"])
    count = len(rows)
    labels = file.array(f"{at}embedding/labels", np.int64, (count,))
    if count == 0 or labels.min() < 0 or labels.max() >= classes:
        _unfit()
    return Embedding(
        phi=file.array(f"{at}embedding/phi", np.float32, (count, dim)),
        logits=file.array(f"{at}embedding/logits", np.float32, (count, classes)),
        labels=labels,
        thumbnails=_thumbnails(file, f"{at}embedding/thumbnails", count),
        files=tuple(ImageFile(*row) for row in rows),
        images_hash=images.sha256,
        skipped=images.skipped,
        precision=read_as(Precision, found["precision"]),
        batch=read_as(int, about["batch"]),
        seconds=read_as(float, found["seconds_embed"]),
    )


def _triggered(file: _Datasets, at: str, clean: Embedding | None) -> Embedding | None:
    """The clean images' embedding with a trigger, if the file has it under ``at``."""
    if clean is None or f"{at}/phi" not in file:
        return None
    return replace(
        clean,
        phi=file.array(f"{at}/phi", np.float32, clean.phi.shape),
        logits=file.array(f"{at}/logits", np.float32, clean.logits.shape),
        thumbnails=_thumbnails(file, f"{at}/thumbnails", len(clean.phi)),
    )


def _thumbnails(file: _Datasets, name: str, count: int) -> NDArray[np.uint8]:
    found = file.find(name)
    side = found.shape[-1] if found.ndim == 4 else 0
    if (
        found.dtype != np.uint8
        or found.shape != (count, 3, side, side)
        or not 1 <= side <= THUMBNAIL
    ):
        _unfit()
    return np.asarray(found[()])


def _unfit() -> NoReturn:
    raise ValueError("its parts do not fit each other")
