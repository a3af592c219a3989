"""What a detector says of pairs of classes, as JSON."""

from __future__ import annotations

from typing import Any

from bdshift.audit.facts import Judged
from bdshift.detect.detectors.pairs import ClassPairs
from bdshift.text import json_number

_MAX_CLASSES = 100
"""Classes up to which all scores are told: with a thousand, they are a million numbers."""
_MAX_LISTED = 10


def pairs_json(one: Judged) -> dict[str, Any]:
    """``pairs``, every score from source (row) to target (column), null of many classes and of a
    detector that does not distinguish pairs; and ``pairs_summary``: the most suspicious ones, those
    worth trying, the map, and where all scores are if they are left out.
    """
    scores, record = one.evidence.pairs, one.evidence.record
    if scores is None:
        return {"pairs": None, "pairs_summary": None}
    count, told = len(scores), None
    if count <= _MAX_CLASSES:
        told = [[json_number(score) for score in row] for row in scores.tolist()]
    summary: dict[str, Any] = {
        "classes": count,
        "most_suspicious": [
            {"source": i, "target": j, "score": float(scores[i, j])}
            for i, j in one.most_suspicious_pairs(_MAX_LISTED)
        ],
        "left_out": None
        if told is not None
        else f"all {count} × {count} scores are in the audit file, at evidence/"
        f"{one.evidence.name}/pairs",
    }
    if isinstance(record, ClassPairs):
        pairs = [{"source": i, "target": j} for i, j in record.candidates()]
        summary |= {"candidates": pairs, "map": record.map.targets.tolist()}
    return {"pairs": told, "pairs_summary": summary}
