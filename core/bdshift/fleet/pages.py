"""The results of a fleet as text, JSON, CSV and SARIF."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bdshift.audit.finding import HEADLINES
from bdshift.csv_data import csv_text
from bdshift.fleet.results import AUDITS
from bdshift.fleet.table import Ranked
from bdshift.fleet.task import STATUS_WORDS
from bdshift.reports.json_schema import with_schema
from bdshift.reports.sarif import SarifModel, sarif
from bdshift.text import columns, figure, grouped, json_number, one_line
from bdshift.verdict.clean_models import cluster_weights, shipped_table
from bdshift.verdict.decide import SUSPECTED_P
from bdshift.words import Language, Sentence, translate, words

_MAX_LISTED = 40  # lines on a terminal
_MAX_WIDTH = 44  # of a name


def level_of(one: Ranked, language: Language = "en") -> str:
    """What a row says in a word or two: the level of its finding, or why there is none."""
    result = one.row.result
    text = STATUS_WORDS[result.status] if result.level is None else HEADLINES[result.level]
    return translate(text, language)


def summary_of(found: Sequence[Ranked], language: Language = "en") -> str:
    """How many models there are of each level."""
    counts = Counter(level_of(one, language) for one in found)
    return " · ".join(f"{level}: {grouped(count)}" for level, count in counts.items())


_ALARMS = words(
    "Of {count:|clean model|clean models}, about {alarms:.2g} would be suspected by chance alone "
    "(p up to {limit:.2g}). p is never below {least:.2g}: it compares with the clean "
    "models that bdshift knows.",
    ja="判定した {count:,} 個のモデルがすべてクリーンでも、約 {alarms:.2g} 個は偶然だけで疑われます"
    "（p が {limit:.2g} 以下）。p は bdshift が持つクリーンなモデルとの比較なので、"
    "{least:.2g} より小さくはなりません。",
)


_BY_NORMS = words(
    "Only the norms were judged, and p is right only if those of a clean model are normal. A scan "
    "that searches the images compares with clean models.",
    ja="判定はノルムだけによるもので、p はクリーンなモデルのノルムが正規分布の場合にだけ正確です。"
    "画像を探索するスキャンでは、クリーンなモデルと比較します。",
)


def expected_alarms(found: Sequence[Ranked]) -> Sentence:
    """How many false alarms so many models may give; "" if none is judged."""
    known = [one.row.result for one in found if not math.isnan(one.row.result.p)]
    judged = sum(one.beside for one in known)
    if not judged:
        return Sentence(_BY_NORMS if known else "")
    clusters = [one.cluster for one in shipped_table().models]
    least = 1 / (1 + float(cluster_weights(clusters).sum()))
    limit = max(SUSPECTED_P, least)
    values = {"count": judged, "alarms": judged * limit, "limit": limit, "least": least}
    return Sentence(_ALARMS, values)


def fleet_text(found: Sequence[Ranked]) -> str:
    """The first rows as a table, and how many there are of each level."""
    lines = [summary_of(found), ""]
    head = ("model", "finding", "class", "p", "q", "family")
    rows = [
        (_shortened(Path(one.row.model).name), level_of(one), *_class_and_p(one))
        for one in found[:_MAX_LISTED]
    ]
    widths = [max(columns(row[at]) for row in (head, *rows)) for at in range(len(head))]
    lines += [
        "  ".join(
            cell + " " * (width - columns(cell)) for cell, width in zip(row, widths, strict=True)
        ).rstrip()
        for row in (head, *rows)
    ]
    if len(found) > _MAX_LISTED:
        lines.append(f"… and {grouped(len(found) - _MAX_LISTED)} more")
    lines += ["", str(expected_alarms(found))]
    return "\n".join(lines)


def _class_and_p(one: Ranked) -> tuple[str, ...]:
    result = one.row.result
    named = result.level == "backdoored"
    family = "" if one.family < 0 else str(one.family + 1)
    return (
        _shortened(result.target_name) if named else "",
        figure(result.p, ".3g"), figure(one.q, ".3g"), family,
    )  # fmt: skip


def _shortened(text: str) -> str:
    clean = one_line(text)
    return clean if len(clean) <= _MAX_WIDTH else f"…{clean[1 - _MAX_WIDTH :]}"


def fleet_json(found: Sequence[Ranked]) -> dict[str, Any]:
    """What ``bdshift fleet --json`` prints."""
    return with_schema("fleet", {"models": _models(found)})


def _models(found: Sequence[Ranked]) -> list[dict[str, Any]]:
    """One object for each model, the most suspicious first."""
    return [
        {
            "model": one.row.model,
            "images": one.row.images,
            "status": one.row.result.status,
            "level": one.row.result.level,
            "class": one.row.result.target,
            "class_name": one.row.result.target_name,
            "p": json_number(one.row.result.p),
            "q": json_number(one.q),
            "strength": json_number(one.row.result.strength),
            "family": None if one.family < 0 else one.family + 1,
            "reason": one.row.result.reason.render(),
            "architecture": one.row.result.architecture,
            "classes": one.row.result.classes,
            "clean_accuracy": json_number(one.row.result.accuracy),
            "sha256": one.row.result.sha256,
            "seconds": json_number(one.row.result.seconds),
            "memory": one.row.result.memory,
            "audit": f"{AUDITS}/{one.row.file}" if one.row.file else None,
            "date": one.row.date,
        }
        for one in found
    ]


def fleet_csv(found: Sequence[Ranked]) -> str:
    """The same as CSV."""
    rows = _models(found)
    if not rows:
        return csv_text([["model"]])
    cells = [["" if cell is None else cell for cell in row.values()] for row in rows]
    return csv_text([list(rows[0]), *cells])


def fleet_sarif(found: Sequence[Ranked]) -> str:
    """The same as SARIF 2.1.0."""
    return sarif(
        [
            SarifModel(
                one.row.model, one.row.result.sha256, one.row.result.level,
                one.row.result.reason.render(), {"p": one.row.result.p, "q": one.q},
            )
            for one in found
        ]
    )  # fmt: skip
