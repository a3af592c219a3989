"""The papers' tables as Markdown, from the available rows: our values next to those published."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from statistics import fmean
from typing import Any

import numpy as np

from bdshift.lab.compared import compare, compared_table
from bdshift.lab.networks import NETWORKS
from bdshift.lab.protocol import TARGET, Row, TableScale
from bdshift.lab.published import Triple
from bdshift.lab.recipe import Recipe
from bdshift.neurons.rankings import cosine

_NONE = "–"


def tables(rows: Sequence[Row], scale: TableScale) -> str:
    """All tables. A cell is the mean over the available seeds, with their number."""
    usual = [row for row in rows if row["attack"] in scale.attacks]
    victims = [row for row in usual if "method" not in row]
    cleaned = [row for row in usual if "method" in row]
    parts = [
        f"# The papers' tables, scale “{scale.name}”",
        "",
        "Made by `bdshift lab tables`; each row's file names its command, seed, versions, device "
        "and time. Means over the seeds, with their number in parentheses; shares in percent. "
        f"*Published* are the figures of Iwahana et al. (2025), for {scale.published.network}.",
        "",
        *_recipe(cleaned, scale),
        *_purification(cleaned, victims, scale),
        *_agreement(cleaned, victims, scale),
        *_norms(victims, scale),
        *_more(rows, scale),
        *compared_table(compare(rows, scale)),
        *_times(cleaned, scale),
    ]
    return "\n".join(parts) + "\n"


def _table(head: Sequence[str], lines: Sequence[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield f"|{'---|' * 1}{'---:|' * (len(head) - 1)}"
    for line in lines:
        yield f"| {' | '.join(line)} |"
    yield ""


def _recipe(cleaned: Sequence[Row], scale: TableScale) -> Iterator[str]:
    recipe = scale.recipe
    yield (
        f"Victims: {NETWORKS[recipe.network].label}, width {recipe.width}, "
        f"{recipe.epochs} epochs of SGD (peak {recipe.peak_rate:g}, {recipe.schedule}), "
        f"{_sizes(recipe)}batch {recipe.batch}, {recipe.rate:.0%} poisoned, {recipe.labels} to "
        f"class {TARGET}. Methods see {scale.share:.0%} of the training images, a fifth of those "
        "held out; figures are on all test images."
    )
    yield ""
    named = [[name, f"`{scale.every_method[name]}`"] for name in _made(cleaned, scale)]
    yield from _table(["method", "as text"], named)


def _sizes(recipe: Recipe) -> str:
    return f"the first at {recipe.sizes.replace(',', ', ')} pixels, " if recipe.sizes else ""


def _made(cleaned: Sequence[Row], scale: TableScale) -> list[str]:
    """Methods in the tables: the scale's, and those as published that have rows."""
    there = {row["method"] for row in cleaned}
    return [*scale.methods, *(name for name in scale.as_published if name in there)]


def _mean(rows: Sequence[Row], value: Callable[[Row], float | None], form: str) -> str:
    found = [one for row in rows if (one := value(row)) is not None]
    return format(fmean(found), form) if found else _NONE


def _purification(
    cleaned: Sequence[Row], victims: Sequence[Row], scale: TableScale
) -> Iterator[str]:
    known_of = scale.published.purified
    yield f"## ACC / ASR / DER (Table {scale.published.purified_in})"
    yield ""
    yield (
        "After DER, its range if there are several seeds. Every mean is over the same victims; "
        "the best is in bold."
    )
    yield ""
    seeds = sorted({row["seed"] for row in victims})
    means = [_mean_ders(cleaned, scale, seeds[: n + 1]) for n in range(len(seeds))]
    blank = [""] * len(means)
    lines = [["none", *(_before(victims, attack) for attack in scale.attacks), *blank]]
    if known := scale.published.before:
        shown = [f"*{100 * known[a][0]:.1f} / {100 * known[a][1]:.1f}*" for a in scale.attacks]
        lines.append(["*published*", *shown, *blank])
    for method in _made(cleaned, scale):
        own = [row for row in cleaned if row["method"] == method]
        cells = []
        for attack in scale.attacks:
            some = [row for row in own if row["attack"] == attack]
            cells.append(_triple(some))
        lines.append([method, *cells, *(mean[method] for mean in means)])
        if method in known_of:
            shown = [_published(known_of[method][a]) for a in scale.attacks]
            mean = fmean(value[2] for value in known_of[method].values())
            lines.append(["*published*", *shown, f"*{mean:.3f}*", *blank[1:]])
    heads = [f"mean DER, {_numbered(seeds[: n + 1])}" for n in range(len(means))]
    yield from _table(["method", *scale.attacks, *heads], lines)


