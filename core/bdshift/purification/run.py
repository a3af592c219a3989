"""Runs a method: keeps the best network, survives being stopped or killed, changes no input."""

from __future__ import annotations

import copy
import hashlib
import math
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from bdshift.arrays import array
from bdshift.checkpoints.classifier import Classifier
from bdshift.errors import InputError, UsageError
from bdshift.jobs import SILENT, Canceled, EarlierFigures, Figures, JobContext
from bdshift.purification.clean_data import CleanData
from bdshift.purification.method import METHODS, Method, Step, diverged
from bdshift.purification.workbench import Workbench, copy_network
from bdshift.resume import read_state, write_state
from bdshift.spec import split_spec
from bdshift.words import Sentence

_STATE_FORMAT = 3  # of state files, what methods keep in `Workbench.state` included


@dataclass(frozen=True)
class Watch:
    """``measure`` evaluates a network for a report, on images that no method sees; ``what`` says
    with which trigger and images, so that the figures are not confused with those of another watch.
    """

    what: str
    measure: Callable[[nn.Module], Mapping[str, float]]


@dataclass(frozen=True)
class StepRecord:
    """A step as reported: the method's own figures, and what was watched along with them."""

    step: Step
    watched: dict[str, float]
    seconds: float


@dataclass(frozen=True)
class Purified:
    """The result of a purification.

    Attributes:
        weights: the purified network's state dict, float32, on the CPU; None if the audit file was
            saved without it.
        method: its text.
        target, seed: as given.
        rows: the history, one row per step.
        kept: number of the step whose network was kept.
        complete: False if it was canceled, and the best network so far was kept.
        forwards, backwards: number of images that went through the network in each direction.
        seconds: of work, over all sessions.
        ranking: how suspicious the method found each neuron of the network that it was given,
            float32 (d,), finite; None if it says nothing about neurons.
    """

    weights: dict[str, torch.Tensor] | None
    method: str
    target: int
    seed: int
    rows: tuple[StepRecord, ...]
    kept: int
    complete: bool
    forwards: int
    backwards: int
    seconds: float
    ranking: NDArray[np.float32] | None = array("d", dtype=np.float32, default=None)

    @property
    def name(self) -> str:
        """The method's name, without the settings."""
        return split_spec(self.method)[0]

    @property
    def conclusion(self) -> Sentence | None:
        """What its method says of it (`Method.conclusion`); None if it was stopped before the end,
        or this version does not know the method or a setting of it.
        """
        if not self.complete:
            return None
        steps = [row.step for row in self.rows]
        kept = next((step for step in steps if step.number == self.kept), None)
        with suppress(UsageError):
            return None if kept is None else METHODS.parse(self.method).conclusion(steps, kept)
        return None

    @property
    def why_kept(self) -> Sentence:
        """Which step was kept, and why."""
        number, count = self.kept + 1, len(self.rows)
        if not self.complete:
            if count == 1:
                return Sentence("stopped after its first step, which was kept.")
            return Sentence("stopped after {count} steps; step {number} was kept, the best of them "
                            "on the held-out images; only these decide.",
                            {"number": number, "count": count})  # fmt: skip
        count = max(count, number)
        if count == 1:
            return Sentence("it has one step, which was kept.")
        values = {"number": number, "count": count}
        if any(row.step.final for row in self.rows if row.step.number == self.kept):
            return Sentence("step {number} of {count} was kept, the one that the method ends with.",
                            values)  # fmt: skip
        return Sentence("step {number} of {count} was kept, the best on the held-out images; only "
                        "these decide.", values)  # fmt: skip

    def state(self) -> dict[str, torch.Tensor]:
        """The ``weights``. Raises `UsageError` without them."""
        if self.weights is None:
            raise UsageError("the audit was saved without the weights of its purified models")
        return self.weights

    def applied_to(self, classifier: Classifier) -> Classifier:
        """The purified classifier, made from the one that was purified, which stays unchanged.

        Raises `UsageError` without weights, `InputError` if they belong to another network.
        """
        network = copy.deepcopy(classifier.network)
        try:
            network.load_state_dict(self.state())
        except (RuntimeError, KeyError, TypeError) as error:
            raise InputError("the weights do not belong to the audited network") from error
        return replace(classifier, network=network.eval().requires_grad_(False))


