"""What detectors say about models with known ground truth: a row for each model and detector."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bdshift.audit import Audit, Material, ScanSettings, reopen, scan_opened
from bdshift.checkpoints.classifier import open_checkpoint
from bdshift.detect.detector import Detector, Evidence
from bdshift.devices import pick_device
from bdshift.errors import InputError
from bdshift.images.collection import open_images
from bdshift.jobs import SILENT, JobContext
from bdshift.lab.row_file import KnownRow, about, read_table, write_table
from bdshift.lab.truths import KnownModel
from bdshift.outputs import Output
from bdshift.recovery.drop import ranks
from bdshift.store.read import load_audit
from bdshift.store.write import save_audit
from bdshift.verdict.counted import natural_of
from bdshift.writing import make_folder


@dataclass(frozen=True)
class DetectionRow(KnownRow):
    """What one detector said about one model. Everything is text, as in the table.

    Attributes:
        accuracy: on the clean images of the audit.
        detector: its text, with all settings.
        error: why there is nothing else; empty if there is.
        score, drop, place: of the target, joined by semicolons if there are several; place 1 is the
            most suspicious.
        top, top_drop: the most suspicious class, and its drop: what an auditor sees.
        pairs: how many of the true pairs of source and target are the most suspicious target of
            their source, such as 9/10; empty if the detector does not distinguish pairs, or the
            attack has no sources of its own.
        scores: of all classes, joined by semicolons.
        seconds, forwards, backwards, seed: as in `Evidence`.
        versions: of what it was made with.
        natural: of a search for changes, for all classes, the share of the class's own images that
            look as if the change had been made to them, joined by semicolons; empty in older
            tables.
    """

    accuracy: str
    detector: str
    seed: str
    error: str = ""
    score: str = ""
    drop: str = ""
    place: str = ""
    top: str = ""
    top_drop: str = ""
    pairs: str = ""
    scores: str = ""
    seconds: str = ""
    forwards: str = ""
    backwards: str = ""
    versions: str = ""
    natural: str = ""

    @property
    def key(self) -> tuple[str, str, str]:
        """What there is one row of."""
        return self.model, self.detector, self.seed


def measure_detectors(
    known: Iterable[KnownModel],
    detectors: Sequence[Detector],
    work: Path,
    done: Iterable[DetectionRow] = (),
    *,
    settings: ScanSettings | None = None,
    job: JobContext = SILENT,
) -> Iterator[DetectionRow]:
    """A row for every model and detector that is not among ``done``. A model is read as any other
    file is, once: its audit is kept in the folder ``work``. A model that is refused, or a detector
    that cannot be run, has a row that says why.
    """
    settings = settings or ScanSettings()
    keys = {row.key for row in done}
    for model in known:
        asked = [d for d in detectors if (model.name, d.spec, str(settings.seed)) not in keys]
        if not asked:
            continue
        job.note(model.name)
        try:
            audit, material = audited(model, work, settings, job)
        except InputError as error:
            for detector in asked:
                yield replace(_blank(model, detector, settings.seed), error=str(error))
            continue
        for detector in asked:
            yield _row(model, detector, audit, material, job)


def audit_file(model: KnownModel, work: Path, settings: ScanSettings) -> Path:
    """Where `audited` keeps the audit of a model."""
    return work / f"{model.name}-{settings.sample}-{settings.seed}.h5"


def audited(
    model: KnownModel, work: Path, settings: ScanSettings, job: JobContext
) -> tuple[Audit, Material]:
    """The audit of a model, from the folder ``work`` if it is there. Raises as `scan_opened`."""
    make_folder(work)
    file = audit_file(model, work, settings)
    if file.exists():
        audit = load_audit(file)
        return audit, reopen(audit, model=model.file, images=model.images, job=job)
    opened = open_checkpoint(model.file, job=job)
    collection = open_images(model.images, job=job)
    chosen = replace(settings, normalize=model.normalization)
    audit, material = scan_opened(opened, collection, chosen, job=job)
    save_audit(audit, Output(file), job=job)
    return audit, material


def _blank(model: KnownModel, detector: Detector, seed: int) -> DetectionRow:
    return DetectionRow(**about(model), accuracy="", detector=detector.spec, seed=str(seed))


def _row(
    model: KnownModel, detector: Detector, audit: Audit, material: Material, job: JobContext
) -> DetectionRow:
    assert audit.embedding is not None
    seed = audit.settings.seed
    where = pick_device(audit.settings.device)
    subject = material.subject(audit.embedding, audit.images.class_names, where, seed)
    row = replace(
        _blank(model, detector, seed),
        network=model.network or audit.model.architecture,
        accuracy=f"{audit.accuracy:.4f}",
        versions=" ".join(f"{name} {number}" for name, number in audit.versions.items()),
    )
    try:
        found = detector.detect(subject, job)
    except InputError as error:
        return replace(row, error=str(error))
    return replace(row, **_said(model, detector, found))


def _said(model: KnownModel, detector: Detector, found: Evidence) -> dict[str, str]:
    dropped = detector.drops(found)
    place = ranks(dropped)
    targets = list(model.targets)
    top = int(np.argmax(np.where(np.isnan(dropped), -np.inf, dropped)))
    return {
        "score": _joined(map(_number, found.scores[targets].tolist())),
        "drop": _joined(map(_number, dropped[targets].tolist())),
        "place": _joined(place[targets].tolist()),
        "top": str(top),
        "top_drop": _number(float(dropped[top])),
        "pairs": _pairs(model, detector, found.pairs),
        "scores": _joined(map(_number, found.scores.tolist())),
        "seconds": f"{found.seconds:.2f}",
        "forwards": str(found.forwards),
        "backwards": str(found.backwards),
        "natural": "" if (natural := natural_of(found)) is None else _joined(map(_number, natural)),
    }


def _pairs(model: KnownModel, detector: Detector, pairs: NDArray[np.float64] | None) -> str:
    """How many true pairs stand out in their row."""
    if pairs is None or not (model.follows or model.source >= 0):
        return ""
    values = pairs.copy() if detector.low_is_suspicious else -pairs
    np.fill_diagonal(values, np.inf)
    best = np.where(np.isnan(values), np.inf, values).argmin(1)
    classes = len(best)
    true = (
        {one: (one + 1) % classes for one in range(classes)}
        if model.follows
        else {model.source: model.targets[0]}
    )
    return f"{sum(best[one] == to for one, to in true.items())}/{len(true)}"


def _joined(values: Iterable[object]) -> str:
    return ";".join(map(str, values))


def _number(value: float) -> str:
    return f"{value:.4g}"


def read_rows(path: Path) -> list[DetectionRow]:
    """The rows of a table; none if there is no table. Raises `InputError` for another file."""
    found = read_table(path, DetectionRow)
    if found is None:
        raise InputError("{path}: holds something else than rows of detectors", path=path)
    return found


def write_rows(path: Path, rows: Iterable[DetectionRow]) -> None:
    """Replace the table."""
    write_table(path, DetectionRow, rows)
