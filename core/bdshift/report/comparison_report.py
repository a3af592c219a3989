"""The models of an audit beside each other: a table of all, and two in words."""

from __future__ import annotations

import csv
import io
from typing import Any

from bdshift.audit.comparison import Comparison, measured_alike
from bdshift.audit.records import Audit, Cleaned
from bdshift.purify.measure import Measured, der
from bdshift.text import figure, json_number, one_line

_LISTED = 12  # classes in words


def reported_on(cleaned: Cleaned) -> str:
    """Which images the figures are of."""
    if cleaned.test is None:
        return f"{cleaned.count} held-out clean images"
    return f"{cleaned.count} images of {cleaned.test}"


def runs_table(audit: Audit) -> list[dict[str, Any]]:
    """The original and every purification, a row each; numbers bare, None where nothing is known.

    What was measured of the original beside the purifications stands in its row only if it is one
    thing: they are of one class, trigger and set of images.
    """
    rows: list[dict[str, Any]] = []
    alike = all(measured_alike(audit.runs[0], run) for run in audit.runs)
    before = audit.runs[0].before if audit.runs and alike else None
    target = audit.runs[0].run.target if audit.runs and alike else None
    if not audit.runs:
        target = audit.most_suspicious
    rest = ("der", "complete", "seconds", "forward", "backward", "trigger", "reported_on")
    rows.append(
        {"number": 0, "method": "original", **_figures(audit, target, before),
         **dict.fromkeys(rest)}
    )  # fmt: skip
    for number, cleaned in enumerate(audit.runs, 1):
        run = cleaned.run
        rows.append(
            {"number": number, "method": one_line(run.method),
             **_figures(cleaned.rescan, run.target, cleaned.after),
             "der": der(cleaned.before, cleaned.after), "complete": run.complete,
             "seconds": run.seconds, "forward": run.forwards, "backward": run.backwards,
             "trigger": one_line(cleaned.trigger or ""),
             "reported_on": one_line(reported_on(cleaned))}
        )  # fmt: skip
    return rows


def _figures(audit: Audit, target: int | None, measured: Measured | None) -> dict[str, Any]:
    shares = {
        "acc": audit.accuracy if measured is None else measured.acc,
        "asr": None if measured is None else json_number(measured.asr),
        "ra": None if measured is None else json_number(measured.ra),
    }
    if target is None:
        return {"target": None, **shares, **dict.fromkeys(("norm", "z", "flagged"))}
    return {
        "target": one_line(audit.images.class_names[target]),
        **shares,
        "norm": json_number(float(audit.shifts.l2[target])),
        "z": json_number(audit.verdict.scores[target].z),
        "flagged": target in audit.verdict.poisoned,
    }


def table_csv(rows: list[dict[str, Any]]) -> str:
    """Rows as CSV, their keys as its head."""
    stream = io.StringIO()
    writer = csv.DictWriter(stream, rows[0].keys(), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return stream.getvalue()


def _share(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.2f} %"


def runs_text(audit: Audit) -> str:
    """`runs_table` for a terminal, and where its rows do not compare."""
    lines = [f"{'':>3} {'method':40}{'ACC':>9}{'ASR':>9}{'RA':>9}{'DER':>7}{'norm':>9}{'z':>7}"]
    for row in runs_table(audit):
        method = row["method"] if len(row["method"]) < 40 else row["method"][:38] + "…"
        lines.append(
            f"{row['number']:>3} {method:40}{_share(row['acc']):>9}{_share(row['asr']):>9}"
            f"{_share(row['ra']):>9}{figure(row['der'], '.3f'):>7}{figure(row['norm']):>9}"
            f"{figure(row['z'], '.2f'):>7}"
        )
    if any(not measured_alike(audit.runs[0], run) for run in audit.runs):
        lines += ["", "These were measured differently, and do not all compare:"]
        lines += [
            f"{number:>3} class {one_line(audit.images.class_names[run.run.target])}, "
            f"{one_line(run.trigger or 'no trigger')}, {one_line(reported_on(run))}"
            for number, run in enumerate(audit.runs, 1)
        ]
    return "\n".join(lines)


def compared_text(found: Comparison) -> str:
    """Two models side by side, for a terminal."""
    first, second = found.measured
    names, target = found.audit.images.class_names, found.target
    sides = found.a, found.b
    heads = [f"purified {one.number}" if one.number else "original" for one in sides]
    lines = [f"{'':24}{heads[0]:>14}{heads[1]:>14}"]

    def line(name: str, was: str, now: str) -> None:
        lines.append(f"{name:24}{was:>14}{now:>14}")

    if first is not None and second is not None:
        line("ACC, clean accuracy", _share(first.acc), _share(second.acc))
        if first.asr is not None or second.asr is not None:
            line("ASR, attack success", _share(first.asr), _share(second.asr))
            line("RA, recovery accuracy", _share(first.ra), _share(second.ra))
    scores = [one.audit.verdict.scores[target].z for one in sides]
    norms = [float(one.audit.shifts.l2[target]) for one in sides]
    line(f"norm of class {target}", figure(norms[0]), figure(norms[1]))
    line("z of its norm", figure(scores[0], ".2f"), figure(scores[1], ".2f"))
    if found.der is not None:
        line("DER", "", f"{found.der:.4f}")
    if not found.comparable:
        lines.append("Not measured alike (class, trigger, images): these do not compare.")
    if first is not None and second is not None:
        moves = [now - was for was, now in zip(first.by_class, second.by_class, strict=True)]
        order = sorted((i for i in range(len(moves)) if moves[i] == moves[i]),
                       key=lambda i: -abs(moves[i]))  # fmt: skip
        lines += ["", "accuracy by class, the largest changes first"]
        for i in order[:_LISTED]:
            line(f"  {names[i]}"[:24], _share(first.by_class[i]), _share(second.by_class[i]))
    for title, changed in (("clean", found.clean), ("triggered", found.triggered)):
        if changed is not None:
            counts = {kind: sum(one.kind == kind for one in changed) for kind in
                      ("broken", "mended", "other")}  # fmt: skip
            lines += ["", f"{len(changed)} {title} images are classified differently: "
                          f"{counts['mended']} now right, {counts['broken']} now wrong, "
                          f"{counts['other']} wrong in another way"]  # fmt: skip
    return "\n".join(lines)