def _before(victims: Sequence[Row], attack: str) -> str:
    some = [row["training"]["outcome"] for row in victims if row["attack"] == attack]
    if not some:
        return _NONE
    acc, asr = (fmean(100 * row[key] for row in some) for key in ("acc", "asr"))
    return f"{acc:.1f} / {asr:.1f} ({len(some)})"


def _triple(rows: Sequence[Row]) -> str:
    """ACC, ASR and DER of purified models."""
    if not rows:
        return _NONE
    acc, asr = (_mean(rows, lambda row, key=key: 100 * row[key], ".1f") for key in ("acc", "asr"))  # type: ignore[misc]
    return (
        f"{acc} / {asr} / {_mean(rows, lambda row: row['der'], '.3f')}{_span(rows)} ({len(rows)})"
    )


def _published(figures: Triple) -> str:
    return f"*{100 * figures[0]:.1f} / {100 * figures[1]:.1f} / {figures[2]:.3f}*"


def _span(rows: Sequence[Row]) -> str:
    found = [row["der"] for row in rows]
    return f" [{min(found):.3f}, {max(found):.3f}]" if len(found) > 1 else ""


def _numbered(seeds: Sequence[int]) -> str:
    return f"seed{'s' * (len(seeds) > 1)} {', '.join(map(str, seeds))}"


def _mean_ders(rows: Sequence[Row], scale: TableScale, seeds: Sequence[int]) -> dict[str, str]:
    """Each method's mean over attacks and ``seeds``, the best in bold; a dash unless all victims
    have rows.
    """
    victims = len(scale.attacks) * len(seeds)
    found = {}
    for method in _made(rows, scale):
        own = [row["der"] for row in rows if row["method"] == method and row["seed"] in seeds]
        found[method] = fmean(own) if len(own) == victims else None
    best = max((value for value in found.values() if value is not None), default=None)
    return {
        method: _NONE if value is None else f"**{value:.3f}**" if value == best else f"{value:.3f}"
        for method, value in found.items()
    }


def _agreement(cleaned: Sequence[Row], victims: Sequence[Row], scale: TableScale) -> Iterator[str]:
    yield "## Cosine of each method's neurons with TAC (Table 1)"
    yield ""
    yield (
        "Of the values, followed by that of their absolute values, because TAC has no sign. "
        "*w − w̄* is the head's row of the target minus the mean row, without any image; *all "
        "alike* is a ranking that says nothing, with the same value for every neuron."
    )
    yield ""
    lines = []
    for name, key in (("shift", "shift"), ("w − w̄", "data_free")):
        cells = []
        for attack in scale.attacks:
            some = [row["agreement"][key] for row in victims if row["attack"] == attack]
            cells.append(_pair(some))
        lines.append([name, *cells])
        lines += _published_cosines(name, scale)
    lines.append(["all alike", *(_alike(victims, attack) for attack in scale.attacks)])
    for method in _made(cleaned, scale):
        own = [row for row in cleaned if row["method"] == method and row["agreement"]]
        if not own or scale.method(method).ranks_by_shift:
            continue
        cells = [
            _pair([row["agreement"] for row in own if row["attack"] == attack])
            for attack in scale.attacks
        ]
        lines.append([method, *cells])
        lines += _published_cosines(method, scale)
    yield from _table(["ranking", *scale.attacks], lines)


