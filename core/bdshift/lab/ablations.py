"""What the paper leaves open about its own detector, on victims whose ground truth is known: the
solver, α, the number of clean images, and images of something else. All from the cached logits; a
network is run only for the images of something else.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from statistics import fmean, median
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from bdshift.checkpoints.classifier import Classifier
from bdshift.detect.rule import judge, z_scores
from bdshift.detect.rules.grubbs import Grubbs
from bdshift.jobs import SILENT, JobContext
from bdshift.neurons.rankings import cosine, data_free_direction
from bdshift.shift.adam import solve_adam
from bdshift.shift.exact import solve_exact
from bdshift.shift.result import Shifts
from bdshift.text import figure, json_number

ALPHAS = (0.01, 0.03, 0.1, 0.3, 1.0)
COUNTS = (10, 20, 50, 100, 200, 500, 1000, 2500, 5000)
DRAWS = 10
"""Random sets of clean images of each size."""

Values = NDArray[np.float32]
Row = dict[str, Any]


def ablate(
    logits: Values,
    weight: Values,
    tac: NDArray[np.float64] | None,
    target: int,
    others: dict[str, Values],
    *,
    seed: int = 0,
    job: JobContext = SILENT,
) -> list[Row]:
    """A row for each thing tried.

    Args:
        logits: of the clean images, (N, C).
        weight: of the head, (C, d).
        tac: of each neuron, (d,); None for a clean model.
        target: index of the poisoned class; −1 for a clean model.
        others: logits of images of something else, by what they are.
        seed: of the random sets.
    """
    direction = data_free_direction(weight, max(target, 0))

    def row(what: str, value: object, shifts: Sequence[Shifts]) -> Row:
        judgments = [judge(one.l2) for one in shifts]
        found: Row = {
            "what": what,
            "value": value,
            "sets": len(shifts),
            "flagged": fmean(target in one.flagged for one in judgments),
            "false_alarms": fmean(bool({*one.flagged} - {target}) for one in judgments),
            "seconds": median(one.seconds for one in shifts),
            "l2": np.median([one.l2 for one in shifts], axis=0).tolist(),
        }
        if target >= 0:
            ours = [one.shift[target] for one in shifts]
            found["z"] = median(float(z_scores(one.l2)[target]) for one in shifts)
            found["p"] = median(float(one.statistics[Grubbs.name][target]) for one in judgments)
            # None where the shift is zero: all images are already classified as the target
            found["cosine_data_free"] = json_number(median(cosine(one, direction) for one in ours))
            if tac is not None:
                moved = median(cosine(np.abs(one), tac) for one in ours)
                found["cosine_tac"] = json_number(moved)
        return found

    rng = np.random.default_rng(seed)
    exact = solve_exact(logits, weight)
    found = [row("solver", "exact", [exact]), row("solver", "adam", [solve_adam(logits, weight)])]
    found += [row("alpha", alpha, [solve_exact(logits, weight, alpha=alpha)]) for alpha in ALPHAS]
    for count in (n for n in COUNTS if n <= len(logits)):
        sets = [rng.choice(len(logits), count, replace=False) for _ in range(DRAWS)]
        found.append(row("images", count, [solve_exact(logits[rows], weight) for rows in sets]))
        job.progress("Solving", COUNTS.index(count) + 1, len(COUNTS), "sizes")
    found += [row("other images", name, [solve_exact(z, weight)]) for name, z in others.items()]
    if target >= 0 and tac is not None:
        found.append(
            {
                "what": "data-free", "value": "w − w̄",
                "cosine_tac": cosine(np.abs(direction), tac),
                "cosine_data_free": 1.0,
            }
        )  # fmt: skip
    return found


def foreign_logits(classifier: Classifier, images: torch.Tensor, batch: int = 250) -> Values:
    """Logits of images of something else, uint8 (n, 3, s, s); Eq. 4 needs no labels."""
    found = []
    for part in images.split(batch):
        phi, _ = classifier.embed(classifier.preprocessing(part))
        found.append((phi @ classifier.weight.T + classifier.bias).float().numpy())
    return np.concatenate(found)


def noise(count: int, size: int, seed: int = 0) -> torch.Tensor:
    """Uniform random pixels, uint8 (count, 3, size, size)."""
    rng = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (count, 3, size, size), generator=rng, dtype=torch.uint8)


def ablation_table(victims: dict[str, Sequence[Row]]) -> str:
    """Markdown: one table for each thing tried, one column per victim."""
    parts = [
        "# Ablations of the detector",
        "",
        "Made by `bdshift lab ablations`. A cell is how often the target is flagged, its z and p, "
        "and the cosine of the shift's absolute values with TAC; of sets of images, the share of "
        f"{DRAWS} random ones and medians. † some other class was flagged.",
        "",
    ]
    for what in ("solver", "alpha", "images", "other images", "data-free"):
        values = list(
            dict.fromkeys(
                row["value"] for rows in victims.values() for row in rows if row["what"] == what
            )
        )
        if values:
            parts += [f"## {what}", "", *_lines(what, values, victims), ""]
    return "\n".join(parts)


def _lines(what: str, values: Sequence[object], victims: dict[str, Sequence[Row]]) -> Iterator[str]:
    yield f"| | {' | '.join(victims)} |"
    yield "|---|" + "---:|" * len(victims)
    for value in values:
        cells = []
        for rows in victims.values():
            fitting = [row for row in rows if (row["what"], row["value"]) == (what, value)]
            cells.append(_cell(fitting[0]) if fitting else "–")
        yield f"| {value} | {' | '.join(cells)} |"


def _cell(row: Row) -> str:
    parts = []
    if "flagged" in row:
        alarm = "†" if row["false_alarms"] else ""
        parts.append(f"{row['flagged']:.0%}{alarm}")
    if "z" in row:
        parts.append(f"{row['z']:.2f}".replace("-", "−"))
        parts.append(f"{row['p']:.1g}")
    if "cosine_tac" in row:
        parts.append(figure(row["cosine_tac"], ".3f"))
    return ", ".join(parts)
