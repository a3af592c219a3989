"""Writes an audit file, and adds to one; if that fails, the old file is intact."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from io import BytesIO
from operator import is_
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from bdshift.arrays import array_fields
from bdshift.audit import Audit, Purification
from bdshift.audit.cover import Cover
from bdshift.audit.reference import with_reference
from bdshift.errors import InputError
from bdshift.jobs import SILENT, JobContext
from bdshift.locks import locked
from bdshift.neurons.tac import Tac
from bdshift.outputs import Output
from bdshift.shift.embed import Embedding
from bdshift.store.evidence import describe_evidence, write_arrays, write_evidence
from bdshift.store.read import load_audit
from bdshift.store.recoveries import describe_recovery, write_params
from bdshift.store.schema import FORMAT, SCHEMA, TEXT, TRIGGERED_ARRAYS
from bdshift.store.typed import plain, unescaped

_OWN_PLACES = (
    "embedding", "evidence", "tac", "recoveries", "purifications", "reference", "readings",
    "unknown",
    "left_out",
)  # fmt: skip


def save_audit(
    audit: Audit,
    path: str | Path | Output,
    *,
    embeddings: bool = True,
    job: JobContext = SILENT,
) -> None:
    """Write ``audit``, atomically. A file at ``path`` is replaced, unless an `Output` says
    otherwise.

    Without ``embeddings`` the file is small: it has no images and no weights of purified models,
    and what-if cuts need the model and images again. Waits while another program adds to the file;
    ``job`` says so and can stop that.

    Raises as `Output.written` does.
    """
    output = path if isinstance(path, Output) else Output(Path(path), overwrite=True)
    output.check()
    with locked(output.path, job):
        _save(audit, output, embeddings)


def change_audit(
    path: str | Path, change: Callable[[Audit], Audit], *, job: JobContext = SILENT
) -> Audit:
    """Add to an audit file: load it, apply ``change`` and save it, with its embeddings if it has
    them. No one else changes it meanwhile: others who want to wait, and ``job`` says so.

    Returns what was saved. Raises as `load_audit` and `save_audit` do, and what ``change`` does.
    """
    path = Path(path).resolve()  # what a link leads to is read, and is what is replaced
    with locked(path, job):
        changed = change(load_audit(path))
        _save(changed, Output(path, overwrite=True), changed.embedding is not None)
    return changed


def save_merged(
    audit: Audit,
    output: Output,
    *,
    before: Audit | None = None,
    only_into_its_own: bool = False,
    job: JobContext = SILENT,
) -> Audit:
    """Write ``audit``, and keep what another program has added to the file since it was read: if it
    is of the same model and images, the purifications, TAC, recovered triggers, planes and the
    reference in it that ``audit`` lacks, and a cover that only the other program has changed.

    ``before`` is what was read from it, if it is of the same: what that has, and ``audit`` has not,
    was removed since.

    Returns what was saved: ``audit`` itself if nothing was added. Raises as `save_audit` does, and
    with ``only_into_its_own`` `InputError` if the file is there and is no audit of the same model
    and images.
    """
    output.check()
    with locked(output.path, job):
        merged = _merged(audit, output.path, before, only_into_its_own=only_into_its_own)
        _save(merged, output, True)
    return merged


def same_run(one: Purification, other: Purification) -> bool:
    """Whether two purifications are the same run."""
    return bool(_run_of(one) == _run_of(other))


def has_purification(audit: Audit, made: Purification) -> bool:
    """Whether it is the same run as one of the audit's."""
    return any(same_run(one, made) for one in audit.purifications)


def _run_of(made: Purification) -> Any:
    """Its settings and its steps, with the time that each took, as they are kept in a file."""
    result = made.result
    return result.method, result.target, result.seed, plain(result.rows)


