"""One audit of a fleet: from a task to its result."""

from __future__ import annotations

import math
import time
from dataclasses import replace
from pathlib import Path

from bdshift.audit import Audit, Material, scan_opened
from bdshift.audit.deciding import deciding_p
from bdshift.checkpoints.classifier import open_checkpoint
from bdshift.devices import GIB, is_out_of_memory
from bdshift.errors import InputError, NoRoom, UsageError
from bdshift.fleet.addresses import fetched, is_address
from bdshift.fleet.kin import sketch
from bdshift.fleet.task import Result, Spoken, Task
from bdshift.images.collection import ImageCollection
from bdshift.jobs import JobContext
from bdshift.outputs import Output
from bdshift.store import save_audit
from bdshift.words import Sentence, words

_MAX_NORMS = 1000  # classes whose norms are in a result
_MAX_TEXT = 300  # characters of an internal error

_OUT_OF_MEMORY = words("It needs more memory than {limit:.3g} GiB",
                       ja="{limit:.3g} GiB を超えるメモリが必要です")  # fmt: skip
_CRASHED = words("Internal error: {kind}: {text}", ja="内部エラー：{kind}：{text}")


def _out_of_memory(task: Task) -> Result:
    """The result of a task that needs more memory than it may have."""
    limit = task.limits.memory / GIB
    return Result("out-of-memory", Spoken.of(Sentence(_OUT_OF_MEMORY, {"limit": limit})))


def audit_one(task: Task, images: ImageCollection, job: JobContext) -> Result:
    """Audit the task's model with ``images``, and write its audit file if it is to have one. What
    goes wrong is a result, too.
    """
    began = time.perf_counter()
    try:
        found = _audited(task, images, job)
    except Exception as error:
        found = _failed(task, error)
    return replace(found, seconds=time.perf_counter() - began)


def _failed(task: Task, error: Exception) -> Result:
    cause: BaseException | None = error
    while cause is not None:  # it may be what made a file unreadable
        if is_out_of_memory(cause) or isinstance(cause, NoRoom):
            return _out_of_memory(task)
        cause = cause.__cause__
    if isinstance(error, InputError | UsageError):
        return Result("refused", Spoken.of(error.sentence))
    values = {"kind": type(error).__name__, "text": str(error)[:_MAX_TEXT]}
    return Result("crashed", Spoken.of(Sentence(_CRASHED, values)))


def _audited(task: Task, images: ImageCollection, job: JobContext) -> Result:
    model = task.model
    with fetched(model.path) as path:
        opened = open_checkpoint(path, arch=model.arch, weights=model.asked.weights, job=job)
        audit, material = scan_opened(opened, images, model.asked.settings(model.arch), job=job)
    if is_address(model.path):
        audit = replace(audit, model=replace(audit.model, path=model.path))
    if task.audit:
        output = Output(Path(task.audit), overwrite=True)
        save_audit(audit, output, embeddings=task.embeddings, job=job)
    return result_of(audit, material)


def result_of(audit: Audit, material: Material) -> Result:
    """What an audit says, in a row."""
    finding, verdict, target = audit.finding, audit.verdict, audit.most_suspicious
    known = audit.shifts.l2
    classifier = material.classifier
    return Result(
        status="done",
        reason=Spoken.of(finding.statement),
        level=finding.level,
        target=target,
        target_name=audit.images.class_names[target],
        p=deciding_p(audit),
        beside=verdict is not None,
        strength=math.nan if verdict is None else float(verdict.kinds[0].strengths.max()),
        architecture=audit.model.architecture,
        classes=audit.model.classes,
        accuracy=audit.accuracy,
        norms=tuple(known.tolist()) if len(known) <= _MAX_NORMS else (),
        sketch=tuple(sketch(classifier.network, classifier.head).tolist()),
        sha256=audit.model.sha256,
    )
