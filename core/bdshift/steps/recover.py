"""From an audit to a recovered trigger."""

from __future__ import annotations

from pathlib import Path

from bdshift.audit import Audit, Material, reopen, with_recovery
from bdshift.audit.opening import Images, Model
from bdshift.audit.recovering import recover_trigger
from bdshift.audit.recovery_ground import EVERY_OTHER
from bdshift.budgets import RECOVERY_SECONDS
from bdshift.changes import CHANGES, ChangeKind
from bdshift.checkpoints.users_own import Architecture
from bdshift.jobs import SILENT, JobContext
from bdshift.outputs import Output
from bdshift.recovery.recovery import Recovery
from bdshift.reports.recovery_report import check_trigger_outputs, write_trigger
from bdshift.steps.target import AUTO, is_auto, pick_class

ALL = "all"


def recover(
    audit: Audit,
    model: Model | None = None,
    images: Images | None = None,
    *,
    target: int | str | None = None,
    kind: str | ChangeKind | None = None,
    source: int | str | None = None,
    budget: float = RECOVERY_SECONDS,
    out: str | Path | None = None,
    overwrite: bool = False,
    arch: Architecture | None = None,
    seed: int = 0,
    device: str = "auto",
    job: JobContext = SILENT,
) -> Audit:
    """The audit with a recovered trigger added, as ``bdshift recover`` does: the smallest change of
    images that sends them to a class, compared with what other classes take. Its finding takes it
    into account.

    The last of ``recoveries`` is the new one.

    Args:
        audit: of the model.
        model, images: what was audited, if it was in memory or was moved.
        target: class, by index or name; by default the one that is suspected, or else every class.
        kind: the only kind of change to search for, such as "mask"; by default all compete.
        source: the only class whose images are searched on, or "all"; by default all, and if that
            is no evidence, single classes.
        budget: seconds that the search should take, about.
        out: write the trigger to this file, beside it a card (.json) and a picture (.png).
        overwrite: whether files that are there are replaced.
        arch: the user's own network, if the audit is of one.
        seed: of everything random.
        device: "auto", "cpu", "cuda", …
        job: progress and cancellation.

    Raises `InputError` if the model or the images are not those of the audit, `UsageError` if an
    argument makes no sense.
    """
    output = None
    if out is not None:
        output = Output(Path(out), overwrite, audit.inputs)
        check_trigger_outputs(output)
    asked = CHANGES.parse(kind) if isinstance(kind, str) else kind
    material = reopen(audit, model=model, images=images, arch=arch, job=job)
    found = recovered(
        audit, material, target, asked, source, budget=budget, seed=seed, device=device, job=job
    )
    audit = with_recovery(audit, found)
    if output is not None:
        write_trigger(audit, found, output)
    return audit


def recovered(
    audit: Audit,
    material: Material,
    target: int | str | None,
    kind: ChangeKind | None,
    source: int | str | None,
    *,
    budget: float,
    seed: int,
    device: str,
    resume: Path | None = None,
    job: JobContext = SILENT,
) -> Recovery:
    """The same of what is open. ``resume`` keeps the kinds that are finished. Raises as `recover`
    and `recover_trigger` do.
    """
    toward = None
    if target is not None and not is_auto(audit, target):
        toward = pick_class(audit, target)
    return recover_trigger(
        audit, material, toward, kind, budget=budget, source=_source(audit, source), seed=seed,
        device=device, resume=resume, job=job,
    )  # fmt: skip


def _source(audit: Audit, chosen: int | str | None) -> int | None:
    """A class by index or name; `EVERY_OTHER` for "all", None for "auto". Names of classes count
    first.
    """
    if chosen is None or (chosen == AUTO and chosen not in audit.images.class_names):
        return None
    if chosen == ALL and chosen not in audit.images.class_names:
        return EVERY_OTHER
    return pick_class(audit, chosen, "--source")
