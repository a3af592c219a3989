"""How well verdicts do on models with known ground truth, as a page, a table and a drawing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import numpy as np

from bdshift.csv_data import csv_text
from bdshift.lab.discrimination import auroc, found_at, interval
from bdshift.lab.judged_models import ALL_TO_ONE, DEVELOP, HOLD_OUT, JudgedModel, detector_texts
from bdshift.lab.judging import Key, Said, by_kind, by_rule, rules, verdicts
from bdshift.lab.svg import Panel, draw
from bdshift.text import figure, joined
from bdshift.verdict.calibration import share_curve
from bdshift.verdict.clean_models import CleanModels

_ALARMS = (0.01, 0.05)  # shares of clean models
_FEW_CLASSES, _SOME_CLASSES, _MORE_CLASSES = 5, 12, 43  # ends of groups
_CROSSES: Mapping[str, Key] = {
    "its cluster": lambda one: one.cluster,
    "its network": lambda one: one.network,
}
"""What a model to develop on is judged without."""


def page(models: Sequence[JudgedModel], table: CleanModels) -> str:
    """Markdown."""
    parts = ["# Verdicts on models with known ground truth", "", *_scales(table)]
    for split in (DEVELOP, HOLD_OUT):
        own = [one for one in models if one.split == split]
        if own:
            parts += ["", f"## {split}", "", *_split(own, models)]
    return joined(parts) + "\n"


def calibration(models: Sequence[JudgedModel]) -> str:
    """An SVG: the share of clean models with a p of at most x, for each x, which should not be
    above x.
    """
    panels = []
    for split in (DEVELOP, HOLD_OUT):
        said = [one for one in verdicts(models) if one.model.split == split]
        lines = [("as it should be", [(0.0, 0.0), (1.0, 1.0)])]
        for name, some in (
            ("clean", [one for one in said if one.model.is_clean]),
            ("backdoored", [one for one in said if not one.model.is_clean]),
        ):
            if some:
                lines.append((name, share_curve([one.p for one in some])))
        if said:
            panels.append(Panel(split, "p", "share of models", lines, span=(0.0, 1.0)))
    return draw(panels)


def verdict_rows(models: Sequence[JudgedModel]) -> str:
    """A CSV with the verdict on each model."""
    rows: list[list[object]] = [
        ["model", "cluster", "network", "kind", "setting", "classes", "targets", "split", "outcome",
         "class", "p", "count", "models", "strength", "suspected", "borne_out", "kinds"],
    ]  # fmt: skip
    for one in verdicts(models):
        model, found = one.model, one.verdict
        assert found is not None
        kinds = " ".join(
            f"{k.detector.name}:{k.index}:{k.factor(k.index):.3g}:{k.strengths.max():.2f}"
            for k in found.kinds
        )
        rows.append(
            [model.name, model.cluster, model.network, model.attack, model.setting, model.classes,
             ";".join(map(str, model.targets)), model.split, outcome(one), one.index,
             f"{found.standing.p:.4f}", found.standing.count, found.standing.models,
             f"{one.seen:.3f}", ";".join(map(str, one.suspected)), found.borne_out, kinds]
        )  # fmt: skip
    return csv_text(rows)


def outcome(said: Said) -> str:
    """What became of a model: right, wrong class, alarm, could not tell, or nothing."""
    if said.suspected:
        if said.model.is_clean:
            return "alarm"
        return "right" if said.is_right or not said.model.targets else "wrong class"
    return "could not tell" if said.verdict is not None and said.verdict.is_unusual else "nothing"


def _scales(table: CleanModels) -> Iterator[str]:
    yield "| kind | clean models | start | scale |"
    yield "|---|---:|---:|---:|"
    for one in table.scales.values():
        yield f"| `{one.detector}` | {one.models} | {one.start:.3f} | {one.scale:.3f} |"


def _split(own: Sequence[JudgedModel], models: Sequence[JudgedModel]) -> Iterator[str]:
    ways: dict[str, list[Said]] = {}
    is_developed = own[0].split == DEVELOP
    for name, key in _CROSSES.items():
        if is_developed or not ways:
            title = f"verdict, without {name}" if is_developed else "verdict"
            ways[title] = [one for one in verdicts(models, key) if one.model.split == own[0].split]
    said = next(iter(ways.values()))
    ways |= {f"rule `{rule.name}`": by_rule(own, rule) for rule in rules()}
    ways |= {f"`{kind}` alone": by_kind(own, kind) for kind in detector_texts(own)}
    yield from _compared(ways)
    for title, of in _GROUPS.items():
        yield from ("", f"### By {title}", "", *_grouped(said, of))
    yield from ("", "### Every miss and every alarm", "", *_missed(said))


def _compared(ways: Mapping[str, Sequence[Said]]) -> Iterator[str]:
    heads = "".join(f" found at {share:.0%} | 95% |" for share in _ALARMS)
    yield f"| | models | clean | AUROC | 95% |{heads} target first | suspected | alarms |"
    yield "|---|" + "---:|" * (7 + 2 * len(_ALARMS))
    for name, said in ways.items():
        clean = [one for one in said if one.model.is_clean]
        victims = [one for one in said if not one.model.is_clean]
        if victims:
            yield f"| {name} | {len(victims)} | {len(clean)} | {_figures(victims, clean)} |"


def _figures(victims: Sequence[Said], clean: Sequence[Said]) -> str:
    grouped = [[(one.model.cluster, one.seen) for one in some] for some in (victims, clean)]
    values = [np.array([one.seen for one in some]) for some in (victims, clean)]
    cells = []
    for measure, form in ((auroc, ".3f"), *((found_at(share), ".2f") for share in _ALARMS)):
        low, high = interval(grouped[0], grouped[1], measure)
        cells += [figure(measure(*values), form), f"{figure(low, '.2f')}–{figure(high, '.2f')}"]
    aimed = [one for one in victims if one.model.targets]
    cells += [
        f"{sum(one.names_target for one in aimed)}/{len(aimed)}",
        f"{sum(one.is_right for one in aimed)}/{len(aimed)}",
        f"{sum(bool(one.suspected) for one in clean)}/{len(clean)}",
    ]
    return " | ".join(cells)


def _setting(model: JudgedModel) -> str:
    return model.setting


def _attack(model: JudgedModel) -> str:
    plain = model.setting in ("", ALL_TO_ONE)
    return model.attack if plain else f"{model.attack}, {model.setting}"


def _network(model: JudgedModel) -> str:
    return model.network


def _class_group(model: JudgedModel) -> str:
    for end in (_FEW_CLASSES, _SOME_CLASSES, _MORE_CLASSES):
        if model.classes <= end:
            return f"up to {end:2}"
    return "more"


_GROUPS: Mapping[str, Callable[[JudgedModel], str]] = {
    "setting": _setting, "attack": _attack, "network": _network, "number of classes": _class_group,
}  # fmt: skip


def _grouped(said: Sequence[Said], of: Callable[[JudgedModel], str]) -> Iterator[str]:
    """What became of the models of each group; AUROC is against all clean models."""
    clean = np.array([one.seen for one in said if one.model.is_clean])
    yield (
        "| | backdoored | AUROC | target first | right | wrong class | could not tell | nothing | "
        "clean | alarms | could not tell |"
    )
    yield "|---|" + "---:|" * 10
    for group in sorted({of(one.model) for one in said} - {""}):
        some = [one for one in said if of(one.model) == group]
        victims = [one for one in some if not one.model.is_clean]
        others = [outcome(one) for one in some if one.model.is_clean]
        fates = [outcome(one) for one in victims]
        cells = [
            str(len(victims)),
            figure(auroc(np.array([one.seen for one in victims]), clean), ".3f"),
            str(sum(one.names_target for one in victims)),
            *(str(fates.count(fate)) for fate in _FATES),
            str(len(others)), str(others.count("alarm")), str(others.count("could not tell")),
        ]  # fmt: skip
        yield f"| {group} | {' | '.join(cells)} |"


_FATES = ("right", "wrong class", "could not tell", "nothing")


def _missed(said: Iterable[Said]) -> Iterator[str]:
    yield "| model | kind | targets | outcome | class | p | strongest evidence |"
    yield "|---|---|---|---|---:|---:|---|"
    for one in said:
        fate, found = outcome(one), one.verdict
        if found is None or fate == ("nothing" if one.model.is_clean else "right"):
            continue
        targets = ", ".join(map(str, one.model.targets)) or "–"
        evidence = ", ".join(
            f"`{k.detector.name}` class {k.index} ×{figure(k.factor(k.index), '.3g')}"
            for k in found.kinds[:3]
        )
        yield (
            f"| {one.model.name} | {one.model.attack} | {targets} | {fate} | {one.index} | "
            f"{one.p:.3f} | {evidence} |"
        )