def purify(
    classifier: Classifier,
    clean: CleanData,
    method: Method,
    target: int,
    shift: torch.Tensor,
    *,
    seed: int = 0,
    watch: Watch | None = None,
    resume: Path | None = None,
    device: torch.device | None = None,
    precision: str = "",
    job: JobContext = SILENT,
) -> Purified:
    """Purify a copy of ``classifier``.

    Args:
        classifier: with its preprocessing; stays unchanged.
        clean: everything that the method may see.
        method: with its settings.
        target: index of the poisoned class.
        shift: its embedding shift, (d,).
        seed: of the order of images.
        watch: measured after every step; its results go into the rows and nowhere else.
        resume: a file for the state after each step (`bdshift.resume`). If it exists, the run
            continues from there; it is left in place when the run ends, for the caller to remove.
        device: where to work; the CPU by default.
        precision: as for `Workbench`.
        job: progress. If it is canceled, the run ends with the best network so far.

    Raises `InputError` if ``resume`` holds anything else or cannot be written, `UsageError` if the
    method diverged (the logits are no longer finite) or ``seed`` is negative, `Canceled` if it was
    canceled before there was anything to keep.
    """
    if seed < 0:
        raise UsageError("the seed must not be negative, but is {seed}", seed=seed)
    where = device or torch.device("cpu")
    data = (clean if method.sees_trigger else replace(clean, triggered=None)).to(where)
    bench = Workbench(
        copy_network(classifier, where), classifier.head_name, data, target,
        shift.detach().float().to(where), seed, job, precision=precision,
    )  # fmt: skip
    identity = {
        "format": _STATE_FORMAT, "model": classifier.sha256, "method": method.spec,
        "target": target, "seed": seed, "data": _digest(data, shift),
    }  # fmt: skip
    rows: list[StepRecord] = []
    best, kept = copy.deepcopy(bench.network.state_dict()), -1
    if resume is not None and os.path.lexists(resume):
        rows, best, kept = _load(resume, identity, bench, watch, job)
        earlier = [Figures(row.step.number, method.total, _shown(row)) for row in rows]
        job.report(EarlierFigures(tuple(earlier)))
    complete = True
    began = time.perf_counter()
    try:
        for step in _drawn_apart(method.steps(bench), where):
            now = time.perf_counter()
            if _is_better(step, None if kept < 0 else _row(rows, kept).step):
                best, kept = copy.deepcopy(bench.network.state_dict()), step.number
            bench.network.eval()
            watched = dict(watch.measure(bench.network)) if watch is not None else {}
            rows.append(StepRecord(step, watched, now - began))
            job.figures(step.number, method.total, _shown(rows[-1]))
            if resume is not None:
                _save(resume, identity, bench, watch, rows, best, kept)
            began = time.perf_counter()
    except Canceled:
        if kept < 0:
            raise
        complete = False
    if _row(rows, kept).step.score == -math.inf:
        raise diverged(method)
    bench.network.load_state_dict(best)
    ranking = bench.state.get("ranking")
    if ranking is not None and not ranking.isfinite().all():
        ranking = None  # from a norm without variance, for example
    return Purified(
        bench.network.cpu().state_dict(), method.spec, target, seed, tuple(rows), kept,
        complete, bench.forwards, bench.backwards, sum(row.seconds for row in rows),
        None if ranking is None else ranking.float().cpu().numpy(),
    )  # fmt: skip


def _drawn_apart(steps: Iterator[Step], device: torch.device) -> Iterator[Step]:
    """The steps; what the network draws for them, as for dropout, leaves no trace in torch's own
    generators.
    """
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        yield from steps


def _is_better(step: Step, kept: Step | None) -> bool:
    if step.final or step.score is None:
        return step.final
    return kept is None or kept.score is None or step.score > kept.score


def _shown(row: StepRecord) -> dict[str, float]:
    return {**row.step.figures, **row.watched}


def _row(rows: list[StepRecord], number: int) -> StepRecord:
    return next(row for row in rows if row.step.number == number)


def _save(
    path: Path,
    identity: dict[str, Any],
    bench: Workbench,
    watch: Watch | None,
    rows: list[StepRecord],
    best: dict[str, Any],
    kept: int,
) -> None:
    history = [
        {"number": row.step.number, "score": row.step.score, "figures": row.step.figures,
         "final": row.step.final, "watched": row.watched, "seconds": row.seconds}
        for row in rows
    ]  # fmt: skip
    state = {
        "identity": identity, "network": bench.network.state_dict(), "best": best, "kept": kept,
        "state": bench.state, "rows": history, "watched": watch and watch.what,
        "passes": [bench.forwards, bench.backwards],
    }  # fmt: skip
    write_state(path, state)


def _digest(data: CleanData, shift: torch.Tensor) -> str:
    """A hash of everything that a method sees."""
    digest = hashlib.sha256()
    parts = [data.tune, data.held]
    if data.triggered is not None:
        parts += [data.triggered.tune, data.triggered.held]
    values = [value for part in parts for value in (part.pixels, part.labels)]
    for value in (*values, shift.detach()):
        digest.update(np.ascontiguousarray(value.cpu().numpy()).tobytes())
    return digest.hexdigest()


def _load(
    path: Path, identity: dict[str, Any], bench: Workbench, watch: Watch | None, job: JobContext
) -> tuple[list[StepRecord], dict[str, Any], int]:
    found = read_state(path, bench.device, job)
    try:
        if found["identity"] != identity:
            raise InputError(
                "{path}: holds the state of another run; remove it or choose another file",
                path=path,
            )
        bench.network.load_state_dict(found["network"])
        bench.state = found["state"]
        same_watch = found["watched"] == (watch and watch.what)
        bench.forwards, bench.backwards = found["passes"]
        rows = [
            StepRecord(
                Step(row["number"], row["score"], row["figures"], row["final"]),
                row["watched"] if same_watch else {}, row["seconds"],
            )
            for row in found["rows"]
        ]  # fmt: skip
        best, kept = found["best"], found["kept"]
    except (LookupError, TypeError, ValueError, RuntimeError) as error:  # of something else
        raise InputError("{path}: holds no state of a purification", path=path) from error
    job.note("Resuming after step {number}", number=len(rows))
    return rows, best, kept
