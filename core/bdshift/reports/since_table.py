"""What changed from one audit to a later one: the table of classes, text for a terminal, JSON."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from bdshift.audit.records import Audit, Purification
from bdshift.audit.since import Since
from bdshift.neurons.tac import Tac
from bdshift.recovery.recovery import Recovery
from bdshift.reports.since_report import relative, since_sections
from bdshift.reports.text_report import table, wrapped
from bdshift.text import figure, joined, json_number
from bdshift.words import Language, Sentence, translate, words

_MAX_ROWS = 40  # of classes in a table for people

CLASS = "class"
NORM_BEFORE = words("norm before", ja="前のノルム")
NORM_NOW = words("norm now", ja="今回のノルム")
CHANGE = words("change", ja="変化")
STATISTIC_BEFORE = words("{statistic} before", ja="前の {statistic}")
STATISTIC_NOW = words("{statistic} now", ja="今回の {statistic}")
SUSPECTED = words("suspected", ja="疑い")
SUSPECTED_WHEN = {
    (True, True): words("in both", ja="両方"),
    (True, False): words("only before", ja="前のみ"),
    (False, True): words("only now", ja="今回のみ"),
    (False, False): "",
}
MORE = words("… and {count:|other class|other classes}", ja="… ほか {count} クラス")


@dataclass(frozen=True)
class SinceTable:
    """Heads and cells, the smallest norms of the later audit first; ``numbers`` are those in the
    cells, NaN for words; ``suspected`` says which rows are of a class that is or was suspected,
    ``more`` what was left out.
    """

    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    numbers: tuple[tuple[float, ...], ...]
    suspected: tuple[bool, ...]
    more: str


def since_table(since: Since, language: Language = "en") -> SinceTable:
    """Norm and the rule's statistic of every class that both audits have."""
    old, new = since.old, since.new
    rule = new.settings.rule
    statistic = {"statistic": translate(rule.column, language)}
    heads = (
        *(translate(one, language) for one in (CLASS, NORM_BEFORE, NORM_NOW, CHANGE)),
        Sentence(STATISTIC_BEFORE, statistic).render(language),
        Sentence(STATISTIC_NOW, statistic).render(language), translate(SUSPECTED, language),
    )  # fmt: skip
    shown = list(_ordered(since))
    rest = len(since.classes) - len(shown)
    rows, numbers, marked = [], [], []
    for was, now in shown:
        norms = float(old.shifts.l2[was]), float(new.shifts.l2[now])
        statistics = _statistic(old, rule.name, was), _statistic(new, rule.name, now)
        when = _suspected(since, was, now)
        numbers.append((math.nan, *norms, relative(*norms), *statistics, math.nan))
        rows.append((
            new.images.class_names[now], *(figure(one, "#.4g") for one in norms),
            _change(*norms),
            *(figure(one, rule.form) for one in statistics),
            translate(SUSPECTED_WHEN[when], language),
        ))  # fmt: skip
        marked.append(any(when))
    more = Sentence(MORE, {"count": rest}).render(language) if rest else ""
    return SinceTable(heads, tuple(rows), tuple(numbers), tuple(marked), more)


def _change(was: float, now: float) -> str:
    return "0%" if was == now else figure(relative(was, now), "+.1%")


def _ordered(since: Since) -> Iterator[tuple[int, int]]:
    order = sorted(since.classes, key=lambda pair: float(since.new.shifts.l2[pair[1]]))
    for place, pair in enumerate(order):
        if place < _MAX_ROWS or any(_suspected(since, *pair)):
            yield pair


def _suspected(since: Since, was: int, now: int) -> tuple[bool, bool]:
    return was in since.old.finding.suspected, now in since.new.finding.suspected


def _statistic(audit: Audit, name: str, index: int) -> float:
    """NaN for a rule that the other version did not have."""
    values = audit.judgment.statistics.get(name)
    return float("nan") if values is None else float(np.asarray(values)[index])


def since_text(since: Since) -> str:
    """What ``bdshift diff`` prints."""
    lines: list[str] = []
    for section in since_sections(since):
        lines += [section.title.upper(), *(
            line for one in section.sentences for line in wrapped(str(one))
        ), ""]  # fmt: skip
    made = since_table(since)
    if made.rows:
        marks = ["◆ " if one else "  " for one in made.suspected]
        rows = [[mark + row[0], *row[1:]] for mark, row in zip(marks, made.rows, strict=True)]
        lines += table([f"  {made.heads[0]}", *made.heads[1:]], rows)
    return joined([*lines, *([made.more] if made.more else [])])


def since_json(since: Since) -> dict[str, Any]:
    """What ``bdshift diff --json`` prints."""
    old, new = since.old, since.new
    return {
        "relation": since.relation,
        "same_images": since.has_same_images,
        "reversed": since.is_reversed,
        "before": _one(old),
        "now": _one(new),
        "settings": [asdict(one) for one in since.settings],
        "classes": [
            {
                "name": new.images.class_names[now],
                "index": {"before": was, "now": now},
                "l2": {
                    "before": json_number(old.shifts.l2[was]),
                    "now": json_number(new.shifts.l2[now]),
                },
                "statistics": {
                    name: {
                        "before": json_number(_statistic(old, name, was)),
                        "now": json_number(_statistic(new, name, now)),
                    }
                    for name in new.judgment.statistics
                },
                "suspected": dict(zip(("before", "now"), _suspected(since, was, now), strict=True)),
            }
            for was, now in since.classes
        ],
        "triggers": [_pair(since, *pair) for pair in since.triggers],
        "recoveries": [_pair(since, *pair) for pair in since.recoveries],
        "purifications": [_pair(since, *pair) for pair in since.purifications],
        "sentences": {
            section.title: [str(one) for one in section.sentences]
            for section in since_sections(since)
        },
    }


def _one(audit: Audit) -> dict[str, Any]:
    names, finding = audit.images.class_names, audit.finding
    return {
        "path": audit.model.path,
        "sha256": audit.model.sha256,
        "architecture": audit.model.architecture,
        "date": audit.date or None,
        "clean_accuracy": json_number(audit.accuracy),
        "level": finding.level,
        "statement": str(finding.statement),
        "suspected": [{"index": i, "name": names[i]} for i in finding.suspected],
        "p": None if audit.verdict is None else json_number(audit.verdict.standing.p),
        "alpha": audit.shifts.alpha,
        "rule": audit.settings.rule.spec,
    }


def _pair(since: Since, was: Any, now: Any) -> dict[str, Any]:
    return {
        "before": None if was is None else _thing(since.old, was),
        "now": None if now is None else _thing(since.new, now),
    }


def _thing(audit: Audit, one: Tac | Recovery | Purification) -> dict[str, Any]:
    names = audit.images.class_names
    if isinstance(one, Tac):
        return {"trigger": one.trigger, "target": names[one.target], "asr": json_number(one.asr)}
    if isinstance(one, Recovery):
        return {"kind": one.kind, "target": names[one.target], "asr": json_number(one.asr),
                "source": names[one.source] if one.source >= 0 else None}  # fmt: skip
    return {
        "method": one.result.method, "target": names[one.result.target], "seed": one.result.seed,
        "acc": json_number(one.after.acc), "asr": json_number(one.after.asr),
    }  # fmt: skip