def _merged(audit: Audit, path: Path, before: Audit | None, *, only_into_its_own: bool) -> Audit:
    found = None
    with suppress(InputError):
        found = load_audit(path)
    if found is None or not found.fits(audit):
        if only_into_its_own and path.exists():
            raise InputError("{path}: holds another audit now; save under another name", path=path)
        return audit
    ours = (audit, before) if before is not None and before.fits(audit) else (audit,)
    own = [_with_plane_of(found, one) for one in audit.purifications]
    more = [one for one in found.purifications if not has_purification(audit, one)]
    made = (*own, *more)
    same = len(made) == len(audit.purifications) and all(map(is_, made, audit.purifications))
    known = {(one.trigger, one.target) for known in ours for one in known.tac}
    tac = [one for one in found.tac if (one.trigger, one.target) not in known]
    had = {one.of for known in ours for one in known.recoveries}
    recoveries = [one for one in found.recoveries if one.of not in had]
    reference = found.reference if audit.reference is None else audit.reference
    was = Cover() if before is None else before.cover
    cover = Cover(
        found.cover.author if audit.cover.author == was.author else audit.cover.author,
        found.cover.notes if audit.cover.notes == was.notes else audit.cover.notes,
    )
    if same and not (tac or recoveries) and reference is audit.reference and cover == audit.cover:
        return audit
    merged = replace(
        audit,
        cover=cover,
        purifications=made,
        tac=(*audit.tac, *tac),
        recoveries=(*audit.recoveries, *recoveries),
    )
    return with_reference(merged, reference)


def _with_plane_of(found: Audit, made: Purification) -> Purification:
    """The purification, with the plane that another program has measured of it meanwhile."""
    for one in found.purifications:
        if one.plane is not None and same_run(one, made):
            plane = one.plane if made.plane is None else made.plane.richer(one.plane)
            return made if plane is made.plane else replace(made, plane=plane)
    return made


def _save(audit: Audit, output: Output, embeddings: bool) -> None:
    buffer = BytesIO()  # HDF5 crashes where a disk is full
    with h5py.File(buffer, "w") as file:
        _write(file, audit, embeddings)
    output.write(buffer.getbuffer())


def _write(file: h5py.File, audit: Audit, embeddings: bool) -> None:
    file.attrs["format"], file.attrs["schema"] = np.bytes_(FORMAT), SCHEMA
    described = _described(audit)
    for number, one in enumerate(audit.readings):
        _write_audit(file.create_group(f"readings/{number}"), one, embeddings=False)
    if audit.reference is not None:
        _write_audit(file.create_group("reference"), audit.reference, embeddings=False)
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
    write_arrays(group, "model", audit.model)
    for one in audit.evidence:
        write_evidence(group, f"evidence/{one.name}", one)
    for number, other in enumerate(audit.alternatives):
        write_arrays(group, f"alternatives/{number}", other)
    for number, tac in enumerate(audit.tac):
        _write_tac(group, f"tac/{number}", tac, embeddings)
    for number, recovery in enumerate(audit.recoveries):
        write_params(group, f"recoveries/{number}", recovery)
        _write_tac(group, f"recoveries/{number}/tac", recovery.tac, embeddings)
    if embeddings and audit.embedding is not None:
        for name in array_fields(Embedding):
            _write_rows(group, f"embedding/{name}", getattr(audit.embedding, name))
    for number, made in enumerate(audit.purifications):
        _write_purification(group, f"purifications/{number}", made, embeddings)


def _write_tac(group: h5py.Group, at: str, tac: Tac, embeddings: bool) -> None:
    write_arrays(group, at, tac)
    if embeddings and tac.triggered is not None:
        for name in TRIGGERED_ARRAYS:
            _write_rows(group, f"{at}/triggered/{name}", getattr(tac.triggered, name))


def _write_purification(group: h5py.Group, at: str, made: Purification, embeddings: bool) -> None:
    write_arrays(group, f"{at}/result", made.result)
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
        "evidence": {one.name: describe_evidence(one) for one in audit.evidence},
        "tac": [plain(tac, without=("triggered",)) for tac in audit.tac],
        "recoveries": [describe_recovery(one) for one in audit.recoveries],
        "readings": [_described(replace(one, reference=None)) for one in audit.readings],
        "reference": None if audit.reference is None else _described(audit.reference),
        "purifications": [
            {
                **plain(made, without=("result", "rescan")),
                "result": {
                    **plain(made.result, without=("weights",)),
                    "weights": None if made.result.weights is None else list(made.result.weights),
                },
                "rescan": _described(replace(made.rescan, reference=None)),  # the audit has it
            }
            for made in audit.purifications
        ],
    }
