"""The tools that measure unlearning: what they call a tangent is one, and no run is forgotten."""

from __future__ import annotations

import importlib
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from bdshift.audit import Material
from bdshift.purification.vectors import layers_of, weights_of

CAUSES: Any = importlib.import_module("tools.disentanglement_causes")
UNLEARNING: Any = importlib.import_module("tools.unlearning")
TABLES: Any = importlib.import_module("tools.unlearning_table")


@pytest.fixture(scope="module")
def tangent(victim_material: Material) -> Any:
    classifier = victim_material.classifier
    start = weights_of(classifier.network, layers_of(classifier.network))
    return CAUSES.Space(classifier, start, True)


def scaled(vector: dict[str, torch.Tensor], by: float) -> dict[str, torch.Tensor]:
    return {name: by * value for name, value in vector.items()}


@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:FutureWarning")  # torch's own
def test_the_tangent_touches_the_network_and_is_straight(tangent: Any) -> None:
    curved = CAUSES.Space(tangent.classifier, tangent.start, False)
    rng = torch.Generator().manual_seed(0)
    vector = {
        name: 0.1 * value.std().nan_to_num(0.1) * torch.randn(value.shape, generator=rng)
        for name, value in tangent.start.items()
    }
    size = tangent.classifier.preprocessing.size
    pixels = torch.randint(0, 256, (8, 3, size, size), generator=rng, dtype=torch.uint8)
    with torch.no_grad():
        start = curved.logits(scaled(vector, 0), pixels)
        moved = {by: tangent.logits(scaled(vector, by), pixels) - start for by in (0.1, 1.0)}
        apart = [
            (curved.logits(scaled(vector, by), pixels) - start - by * moved[1.0]).norm().item()
            for by in (0.1, 0.01)
        ]
    torch.testing.assert_close(moved[0.1], 0.1 * moved[1.0], rtol=1e-3, atol=1e-3)
    assert apart[1] < apart[0] / 10, "what is left falls with the square of the step"
    assert apart[0] < 0.5 * moved[0.1].norm().item()


def test_tbar_runs_with_three_seeds_and_its_rivals_with_one() -> None:
    runs = UNLEARNING.asked_runs(["tbar:images=50 known", "relabeling known"], None)
    assert [(one.method, one.seed) for one in runs] == [
        ("tbar:images=50", 0), ("tbar:images=50", 1), ("tbar:images=50", 2), ("relabeling", 0),
    ]  # fmt: skip
    assert len(UNLEARNING.asked_runs(["relabeling known"], 3)) == 3


def test_the_pages_have_the_tables_that_the_command_writes(tmp_path: Path) -> None:
    results = TABLES.DOCS / "results"
    rows = TABLES.read_rows(results / TABLES.UNLEARNING)
    summary = (TABLES.DOCS / "results-clip.md").read_text("utf-8")
    assert TABLES.with_tables(summary, results) == summary
    assert (results / "unlearning.md").read_text("utf-8") == TABLES.page(rows)
    for name in (TABLES.UNLEARNING, TABLES.CAUSES):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(results / name, tmp_path / name)
    text = (tmp_path / TABLES.CAUSES).read_text("utf-8")
    (tmp_path / TABLES.CAUSES).write_text(text.rpartition("\n")[0].rpartition("\n")[0], "utf-8")
    assert TABLES.with_tables(summary, tmp_path) != summary, "it follows the rows"


def test_means_and_seeds_are_told_apart() -> None:
    row = {
        "victim": "v", "method": "tbar", "trigger": "known", "images": "2000", "acc before": "0.9",
        "acc after": "0.85", "asr before": "1", "asr after": "0.02", "recall before": "0.8",
        "recall after": "0.7", "said": "Removed",
    }  # fmt: skip
    other = {**row, "asr after": "0.04", "said": "Partial"}
    assert "| 90 | 100 |  |  | 3.0 (5.0) |" in TABLES.means([row, other])
    assert "| TBAR, ours | 2.0, 4.0 | 85, 85 | 70, 70 | Removed, Partial |" in TABLES.page(
        [row, other]
    )
    few = [{**one, "images": "50"} for one in (row, other, other)]
    assert TABLES.images_needed([row, *few]).count("\n") == 2
    assert TABLES.images_needed(few).endswith("| 70, 70, 70 | 1 |")
