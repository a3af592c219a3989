"""Models that are known to be clean, and how much evidence there is against them: the table that an
audit is compared with. It ships with bdshift and is made by ``bdshift lab verdict``.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bdshift.assets import asset
from bdshift.json_data import parse_json
from bdshift.verdict.calibration import Calibration
from bdshift.verdict.strength import StrengthScale, fit_scale
from bdshift.verdict.tail import COUNTED, Tail, fit_tail

TABLE = "verdict/clean-models.json"
"""Name of the table among the assets."""

_MAX_VALUES = 200_000
_COMPARED = -3.0, 6.0  # strengths that tell models apart: below and above, all are alike
_LEAST_SHARE = 0.8  # of the clean models that a kind must have been measured on


@dataclass(frozen=True)
class CleanModel:
    """One of them.

    Attributes:
        name, network: of the model.
        cluster: what it shares with models that are no independent evidence.
        classes: number of classes.
        drops: by kind of evidence, the largest drop of any class, as it is weighed, and the number
            of classes that were compared.
    """

    name: str
    cluster: str
    network: str
    classes: int
    drops: Mapping[str, tuple[float, int]]


@dataclass(frozen=True)
class StageFigures:
    """What a way to decide does on models that it was not fitted on.

    Attributes:
        victims: backdoored models, with targets for images of all classes.
        named: those of them of which it suspects a target.
        clean: clean models.
        alarms: those of them of which it suspects a class.
    """

    victims: int
    named: int
    clean: int
    alarms: int


@dataclass(frozen=True)
class Standing:
    """How many clean models have at least as strong evidence as another model.

    Attributes:
        count: of them.
        models: that were compared.
        p: the share of such models among all clean ones, estimated from these and the model itself,
            each cluster counting as one: (1 + count) / (1 + models) if none share a cluster. That
            is right for a clean model that is exchangeable with them. Where fewer than five have as
            much, it is estimated from how the strongest quarter falls off (`Tail`), if that has
            enough models, but not below what none leaves: so far beyond what was seen, it would be
            a guess.
        least: the smallest p that so many allow.
        estimated: whether p is.
    """

    count: int
    models: int
    p: float
    least: float
    estimated: bool = False

    @property
    def independent(self) -> int:
        """How many models count, where those of a cluster are one."""
        return round(1 / self.least) - 1


@dataclass(frozen=True)
class CleanModels:
    """The table.

    Attributes:
        scales: by kind of evidence, in the order of the detectors.
        models: the clean models.
        made: how: command, seed, versions.
        first, both: what the norms alone do under the default rule, and what this table does; None
            if it was not measured.
        calibration: how right p is, of clean models that such a table was not fitted on.
    """

    scales: Mapping[str, StrengthScale]
    models: tuple[CleanModel, ...]
    made: Mapping[str, str] = field(default_factory=dict)
    first: StageFigures | None = None
    both: StageFigures | None = None
    calibration: Calibration = Calibration()

    def null(self, kinds: Sequence[str]) -> CleanStrengths:
        """The strongest evidence of these kinds against each clean model of which all are known."""
        known = [one for one in self.models if all(kind in one.drops for kind in kinds)]
        weights = cluster_weights([one.cluster for one in known])
        return CleanStrengths(np.array([self._strongest(one, kinds) for one in known]), weights)

    def most_similar(self, strongest: Mapping[str, float], count: int = 3) -> list[CleanModel]:
        """The clean models whose strongest evidence of every kind is most like ``strongest``, by
        kind.
        """
        known = [one for one in self.models if strongest.keys() <= one.drops.keys()]
        kinds = list(strongest)
        own = np.clip([strongest[kind] for kind in kinds], *_COMPARED)
        away = [
            float(np.abs(np.clip([self._strength(one, kind) for kind in kinds], *_COMPARED) - own)
                  .sum())
            for one in known
        ]  # fmt: skip
        return [known[place] for place in np.argsort(away, kind="stable")[:count]]

    def _strongest(self, model: CleanModel, kinds: Sequence[str]) -> float:
        return max(self._strength(model, kind) for kind in kinds)

    def _strength(self, model: CleanModel, kind: str) -> float:
        drop, tried = model.drops[kind]
        return float(self.scales[kind].strength(np.array(drop), tried))


@dataclass(frozen=True)
class CleanStrengths:
    """How strong the evidence against clean models is, (n,), and how much each model counts."""

    strengths: NDArray[np.float64]
    weights: NDArray[np.float64]

    @cached_property
    def tail(self) -> Tail | None:
        """How the strongest of them fall off; None if they are too few."""
        return fit_tail(self.strengths, self.weights)

    def standing(self, strength: float) -> Standing:
        """Of a model whose strongest evidence is ``strength``, beside them."""
        above, total = self.strengths >= strength, float(self.weights.sum())
        count, weight, tail = int(above.sum()), float(self.weights[above].sum()), self.tail
        least, most = 1 / (1 + total), (1 + COUNTED) / (1 + total)
        if tail is None or weight >= COUNTED:
            return Standing(count, len(above), (1 + weight) * least, least)
        p = max(min(tail.p(strength), most), least)
        return Standing(count, len(above), p, least, estimated=count > 0 or p > least)


def cluster_weights(clusters: Sequence[str]) -> NDArray[np.float64]:
    """A weight for each model, (n,), so that those of a cluster count as one."""
    sizes = Counter(clusters)
    return np.array([1 / sizes[one] for one in clusters])


def fit_table(models: Sequence[CleanModel], detectors: Mapping[str, str]) -> CleanModels:
    """The table of clean models. ``detectors`` are the kinds of evidence, with what they were
    measured with; those that too few of the models have are left out.
    """
    scales = {}
    for kind, text in detectors.items():
        known = [one for one in models if kind in one.drops]
        if known and len(known) >= _LEAST_SHARE * len(models):
            largest = np.array([one.drops[kind][0] for one in known])
            scales[kind] = fit_scale(text, largest, cluster_weights([o.cluster for o in known]))
    return CleanModels(scales, tuple(models))


def table_text(table: CleanModels) -> str:
    """The table as JSON, one model a line."""
    parts: dict[str, Any] = {
        "made": dict(table.made),
        "first": None if table.first is None else asdict(table.first),
        "both": None if table.both is None else asdict(table.both),
        "calibration": asdict(table.calibration),
    }
    lines = [f" {json.dumps(key)}: {json.dumps(value)}" for key, value in parts.items()]
    scales = (json.dumps({"kind": kind, **_rounded(one)}) for kind, one in table.scales.items())
    models = (json.dumps(asdict(one), ensure_ascii=False) for one in table.models)
    for key, rows in ("scales", scales), ("models", models):
        lines.append(f' "{key}": [\n  ' + ",\n  ".join(rows) + "\n ]")
    return "{\n" + ",\n".join(lines) + "\n}\n"


def _rounded(scale: StrengthScale) -> dict[str, Any]:
    return {
        key: round(value, 6) if isinstance(value, float) else value
        for key, value in asdict(scale).items()
    }


def read_table(path: Path) -> CleanModels:
    """The table in a file that `table_text` made."""
    found = parse_json(path.read_bytes(), _MAX_VALUES)
    first, both = (one and StageFigures(**one) for one in (found["first"], found["both"]))
    return CleanModels(
        {kind: StrengthScale(**rest) for kind, rest in _by_kind(found["scales"])},
        tuple(_model(one) for one in found["models"]),
        found["made"], first, both,
        Calibration(**{key: tuple(values) for key, values in found["calibration"].items()}),
    )  # fmt: skip


def _by_kind(rows: Sequence[dict[str, Any]]) -> Iterator[tuple[str, dict[str, Any]]]:
    for row in rows:
        yield row["kind"], {key: value for key, value in row.items() if key != "kind"}


def _model(row: dict[str, Any]) -> CleanModel:
    drops = {kind: (float(drop), int(tried)) for kind, (drop, tried) in row["drops"].items()}
    return CleanModel(**{**row, "drops": drops})


@cache
def shipped_table() -> CleanModels:
    """The table that ships with bdshift."""
    return read_table(asset(TABLE))
