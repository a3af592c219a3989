"""What a purification did, as JSON (the provenance of the cleaned model) and in words."""

from __future__ import annotations

from typing import Any

from bdshift.audit.cleaning import Cleaned
from bdshift.audit.records import versions
from bdshift.purify.measure import Measured, der
from bdshift.text import figure, json_number


def _measured(found: Measured) -> dict[str, Any]:
    return {
        "acc": found.acc,
        "asr": json_number(found.asr),
        "ra": json_number(found.ra),
        "acc_by_class": [json_number(value) for value in found.by_class.tolist()],
    }


def cleaned_json(cleaned: Cleaned) -> dict[str, Any]:
    """Everything needed to say where a cleaned model came from, and how good it is."""
    audit, run = cleaned.audit, cleaned.run
    names = audit.images.class_names
    return {
        "source": {"path": audit.model.path, "sha256": audit.model.sha256},
        "images": {"path": audit.images.path, "sha256": audit.images.sha256},
        "architecture": audit.model.architecture,
        "method": run.method,
        "seed": run.seed,
        "target": {"index": run.target, "name": names[run.target]},
        "alpha": audit.shifts.alpha,
        "trigger": cleaned.trigger,
        "reported_on": cleaned.reported_on,
        "before": _measured(cleaned.before),
        "after": _measured(cleaned.after),
        "der": der(cleaned.before, cleaned.after),
        "norms_before": [json_number(value) for value in audit.shifts.l2.tolist()],
        "norms_after": [json_number(value) for value in cleaned.shifts.l2.tolist()],
        "flagged_after": [names[i] for i in cleaned.verdict.poisoned],
        "steps": [
            {"number": row.step.number, "score": json_number(row.step.score),
             **row.step.figures, **row.watched, "seconds": row.seconds}
            for row in run.rows
        ],
        "kept_step": run.kept,
        "complete": run.complete,
        "seconds": run.seconds,
        "forward_images": run.forwards,
        "backward_images": run.backwards,
        "versions": versions(),
    }  # fmt: skip


def _share(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.2f} %"


def cleaned_text(cleaned: Cleaned) -> str:
    """Before and after, for a terminal."""
    run, before, after = cleaned.run, cleaned.before, cleaned.after
    target = run.target
    rows = [
        ("ACC, clean accuracy", _share(before.acc), _share(after.acc)),
        (f"norm of class {target}", figure(float(cleaned.audit.shifts.l2[target])),
         figure(float(cleaned.shifts.l2[target]))),
        ("z of its norm", figure(cleaned.audit.verdict.scores[target].z, ".2f"),
         figure(cleaned.verdict.scores[target].z, ".2f")),
    ]  # fmt: skip
    if before.asr is not None:
        rows[1:1] = [
            ("ASR, attack success", _share(before.asr), _share(after.asr)),
            ("RA, recovery accuracy", _share(before.ra), _share(after.ra)),
        ]
    lines = [f"{'':24}{'before':>12}{'after':>12}"]
    lines += [f"{name:24}{was:>12}{now:>12}" for name, was, now in rows]
    rating = der(before, after)
    if rating is not None:
        lines.append(f"{'DER':24}{'':12}{rating:>12.4f}")
    lines += [
        "",
        f"Measured on {cleaned.reported_on}. {run.method}",
        f"{run.seconds:.1f} s; {run.forwards} images forward, {run.backwards} back; step "
        f"{run.kept + 1} of {len(run.rows)} kept.",
    ]
    if cleaned.verdict.poisoned:
        names = cleaned.audit.images.class_names
        flagged = ", ".join(names[i] for i in cleaned.verdict.poisoned)
        lines.append(f"Still flagged by the scan: {flagged}.")
    return "\n".join(lines)
