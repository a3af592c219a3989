"""The papers' figures, and their tables' numbers, from the available rows, as CSV and SVG."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from statistics import fmean

from bdshift.csv_data import csv_text
from bdshift.lab.compared import compare, compared_files
from bdshift.lab.protocol import TARGET, Row, TableScale
from bdshift.lab.svg import Panel, draw


def figures(rows: Sequence[Row], scale: TableScale) -> dict[str, str]:
    """Texts by file name: Figure 2 (``overlap``), 3 (``scatter``), 4 (under the name of each method
    that is `drawn_as` something; every method's ranking is in ``rankings``), 5 (``z``, which has
    the other targets too; its numbers and those of Tables 2 and 3 are in ``norms``), the
    numbers of Tables 1 and 4 to 6 (``purified``), and all of them beside the paper's
    (``compared``).
    """
    norms = [
        (row["attack"], row["seed"], number, f"{l2:.6g}", f"{z:.5g}", int(number in row["flagged"]))
        for row in rows
        if "method" not in row
        for number, (l2, z) in enumerate(zip(row["l2"], row["z"], strict=True))
    ]
    found = {
        "norms.csv": csv_text([("attack", "seed", "class", "l2", "z", "flagged"), *norms]),
        "purified.csv": csv_text([_PURIFIED, *(_purified(row) for row in rows if "method" in row)]),
    }
    found |= compared_files(compare(rows, scale))
    by_target = [_z_panel(rows, scale, name) for name in scale.attacks]
    if any(panel.lines for panel in by_target):
        found["z.svg"] = draw([panel for panel in by_target if panel.lines])
    rows = [row for row in rows if row["attack"] in scale.attacks]
    victims = [row for row in rows if "method" not in row]
    curves = list(_overlaps(rows, scale))
    dots = [
        (row["attack"], row["seed"], number, tac, shift)
        for row in victims
        for number, (tac, shift) in enumerate(_points(row, row["shift"]))
    ]
    ranked = [
        (row, victim)
        for row in rows
        for victim in victims
        if row.get("ranking") and (row["attack"], row["seed"]) == (victim["attack"], victim["seed"])
    ]
    overlaps = [
        (attack, name, number + 1, round(value, 4))
        for attack, name, curve in curves
        for number, value in enumerate(curve)
    ]
    rankings = [
        (row["attack"], row["seed"], row["method"], number, f"{tac:.5g}", f"{value:.5g}")
        for row, victim in ranked
        for number, (tac, value) in enumerate(_points(victim, row["ranking"]))
    ]
    found |= {
        "overlap.csv": csv_text([("attack", "ranking", "percent", "overlap"), *overlaps]),
        "scatter.csv": csv_text([("attack", "seed", "neuron", "tac", "shift"), *dots]),
        "rankings.csv": csv_text(
            [("attack", "seed", "method", "neuron", "tac", "ranking"), *rankings]
        ),
    }
    if victims:
        found["overlap.svg"] = draw([_overlap_panel(curves, attack) for attack in _there(victims)])
        found["scatter.svg"] = draw(
            [_scatter(one, one["shift"], "shift") for one in _firsts(victims)]
        )
    for title in scale.methods:
        method = scale.method(title)
        own = {(row["attack"], row["seed"]): row for row, _ in ranked if row["method"] == title}
        drawn = _firsts([one for one in victims if (one["attack"], one["seed"]) in own])
        if method.drawn_as and drawn:
            found[f"{method.name}.svg"] = draw(
                [
                    _scatter(one, own[one["attack"], one["seed"]]["ranking"], method.drawn_as)
                    for one in drawn
                ]
            )
    return found


_PURIFIED = (
    "attack", "seed", "method", "acc_before", "asr_before", "acc", "asr", "ra", "der",
    "cosine", "cosine_abs", "target_l2", "flagged", "seconds",
)  # fmt: skip


def _purified(row: Row) -> list[object]:
    before, agreement = row["before"], row["agreement"] or {}
    figures = [
        before["acc"], before["asr"], row["acc"], row["asr"], row["ra"], row["der"],
        agreement.get("cosine"), agreement.get("cosine_abs"), row["norm"],
    ]  # fmt: skip
    shown = ["" if value is None else f"{value:.5g}" for value in figures]
    flagged = " ".join(map(str, row["flagged"]))
    return [row["attack"], row["seed"], row["method"], *shown, flagged, round(row["seconds"])]


def _z_panel(rows: Sequence[Row], scale: TableScale, attack: str) -> Panel:
    """The z-scores of every class, one line per target, from its first seed."""
    lines = {}
    for name, one in (scale.attacks | scale.more).items():
        own = [row for row in rows if row["attack"] == name and "method" not in row]
        if own and replace(one, target=TARGET) == scale.attacks[attack]:
            z = min(own, key=lambda row: row["seed"])["z"]
            lines[f"to class {one.target}"] = list(enumerate(z))
    return Panel(f"{attack}: z of every class", "class", "z", list(lines.items()))


def _points(victim: Row, values: Sequence[float]) -> list[tuple[float, float]]:
    """TAC and a value of each neuron."""
    return list(zip(victim["tac"], values, strict=True))


def _firsts(victims: Sequence[Row]) -> list[Row]:
    """The victim of the first seed, for each attack."""
    of = [[row for row in victims if row["attack"] == attack] for attack in _there(victims)]
    return [min(rows, key=lambda row: row["seed"]) for rows in of]


def _scatter(victim: Row, values: Sequence[float], name: str) -> Panel:
    title = f"{victim['attack']}: {name} toward class {TARGET}"
    return Panel(title, "TAC", name, points=_points(victim, values))


def _there(victims: Sequence[Row]) -> list[str]:
    return list(dict.fromkeys(row["attack"] for row in victims))


def _overlaps(rows: Sequence[Row], scale: TableScale) -> Iterator[tuple[str, str, list[float]]]:
    """Attack, ranking, and the mean of its curves over the seeds."""
    for attack in scale.attacks:
        own = [row for row in rows if row["attack"] == attack]
        curves: dict[str, list[list[float]]] = {}
        for row in own:
            if "method" not in row:
                curves.setdefault("shift", []).append(row["agreement"]["shift"]["overlap"])
                curves.setdefault("w − w̄", []).append(row["agreement"]["data_free"]["overlap"])
            elif (
                row["agreement"]
                and row["method"] in scale.methods
                and not scale.method(row["method"]).ranks_by_shift
            ):
                curves.setdefault(row["method"], []).append(row["agreement"]["overlap"])
        for name, some in curves.items():
            yield attack, name, [fmean(values) for values in zip(*some, strict=True)]


def _overlap_panel(curves: Sequence[tuple[str, str, list[float]]], attack: str) -> Panel:
    lines = [
        (name, [(number + 1, 100 * value) for number, value in enumerate(curve)])
        for one, name, curve in curves
        if one == attack
    ]
    title = f"{attack}: overlap with TAC"
    return Panel(title, "largest neurons, %", "overlap, %", lines, span=(0, 100))
