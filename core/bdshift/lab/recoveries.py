"""How well a recovered trigger agrees with the true one, for models with known ground truth."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from bdshift.audit import Audit, Material, ScanSettings, add_tac, reopen
from bdshift.errors import InputError
from bdshift.images.collection import sample_files
from bdshift.images.loader import decode_all
from bdshift.jobs import SILENT, JobContext
from bdshift.lab.detection import audit_file
from bdshift.lab.row_file import read_table, write_table
from bdshift.lab.truths import KnownModel
from bdshift.neurons.rankings import cosine, data_free_direction
from bdshift.recovery.recovery import Recovery
from bdshift.store.read import load_audit
from bdshift.triggers import Trigger, parse_trigger

_PICTURES = 64  # images that two triggers are compared on


@dataclass(frozen=True)
class RecoveryRow:
    """One recovery. Everything is text, as in the table; empty where it cannot be said.

    Attributes:
        model, group, network, kind, took: as in `KnownModel`.
        target, source: the classes that the trigger is for.
        change: the kind of change that won.
        seed: of everything random.
        size, control, drop: at 80%, of the target and the median control, and how far apart.
        asr, transfer: on images that the search did not use, and on other classes' images.
        true_asr: of the true trigger on the audit's images.
        cosine: of the recovery's TAC with that of the true trigger; shift_cosine and free_cosine
            are those of |s| and of what the head alone says, which it has to beat.
        picture, place: cosine of the mean change of a pixel with the true trigger's, as it is and
            without its sign, summed over the channels: the same colors, and the same place.
        seconds: of the whole recovery.
    """

    model: str
    group: str
    network: str
    kind: str
    took: str
    target: str
    source: str
    change: str
    seed: str
    size: str = ""
    control: str = ""
    drop: str = ""
    asr: str = ""
    transfer: str = ""
    true_asr: str = ""
    cosine: str = ""
    shift_cosine: str = ""
    free_cosine: str = ""
    picture: str = ""
    place: str = ""
    seconds: str = ""

    @property
    def key(self) -> tuple[str, ...]:
        """What there is one row of."""
        return self.model, self.target, self.source, self.change, self.seed


def _blank(model: KnownModel, found: Recovery) -> RecoveryRow:
    return RecoveryRow(
        model.name, model.group, model.network, model.kind, str(model.took), str(found.target),
        "" if found.source < 0 else str(found.source), found.kind, str(found.seed),
    )  # fmt: skip


def judge_recoveries(
    known: Iterable[KnownModel],
    work: Path,
    done: Iterable[RecoveryRow] = (),
    *,
    settings: ScanSettings | None = None,
    job: JobContext = SILENT,
) -> Iterator[RecoveryRow]:
    """A row for every recovery in the models' audits in the folder ``work`` (`audited`) that is not
    among ``done``. Models without an audit there are left out. Raises as `recovery_row`.
    """
    keys = {row.key for row in done}
    for model in known:
        file = audit_file(model, work, settings or ScanSettings())
        if not file.exists():
            continue
        audit = load_audit(file)
        asked = [one for one in audit.recoveries if _blank(model, one).key not in keys]
        if asked:
            job.note(model.name)
            material = reopen(audit, model=model.file, images=model.images, job=job)
            yield from (recovery_row(model, audit, material, one, job) for one in asked)


def recovery_row(
    model: KnownModel, audit: Audit, material: Material, found: Recovery, job: JobContext = SILENT
) -> RecoveryRow:
    """Judge a recovery by the true trigger of its class, if there is one. Raises as `add_tac` and
    `parse_trigger` do.
    """
    attempt = found.attempt
    told = {
        "size": _number(attempt.target.size),
        "control": _number(attempt.control_size(0.8)),
        "drop": _number(found.drop),
        "asr": _number(found.asr),
        "transfer": _number(found.transfer),
        "seconds": f"{found.seconds:.1f}",
    }
    trigger = true_trigger(model, found.target)
    if trigger is not None:
        truth = add_tac(audit, material, trigger, found.target, job=job).tac[-1]
        shift = np.abs(audit.shifts.shift[found.target].astype(np.float64))
        free = np.abs(data_free_direction(audit.model.weight, found.target))
        true, own = (_mean_change(one, material, job) for one in (trigger, found_trigger(found)))
        told |= {
            "true_asr": _number(truth.asr),
            "cosine": _number(cosine(found.tac.change, truth.change)),
            "shift_cosine": _number(cosine(shift, truth.change)),
            "free_cosine": _number(cosine(free, truth.change)),
            "picture": _number(cosine(true.ravel(), own.ravel())),
            "place": _number(cosine(*(np.abs(one).sum(0).ravel() for one in (true, own)))),
        }
    return replace(_blank(model, found), **told)


def true_trigger(model: KnownModel, target: int) -> Trigger | None:
    """The one that sends images to a class; None if there is none, or it is not known."""
    if target not in model.targets or not model.triggers:
        return None
    return parse_trigger(model.triggers[model.targets.index(target)])


def found_trigger(found: Recovery) -> Callable[[torch.Tensor], torch.Tensor]:
    """The recovered change as a function of pixels, float32 (n, 3, side, side) in 0…255."""

    def apply(pixels: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            return found.change.changed(found.batched, pixels / 255)[0] * 255

    return apply


def _mean_change(
    trigger: Callable[[torch.Tensor], torch.Tensor], material: Material, job: JobContext
) -> NDArray[np.float64]:
    """How it changes each pixel, on average over some clean images: float64 (3, side, side)."""
    plain = material.classifier.preprocessing
    files = sample_files(material.clean.files, _PICTURES)
    found = decode_all(material.clean.collection, files, plain.size, framing=plain.framing, job=job)
    pixels = torch.from_numpy(found.pixels).float()
    changed: NDArray[np.float64] = (trigger(pixels) - pixels).mean(0).double().numpy()
    return changed


def _number(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.4g}"


def read_recoveries(path: Path) -> list[RecoveryRow]:
    """The rows of a table; none if there is no table. Raises `InputError` for another file."""
    found = read_table(path, RecoveryRow, older=False)
    if found is None:
        raise InputError("{path}: holds something else than rows of recoveries", path=path)
    return found


def write_recoveries(path: Path, rows: Iterable[RecoveryRow]) -> None:
    """Replace the table."""
    write_table(path, RecoveryRow, rows)
