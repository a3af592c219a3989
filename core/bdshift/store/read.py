"""Reads an audit file. It may come from anyone: what does not fit is refused."""

from __future__ import annotations

import errno
import math
import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

import h5py
import numpy as np
import torch

from bdshift.arrays import array_fields
from bdshift.audit import Audit, ImagesRecord, ModelRecord, Purification, ScanSettings
from bdshift.audit.made import check_date
from bdshift.audit.reference import check_reference, with_reference
from bdshift.checkpoints.users_own import OwnNetwork
from bdshift.detect.detector import DETECTORS, Evidence
from bdshift.detect.detectors.embedding_shift import EmbeddingShift
from bdshift.detect.rule import RULES, Rule
from bdshift.errors import InputError, UsageError
from bdshift.hdf5_data import attribute
from bdshift.images.collection import ImageFile
from bdshift.json_data import parse_json
from bdshift.neurons.tac import Tac
from bdshift.purification import Purified
from bdshift.shift.embed import Embedding, Precision
from bdshift.shift.result import Shifts
from bdshift.shift.thumbnails import THUMBNAIL
from bdshift.spec import split_spec
from bdshift.store.datasets import Datasets
from bdshift.store.evidence import read_evidence
from bdshift.store.migrations import migrate, place_in
from bdshift.store.recoveries import fits, read_recovery
from bdshift.store.schema import FORMAT, SCHEMA, TEXT, TRIGGERED_ARRAYS
from bdshift.store.typed import Reader, escaped

_DAMAGE = (
    LookupError, TypeError, ValueError, AttributeError, OverflowError, RuntimeError, MemoryError,
)  # fmt: skip
_MAX_READINGS = 100  # of a model under other preprocessings
_MAX_STEPS = 10**6  # of a purification
_MAX_VALUES = 10_000_000  # of the description: two million images take six


def load_audit(path: str | Path) -> Audit:
    """Read an audit file, of this schema or an older one.

    Raises `InputError` if it is missing, not an audit file, of a newer schema, or damaged.
    """
    path = Path(path)
    if not os.path.isfile(path):  # `Path.is_file` raises for names that are too long
        if os.path.isdir(path):
            raise InputError("{path}: is a folder, not an audit file", path=path)
        raise InputError("{path}: no such file", path=path)
    try:
        with h5py.File(path, "r") as file:
            if attribute(file, "format", "S") != FORMAT.encode():
                raise InputError(
                    "{path}: is an HDF5 file, but not an audit file of bdshift", path=path
                )
            schema = int(attribute(file, "schema", "i") or 0)
            if schema > SCHEMA:
                raise InputError(
                    "{path}: was written by a newer bdshift (schema {schema}, this one reads "
                    "{own})",
                    path=path, schema=schema, own=SCHEMA,
                )  # fmt: skip
            datasets = Datasets(file, path.stat().st_size, place_in(schema))
            return _Audits(datasets).read(schema)
    except InputError as error:
        if "path" in error.sentence.values:
            raise
        raise error.at(path) from error
    except OSError as error:
        if error.errno in (errno.EACCES, errno.EPERM, errno.EIO):
            raise InputError(
                "{path}: cannot be read ({reason})", path=path, reason=os.strerror(error.errno)
            ) from error
        raise InputError(  # HDF5's own message is for developers, and is kept as the cause
            "{path}: is not an audit file, or is cut short; a checkpoint is read by bdshift scan",
            path=path,
        ) from error
    except UsageError as error:  # a setting that this version does not have, or out of its range
        raise InputError("{path}: {reason}", path=path, reason=error.sentence) from error
    except _DAMAGE as error:
        raise InputError(
            "{path}: is damaged ({kind}: {reason})",
            path=path, kind=type(error).__name__, reason=str(error),
        ) from error  # fmt: skip


