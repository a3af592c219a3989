"""What a purification did: as JSON (the provenance of a cleaned model), and in words."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from bdshift.audit.comparison import compare
from bdshift.audit.records import Audit, Cleaned
from bdshift.checkpoints.classifier import Classifier
from bdshift.checkpoints.export import write_checkpoint
from bdshift.errors import InputError, UsageError
from bdshift.files import written_whole
from bdshift.purify.measure import Measured, der
from bdshift.report.comparison_report import compared_text, reported_on
from bdshift.text import json_number


def _measured(found: Measured) -> dict[str, Any]:
    return {
        "acc": found.acc,
        "asr": json_number(found.asr),
        "ra": json_number(found.ra),
        "acc_by_class": [json_number(value) for value in found.by_class],
    }


def cleaned_json(audit: Audit, cleaned: Cleaned) -> dict[str, Any]:
    """Everything needed to say where a cleaned model came from, and how good it is."""
    run, again = cleaned.run, cleaned.rescan
    names = audit.images.class_names
    return {
        "source": {"path": audit.model.path, "sha256": audit.model.sha256},
        "images": {"path": audit.images.path, "sha256": audit.images.sha256},
        "architecture": audit.model.architecture,
        "method": run.method,
        "seed": run.seed,
        "held_out": cleaned.held,
        "target": {"index": run.target, "name": names[run.target]},
        "alpha": again.shifts.alpha,
        "trigger": cleaned.trigger,
        "reported_on": reported_on(cleaned),
        "before": _measured(cleaned.before),
        "after": _measured(cleaned.after),
        "der": der(cleaned.before, cleaned.after),
        "norms_before": [json_number(value) for value in audit.shifts.l2.tolist()],
        "norms_after": [json_number(value) for value in again.shifts.l2.tolist()],
        "flagged_after": [names[i] for i in again.verdict.poisoned],
        "steps": [
            {"number": row.step.number, "score": json_number(row.step.score),
             **{key: json_number(value) for key, value in row.step.figures.items()},
             **row.watched, "seconds": row.seconds}
            for row in run.rows
        ],
        "kept_step": run.kept,
        "complete": run.complete,
        "seconds": run.seconds,
        "forward_images": run.forwards,
        "backward_images": run.backwards,
        "versions": again.versions,
    }  # fmt: skip


def export_cleaned(
    audit: Audit,
    cleaned: Cleaned,
    original: Classifier,
    path: Path,
    form: str = "as-it-came",
    *,
    overwrite: bool = False,
) -> dict[str, Any]:
    """Write a purified model, and beside it, as ``<path>.json``, where it came from.

    ``original`` is the audited classifier (`bdshift.audit.reopen_model`). Returns what is in the
    JSON. Raises as `bdshift.checkpoints.export.write_checkpoint` and `Purified.applied_to` do.
    """
    beside = path.with_name(path.name + ".json")
    if beside.exists() and not overwrite:
        raise UsageError(f"{beside}: exists")
    told = cleaned_json(audit, cleaned)
    brief = {key: told[key] for key in ("source", "method", "seed", "target", "versions")}
    told["export"] = write_checkpoint(
        cleaned.run.applied_to(original), path, form, overwrite=overwrite,
        metadata={"bdshift": json.dumps(brief)},
    )  # fmt: skip
    write_text(beside, json.dumps(told, indent=2, ensure_ascii=False) + "\n")
    return told


def write_text(path: Path, text: str) -> None:
    """Write a text file, whole or not at all. Raises `InputError` if it cannot be written."""
    try:
        with written_whole(path) as part:
            part.write_bytes(text.encode("utf-8", "backslashreplace"))  # names may be no text
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror})") from error


def cleaned_text(audit: Audit) -> str:
    """The last purification of ``audit``, before and after, for a terminal."""
    cleaned = audit.runs[-1]
    run, again = cleaned.run, cleaned.rescan
    lines = [
        compared_text(compare(audit)),
        "",
        f"Measured on {reported_on(cleaned)}. {run.method}",
        f"{run.seconds:.1f} s; {run.forwards} images forward, {run.backwards} back; step "
        f"{run.kept + 1} of {len(run.rows)} kept.",
    ]
    if again.verdict.poisoned:
        flagged = ", ".join(audit.images.class_names[i] for i in again.verdict.poisoned)
        lines.append(f"Still flagged by the scan: {flagged}.")
    return "\n".join(lines)
