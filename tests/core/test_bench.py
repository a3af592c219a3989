"""The benchmark: its small parts run here; the whole of it is a command."""

from __future__ import annotations

import pytest

from bdshift.bench import Bench, BenchRow, as_markdown
from bdshift.bench.false_alarms import false_alarms
from bdshift.bench.large import measure_apart
from bdshift.detect.rule import RULES, default_rule
from bdshift.detect.rules.paper import Paper
from bdshift.jobs import SILENT


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