class _Audits:
    """Reads the audit of a file, and those of its purified models."""

    def __init__(self, datasets: Datasets) -> None:
        self._datasets = datasets
        parsers: dict[type, Callable[[str], Any]] = {
            Rule: partial(RULES.parse, strict=False),
            OwnNetwork: _never,
        }
        self._reader = Reader(datasets, parsers)

    def read(self, schema: int) -> Audit:
        text = self._datasets.find(TEXT)
        if text.ndim != 1 or text.dtype != np.uint8 or text.chunks:
            raise ValueError("its description is not text, or compressed")
        found = migrate(parse_json(text[()].tobytes(), _MAX_VALUES), schema)
        made, beside = found.pop("purifications", []), found.pop("reference", None)
        others = found.pop("readings", [])
        audit = self._audit("", found)
        if len(others) > _MAX_READINGS:
            _unfit()
        readings = tuple(self._reading(i, row, audit) for i, row in enumerate(others))
        audit = replace(audit, readings=readings)
        if beside is not None:
            audit = with_reference(audit, self._reference(beside, audit))
        purifications = tuple(self._purification(i, row, audit) for i, row in enumerate(made))
        kept, left = self._datasets.unread()
        unknown = {**self._reader.unknown, **kept}
        return replace(audit, purifications=purifications, unknown=unknown, left_out=left)

    def _reading(self, number: int, row: dict[str, Any], audit: Audit) -> Audit:
        """The same model and images under another preprocessing."""
        found = self._audit(f"readings/{number}/", row)
        pairs = [(one.model.sha256, one.model.classes, one.images.sha256) for one in (found, audit)]
        if pairs[0] != pairs[1]:
            _unfit()
        return found

    def _reference(self, row: dict[str, Any], audit: Audit) -> Audit:
        """The reference of ``audit``. Raises `InputError` if it is none for it."""
        reference = self._audit("reference/", row)
        check_reference(audit, reference)
        return reference

    def _audit(self, at: str, found: dict[str, Any]) -> Audit:
        """An audit without its purifications, whose arrays are under ``at``."""
        reader = self._reader
        reader.sizes = {}
        model = reader.build(ModelRecord, found["model"], f"{at}model/")
        classes = reader.sizes["C"]
        if not (classes and reader.sizes["d"]):
            raise ValueError("the head is not a matrix")
        if model.prompts is not None and not model.prompts.is_sound(classes):
            _unfit()
        images: ImagesRecord = reader.build(ImagesRecord, found["images"], f"{at}images/")
        evidence = tuple(
            self._evidence(f"{at}evidence/{name}/", row) for name, row in found["evidence"].items()
        )
        embedding = self._embedding(at, found, images)
        tac = tuple(
            self._tac(f"{at}tac/{i}/", row, embedding) for i, row in enumerate(found.get("tac", []))
        )
        recoveries = tuple(
            read_recovery(reader, f"{at}recoveries/{i}/", row, partial(self._tac, clean=embedding))
            for i, row in enumerate(found.get("recoveries", []))
        )
        audit: Audit = reader.build(
            Audit, found, at, model=model, images=images,
            settings=self._settings(f"{at}settings/", found["settings"]), embedding=embedding,
            evidence=evidence, tac=tac, recoveries=recoveries, purifications=(), reference=None,
            readings=(), unknown={}, left_out=(),
        )  # fmt: skip
        check_date(audit.date)
        if any(len(one) != classes for one in (images.counts, images.class_names)):
            _unfit()
        if not audit.trials or not evidence or not isinstance(evidence[0].record, Shifts):
            _unfit()
        if not all(0 <= one.target < classes for one in tac):
            _unfit()
        if not all(fits(one, audit) for one in recoveries):
            _unfit()
        shifts, asked = audit.shifts, audit.settings.detectors[0]
        if len(shifts.status) != classes or not 0 < shifts.alpha < math.inf:
            _unfit()
        solved = EmbeddingShift(alpha=shifts.alpha, solver=shifts.solver)
        if not DETECTORS.parse(evidence[0].detector, strict=False) == solved == asked:
            _unfit()
        accuracies = [audit.accuracy, *(one.accuracy for one in audit.alternatives)]
        if not all(0 <= one <= 1 if images.labeled else math.isnan(one) for one in accuracies):
            _unfit()
        if not np.isfinite(shifts.shift).all() or not np.array_equal(
            shifts.l2, evidence[0].scores, equal_nan=True
        ):
            _unfit()
        return audit

    def _settings(self, at: str, value: dict[str, Any]) -> ScanSettings:
        """Detectors that this version does not know are kept as text."""
        if "detectors" not in value:
            plain: ScanSettings = self._reader.build(ScanSettings, value, at)
            return plain
        listed = [*value["detectors"], *value.get("unknown_detectors", [])]
        texts = self._reader.read_as(tuple[str, ...], listed)
        known = [text for text in texts if split_spec(text)[0] in DETECTORS]
        settings: ScanSettings = self._reader.build(
            ScanSettings, value, at,
            detectors=tuple(DETECTORS.parse(text, strict=False) for text in known),
            unknown_detectors=tuple(text for text in texts if text not in known),
        )  # fmt: skip
        return settings

    def _evidence(self, at: str, row: dict[str, Any]) -> Evidence:
        found = read_evidence(self._reader, at, row)
        if at.split("/")[-2] != found.name:
            _unfit()
        return found

    def _embedding(
        self, at: str, found: Mapping[str, Any], images: ImagesRecord
    ) -> Embedding | None:
        about = found.get("embedding")
        if about is None or f"{at}embedding/phi" not in self._datasets:
            return None
        reader = self._reader
        rows = reader.read_as(tuple[tuple[str, int], ...], about["files"])
        for name in about.keys() - {"files", "batch"}:
            reader.unknown[f"{at}embedding/{escaped(name)}"] = about[name]
        reader.sizes["N"] = len(rows)
        reader.sizes.pop("t", None)
        arrays = {
            name: self._datasets.array(f"{at}embedding/{name}", shape, reader.sizes)
            for name, shape in array_fields(Embedding).items()
        }
        labels = arrays["labels"]
        if not rows or labels.min() < 0 or labels.max() >= reader.sizes["C"]:
            _unfit()
        if not 1 <= reader.sizes["t"] <= THUMBNAIL:
            _unfit()
        return Embedding(
            **arrays,
            files=tuple(ImageFile(name, label, images.labeled) for name, label in rows),
            images_hash=images.sha256,
            skipped=images.skipped,
            precision=reader.read_as(Precision, found["precision"]),
            batch=reader.read_as(int, about["batch"]),
            seconds=reader.read_as(float, found["seconds_embed"]),
        )

    def _tac(self, at: str, row: dict[str, Any], clean: Embedding | None) -> Tac:
        triggered = None
        if clean is not None and f"{at}triggered/phi" in self._datasets:
            shapes = array_fields(Embedding)
            arrays = {
                name: self._datasets.array(
                    f"{at}triggered/{name}", shapes[name], self._reader.sizes
                )
                for name in TRIGGERED_ARRAYS
            }
            about: dict[str, Any] = dict(arrays)
            triggered = replace(clean, **about)
        tac: Tac = self._reader.build(Tac, row, at, triggered=triggered)
        return tac

    def _purification(self, number: int, row: dict[str, Any], audit: Audit) -> Purification:
        """A purified model of ``audit``."""
        at, rescan = f"purifications/{number}/", row.pop("rescan")
        if rescan.pop("purifications", []):
            raise ValueError("a purification of a purified model")
        again = replace(self._audit(f"{at}rescan/", rescan), reference=audit.reference)
        told = row.pop("result")
        weights = self._weights(f"{at}result/weights/", told.pop("weights", None))
        result: Purified = self._reader.build(Purified, told, f"{at}result/", weights=weights)
        made: Purification = self._reader.build(Purification, row, at, result=result, rescan=again)
        classes = audit.model.classes
        sizes = {len(made.before.by_class), len(made.after.by_class), again.model.classes}
        if sizes != {classes} or not 0 <= result.target < classes:
            _unfit()
        numbers = [one.step.number for one in result.rows]
        if not all(0 <= one < _MAX_STEPS for one in numbers) or numbers != sorted({*numbers}):
            _unfit()  # curves are drawn at these
        if result.kept not in numbers:
            _unfit()
        if made.plane is not None and not made.plane.is_sound:
            _unfit()
        if again.model.embedding_dim != audit.model.embedding_dim:
            _unfit()
        if result.ranking is not None and not np.isfinite(result.ranking).all():
            _unfit()
        # What would be exported must be what was measured, as far as can be told without running
        # it.
        for name, array in (("weight", again.model.weight), ("bias", again.model.bias)):
            own = (weights or {}).get(f"{audit.model.head}.{name}")
            if own is not None and not np.array_equal(own.numpy(), array):
                _unfit()
        return made

    def _weights(self, at: str, names: Any) -> dict[str, torch.Tensor] | None:
        listed = self._reader.read_as(tuple[str, ...] | None, names)
        if listed is None or f"{at}0" not in self._datasets:
            return None
        return {
            name: torch.from_numpy(np.asarray(self._datasets.find(f"{at}{number}")[()]))
            for number, name in enumerate(listed)
        }


def _never(text: str) -> NoReturn:
    raise TypeError(f"{text[:40]!r} would be code, which no file can name")


def _unfit() -> NoReturn:
    raise ValueError("its parts do not fit each other")
