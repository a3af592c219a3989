"""The candidates for a checkpoint's network as text and JSON."""

from __future__ import annotations

from typing import Any

from bdshift.audit.candidates import CandidateTable, MeasuredCandidate
from bdshift.audit.readings import reading_of
from bdshift.text import columns, joined


def name_of_candidate(one: MeasuredCandidate) -> str:
    """What it is called: with its preprocessing, if only that sets it apart."""
    return f"{one.architecture} · {reading_of(one.preprocessing)}" if one.reading else (
        one.architecture
    )  # fmt: skip


def candidates_text(table: CandidateTable) -> str:
    """One line for each candidate, its finding below it, and what follows from them."""
    names = [name_of_candidate(one) for one in table.rows]
    width = max(columns("candidate"), *map(columns, names))
    lines = [f"  {'candidate':<{width}}  accuracy"]
    ties = table.ties()
    for i, (name, one) in enumerate(zip(names, table.rows, strict=True)):
        notes = ["the scan's choice"] * one.chosen + ["as good"] * (i in ties)
        room = " " * (width - columns(name))
        lines.append(f"  {name}{room}  {one.accuracy:>8.2%}  {', '.join(notes)}".rstrip())
        if one.finding is not None:
            lines.append(f"      {one.finding.headline}: {one.finding.reasons[0].sentence}")
    if table.left_out:
        lines.append(f"  {table.left_out} less likely ones were not measured")
    return joined([*lines, "", *map(str, table.conclusion)])


def candidates_json(table: CandidateTable) -> dict[str, Any]:
    """Everything in the table."""
    ties = table.ties()
    return {
        "candidates": [
            {
                "architecture": one.architecture,
                "normalization": one.preprocessing.normalization.name,
                "order": one.preprocessing.order,
                "size": one.preprocessing.size,
                "images": len(one.correct),
                "accuracy": one.accuracy,
                "chosen_by_scan": one.chosen,
                "as_good_as_best": i == 0 or i in ties,
                "finding": None if one.finding is None else {
                    "level": one.finding.level,
                    "classes": [{"index": c, "name": table.class_names[c]}
                                for c in one.finding.classes],
                    "reason": str(one.finding.reasons[0].sentence),
                },
            }
            for i, one in enumerate(table.rows)
        ],
        "candidates_not_measured": table.left_out,
        "choice_is_certain": table.is_certain,
        "conclusion": list(map(str, table.conclusion)),
    }  # fmt: skip
