"""What a purification did: as JSON (the provenance of a purified model), and in words."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from bdshift.audit.comparison import compare
from bdshift.audit.records import Audit, Purification
from bdshift.checkpoints.classifier import Classifier
from bdshift.checkpoints.export import ExportedFile, ExportForm, write_checkpoint
from bdshift.measure import Measured, der
from bdshift.outputs import Output
from bdshift.reports.comparison_report import compared_text, reported_on
from bdshift.reports.json_report import finding_json
from bdshift.reports.json_schema import with_schema
from bdshift.reports.text_report import wrapped
from bdshift.spec import shortened
from bdshift.text import figure, grouped, joined, json_number


def _measured(found: Measured) -> dict[str, Any]:
    return {
        "acc": found.acc,
        "asr": json_number(found.asr),
        "ra": json_number(found.ra),
        "acc_by_class": [json_number(value) for value in found.by_class],
    }


def purification_json(audit: Audit, made: Purification) -> dict[str, Any]:
    """Everything needed to say where a purified model came from, and how good it is."""
    result, again = made.result, made.rescan
    names = audit.images.class_names
    return {
        "source": {"path": audit.model.path, "sha256": audit.model.sha256},
        "images": {"path": audit.images.path, "sha256": audit.images.sha256},
        "architecture": audit.model.architecture,
        "method": result.method,
        "seed": result.seed,
        "held_out": made.held_out,
        "target": {"index": result.target, "name": names[result.target]},
        "alpha": again.shifts.alpha,
        "trigger": made.trigger,
        "unlearned": made.unlearned,
        "conclusion": None if result.conclusion is None else str(result.conclusion),
        "reported_on": str(reported_on(made)),
        "before": _measured(made.before),
        "after": _measured(made.after),
        "der": der(made.before, made.after),
        "norms_before": [json_number(value) for value in audit.shifts.l2.tolist()],
        "norms_after": [json_number(value) for value in again.shifts.l2.tolist()],
        "finding_after": finding_json(again.finding),
        "steps": [
            {"number": row.step.number, "score": json_number(row.step.score),
             **{key: json_number(value) for key, value in row.step.figures.items()},
             **row.watched, "seconds": row.seconds}
            for row in result.rows
        ],
        "kept_step": result.kept,
        "complete": result.complete,
        "seconds": result.seconds,
        "forward_images": result.forwards,
        "backward_images": result.backwards,
        "versions": again.versions,
    }  # fmt: skip


def export_purified(
    audit: Audit,
    made: Purification,
    original: Classifier,
    output: Output,
    form: ExportForm,
) -> ExportedFile:
    """Write a purified model, and next to it, as ``<output>.json``, where it came from.

    ``original`` is the audited classifier (`bdshift.audit.reopen_model`). Neither file replaces
    what was audited. Raises as
    `bdshift.checkpoints.export.write_checkpoint` and `Purified.applied_to` do.
    """
    output = replace(output, inputs=(original.path, *audit.inputs, *output.inputs))
    beside = output.beside(".json")
    beside.check()
    described = purification_json(audit, made)
    brief = {key: described[key] for key in ("source", "method", "seed", "target", "versions")}
    written = write_checkpoint(
        made.result.applied_to(original), output, form, metadata={"bdshift": json.dumps(brief)}
    )  # fmt: skip
    beside.write_text(json.dumps(purified_json(audit, made, written), indent=2) + "\n")
    return written


def purified_json(audit: Audit, made: Purification, written: ExportedFile) -> dict[str, Any]:
    """What ``bdshift purify --json`` prints, and what is written beside the purified model."""
    told = {**purification_json(audit, made), "export": written.as_json()}
    return with_schema("purify", told)


def purification_text(audit: Audit) -> str:
    """The last purification of ``audit``, before and after, for a terminal."""
    made = audit.purifications[-1]
    result, again = made.result, made.rescan
    seconds = figure(result.seconds, ".1f")
    passed = f"{grouped(result.forwards)} images forward, {grouped(result.backwards)} back"
    said = [
        f"Measured on {reported_on(made)}. {seconds} s; {passed}; {result.why_kept}",
        *([] if made.unlearned is None else [f"Unlearned: {shortened(made.unlearned)}"]),
        *([] if result.conclusion is None else [str(result.conclusion)]),
        f"The purified model: {again.finding}",
    ]
    lines = ["", result.method, *(line for text in said for line in wrapped(text))]
    return f"{compared_text(compare(audit))}\n{joined(lines)}"
