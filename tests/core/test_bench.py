"""The benchmark: its small parts run here; the whole of it is a command."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from checker_network import SIDE, planted_subject
from commands import bdshift, one_line
from quick import shorten_searches

from bdshift.bench import Bench, BenchRow, as_markdown
from bdshift.bench.false_alarms import false_alarms
from bdshift.bench.inversion import Searched, compare, steps_until
from bdshift.bench.large import measure_apart
from bdshift.detect.detectors.neural_cleanse import Inverted, NeuralCleanse
from bdshift.detect.rule import RULES, default_rule
from bdshift.detect.rules.paper import Paper
from bdshift.jobs import SILENT, Canceled, JobContext
from bdshift.recovery.scene import Scene, scene_of

CLEANSE = NeuralCleanse(steps=3, batches=2, batch=4)


@pytest.fixture
def scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    """A network with four classes and 16 images; searches are short."""
    shorten_searches(monkeypatch)
    subject = planted_subject(tmp_path, images=4)
    with scene_of(
        subject.classifier, subject.collection, subject.embedding, 16, seed=0,
        device=subject.device,
    ) as found:  # fmt: skip
        yield found


def test_a_drawn_problem_is_solved_in_a_process_of_its_own() -> None:
    row = measure_apart(400, 32, 12, SILENT)
    assert row.note.startswith("12 classes solved, KKT residual ")
    assert row.value.endswith(" s")


def test_false_alarms_of_the_default_rule_are_those_it_promises() -> None:
    assert 0.02 < false_alarms(10, default_rule(), 400) < 0.09
    assert false_alarms(5, Paper(), 50) == 0  # |z| cannot reach 2 there


@pytest.mark.parametrize("rule", [*RULES])
def test_false_alarms_are_drawn_from_a_seed(rule: str) -> None:
    chosen = RULES.parse(rule)
    found, again = (false_alarms(20, chosen, 100, seed=3) for _ in range(2))
    assert found == again
    assert 0 <= found < 1


def test_as_markdown() -> None:
    speed, methods = (BenchRow("solve", "1 s", "fast"),), (BenchRow("cut", "2 s", "quick"),)
    text = as_markdown(Bench(speed, methods, {10: {"grubbs": 0.05}}), "bdshift bench")
    assert "| solve | 1 s | fast |" in text
    assert "| cut | 2 s | quick |" in text
    assert "| classes | grubbs |" in text
    assert "| 10 | 5.0% |" in text
    assert "`bdshift bench` on " in text
    assert "A trigger for every class" not in text, "nothing of it was measured"


def test_searches_are_compared_on_the_same_images(scene: Scene) -> None:
    ours, theirs, factor = compare(scene, CLEANSE, 0)
    images = 4 * CLEANSE.steps * CLEANSE.batches * CLEANSE.batch
    assert f" s on the processor; {images} images forward, {images} back; " in theirs.note
    assert "of 4 triggers work" in ours.note
    assert "masks no larger than ours after " in theirs.note
    assert factor.value.endswith((" ×", "—"))
    assert (scene.forwards, scene.backwards) == (0, 0), "both get parts"


def test_a_canceled_comparison_ends(scene: Scene) -> None:
    scene.job = JobContext()
    scene.job.cancel()
    with pytest.raises(Canceled):
        compare(scene, CLEANSE, 0)


def test_what_counts_is_the_time_for_a_trigger_that_works() -> None:
    found = Searched(60.0, 30.0, 2000, 1000, (0.79, 0.8, 1.0, math.nan), (1.0, 4.0, 8.0, 100.0))
    assert (found.working, found.seconds_each) == (2, 30.0)
    assert found.row("ours") == BenchRow(
        "ours", "60.0 s",
        "30.0 s on the processor; 2,000 images forward, 1,000 back; 2 of 4 triggers work, with 6.0 "
        "pixels (median)",
    )  # fmt: skip
    assert Searched(60.0, 30.0, 2, 1, (0.1,), (1.0,)).seconds_each == math.inf


def test_steps_until_a_mask_is_small_enough() -> None:
    blank = torch.zeros(1, SIDE, SIDE)
    one = Inverted(blank, blank, np.array([math.inf, 90.0, math.inf, 20.0, 30.0]))
    found = [steps_until(one, limit) for limit in (math.inf, 90.0, 20.0, 19.0)]
    assert found == [2, 2, 4, 5]
    assert steps_until(Inverted(blank, blank, np.full(3, math.inf)), math.inf) == 3


def test_the_command_measures_searches_instead(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []

    def stand_in(*given: Any) -> list[BenchRow]:
        asked.append(given[:3])
        return [BenchRow("ours", "1 s", "fast")]

    monkeypatch.setattr("bdshift.bench.measure_inversion", stand_in)
    out = tmp_path / "b.md"
    found = bdshift(
        "bench", "--invert", "m.pth", "clean", "--device", "cpu", "--json", "--out", out
    )
    assert found.exit_code == 0, found.output
    assert asked == [(Path("m.pth"), Path("clean"), torch.device("cpu"))]
    told = json.loads(found.stdout)
    assert told["inversion"] == [{"what": "ours", "value": "1 s", "note": "fast"}]
    assert told["speed"] == []
    text = out.read_text()
    assert "`bdshift bench --invert m.pth clean` on " in text
    assert "| ours | 1 s | fast |" in text
    assert [line for line in text.splitlines() if line.startswith("## ")] == [
        "## A trigger for every class"
    ]
    both = bdshift("bench", "--large", "--invert", "m.pth", "clean")
    one_line(both, 2, "give one of them")
    assert len(asked) == 1