def _alike(victims: Sequence[Row], attack: str) -> str:
    """Mean cosine of TAC with a constant."""
    found = [np.array(row["tac"]) for row in victims if row["attack"] == attack]
    if not found:
        return _NONE
    return f"{fmean(cosine(np.ones_like(tac), tac) for tac in found):.3f} ({len(found)})"


def _pair(some: Sequence[dict[str, Any]]) -> str:
    if not some:
        return _NONE
    plain, absolute = (fmean(one[key] for one in some) for key in ("cosine", "cosine_abs"))
    return f"{plain:.3f}, {absolute:.3f} ({len(some)})"


def _published_cosines(name: str, scale: TableScale) -> list[list[str]]:
    known = scale.published.cosines.get(name)
    if known is None:
        return []
    return [["*published*", *(f"*{known[a]:.3f}*" if a in known else _NONE for a in scale.attacks)]]


def _norms(victims: Sequence[Row], scale: TableScale) -> Iterator[str]:
    numbered = f"Table {scale.published.norms_in}"
    yield f"## L2 norm of each class's shift, z and p of the target ({numbered})"
    yield ""
    count = max((len(row["l2"]) for row in victims), default=0)
    lines = []
    for number, row in enumerate(victims):
        lines.append(
            [
                f"{row['attack']} {row['seed']}",
                *(f"{value:.2f}" for value in row["l2"]),
                f"{row['z'][TARGET]:.2f}".replace("-", "−"),
                f"{row['p']:.2g}",
                ", ".join(map(str, row["flagged"])) or "none",
            ]
        )
        is_last = row["attack"] not in [other["attack"] for other in victims[number + 1 :]]
        known = scale.published.norms.get(row["attack"])
        if is_last and known is not None:
            norms, z = known
            shown = [f"*{value:.2f}*" for value in norms]
            lines.append(["*published*", *shown, f"*{z:.2f}*".replace("-", "−"), "", ""])
    yield from _table(["victim", *map(str, range(count)), "z", "p", "flagged"], lines)


def _more(rows: Sequence[Row], scale: TableScale) -> Iterator[str]:
    """Lower rates and other targets, of our method; nothing without rows."""
    lines = []
    for name, attack in scale.more.items():
        own = [row for row in rows if row["attack"] == name]
        victims = [row for row in own if "method" not in row]
        if not victims:
            continue
        cleaned = [row for row in own if row.get("method") == scale.ours]
        known = scale.published.rates.get(name)
        flagged = sum(attack.target in row["flagged"] for row in victims)
        lines.append(
            [
                name,
                _before(victims, name),
                _mean(victims, lambda row, t=attack.target: row["z"][t], ".2f").replace("-", "−"),  # type: ignore[misc]
                f"{flagged} of {len(victims)}",
                _triple(cleaned),
                "" if known is None else _published(known),
            ]
        )
    if lines:
        yield "## Lower rates (Table 6) and other targets (Figure 5)"
        yield ""
        yield from _table(
            ["victim", "none", "z of the target", "flagged", scale.ours, "*published*"], lines
        )


def _times(cleaned: Sequence[Row], scale: TableScale) -> Iterator[str]:
    yield "## Cost of a purification"
    yield ""
    lines = []
    for method in _made(cleaned, scale):
        own = [row for row in cleaned if row["method"] == method]
        lines.append(
            [
                method,
                _mean(own, lambda row: row["seconds"], ".0f"),
                _mean(own, lambda row: row["images_forward"] / 1000, ".0f"),
                _mean(own, lambda row: row["images_back"] / 1000, ".0f"),
            ]
        )
    head = ["method", "seconds", "thousand images forward", "thousand images back"]
    yield from _table(head, lines)
