"""The results of many models: how they are kept, ranked, and shown."""

from __future__ import annotations

import json
import math
import sqlite3
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from commands import bdshift, one_line
from scripted_engine import REASON
from torch import nn

from bdshift.errors import InputError
from bdshift.fleet.html import fleet_html, fleet_report
from bdshift.fleet.identity import Stamp
from bdshift.fleet.kin import families, sketch
from bdshift.fleet.pages import fleet_csv, fleet_json, fleet_text, level_of
from bdshift.fleet.ranking import first_to_look_at, q_values
from bdshift.fleet.results import Results, Row
from bdshift.fleet.table import ranked
from bdshift.fleet.task import Result
from bdshift.kinds import RESULTS


def done(p: float = 0.5, **more: object) -> Result:
    return Result("done", REASON, "nothing-unusual", p=p, **more)  # type: ignore[arg-type]


def test_q_is_benjamini_and_hochbergs() -> None:
    assert q_values([0.01, 0.04, math.nan, 0.03, 0.5]) == pytest.approx(
        [0.04, 0.16 / 3, math.nan, 0.16 / 3, 0.5], nan_ok=True
    )
    assert np.isnan(q_values([math.nan])).all()
    assert q_values([0.9, 0.8]).max() <= 1


def test_the_most_suspicious_come_first() -> None:
    results = [
        done(0.3), Result("crashed", REASON), Result("done", REASON, "backdoored", p=0.02),
        Result("done", REASON, "inconclusive"),
        Result("done", REASON, "backdoored", p=0.02, strength=9.0),
    ]  # fmt: skip
    assert first_to_look_at(results) == [4, 2, 3, 0, 1]


def network(seed: int) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Conv2d(3, 16, 3), nn.BatchNorm2d(16), nn.Flatten(), nn.Linear(64, 5))


def sketched(one: nn.Sequential) -> list[float]:
    return sketch(one, one[-1]).tolist()


def test_models_from_one_base_are_one_family() -> None:
    base, tuned, other = network(0), network(0), network(1)
    with torch.no_grad():
        for weight in tuned.parameters():
            weight.add_(0.02 * torch.randn_like(weight))
        nn.init.zeros_(tuned.get_parameter("3.weight"))  # another head is no other base
    sketches = [sketched(base), sketched(other), sketched(tuned), []]
    assert families(["r"] * 4, sketches).tolist() == [0, 1, 0, 2]
    assert families(["r", "r", "s", ""], sketches).tolist() == [0, 1, 2, 3]


def test_a_chain_joins_a_family() -> None:
    start = np.zeros(64)
    start[0] = 1
    step = np.zeros(64)
    step[1] = 0.4
    chain = [(start + k * step).tolist() for k in (3, 0, 2, 1)]
    assert families(["r"] * 4, chain).tolist() == [0, 0, 0, 0]
    assert families(["r"] * 2, [chain[0], chain[1]]).tolist() == [0, 1]


def test_weights_that_are_no_numbers_are_of_no_family() -> None:
    broken = network(0)
    nn.init.constant_(broken.get_parameter("0.weight"), math.nan)
    assert sketched(broken) == []
    assert families(["r"] * 3, [[1.0] * 64, [math.nan] * 64, [1.0] * 64]).tolist() == [0, 1, 0]


def row(model: str, result: Result) -> Row:
    return Row(model, "/clean", "q", model, Stamp(1, 2), "", "2026-01-02T03:04Z", result)


def test_rows_survive_and_are_replaced(tmp_path: Path) -> None:
    results = Results(tmp_path)
    assert results.rows() == []
    first = row("a", done(norms=(1.0, math.nan), sketch=(0.5,)))
    results.put(first)
    [(number, kept)] = results.rows()
    assert kept.result.norms[0] == 1
    assert math.isnan(kept.result.norms[1])
    assert replace(kept, result=first.result) == first
    results.put(row("a", Result("crashed", REASON)))
    [(newer, replaced)] = results.rows(after=number)
    assert newer > number
    assert replaced.result.status == "crashed"


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE audit SET file = '../../etc/passwd'",
        'UPDATE audit SET result = \'{"status": "done"}\'',
        "UPDATE audit SET result = 'no JSON'",
        "UPDATE audit SET model = x'00'",
        "UPDATE audit SET size = 'large'",
        "PRAGMA user_version = 99",
        "CREATE VIEW more AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i FROM n) "
        "SELECT i FROM n",
        "CREATE TRIGGER more AFTER INSERT ON audit BEGIN DELETE FROM audit; END",
        "ALTER TABLE audit ADD COLUMN more TEXT AS (printf('%.*c', 1000000, 'x'))",
        "DROP TABLE audit",
    ],
)
def test_damaged_results_are_refused(damage: str, tmp_path: Path) -> None:
    Results(tmp_path).put(row("a", done()))
    with sqlite3.connect(tmp_path / RESULTS) as base:
        base.execute(damage)
    base.close()
    with pytest.raises(InputError, match="no file of a fleet, or damaged"):
        Results(tmp_path).rows()


def test_a_file_that_was_only_begun_is_empty(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / RESULTS) as base:
        base.execute("PRAGMA journal_mode=WAL")
    base.close()
    assert Results(tmp_path).rows() == []
    Results(tmp_path).put(row("a", done()))
    assert len(Results(tmp_path).rows()) == 1


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    (tmp_path / RESULTS).write_bytes(b"something else" * 100)
    one_line(bdshift("fleet", "--out", tmp_path), 3, "no file of a fleet")


def test_pages_agree_with_the_rows() -> None:
    rows = [
        row("/m/clean.pth", done(0.4, beside=True)),
        row("/m/<b>.pth", Result("done", REASON, "backdoored", 3, "=cat", 0.015, True)),
        row("/m/broken.pth", Result("refused", REASON)),
    ]  # fmt: skip
    found = ranked(rows)
    assert [level_of(one) for one in found] == [
        "Probably backdoored", "Nothing unusual found", "Cannot be audited",
    ]  # fmt: skip
    text = fleet_text(found)
    assert text.startswith("Probably backdoored: 1 · Nothing unusual found: 1 · Cannot be audited")
    assert "Of 2 clean models, about 0.04 would be suspected by chance alone" in text
    described = fleet_json(found)["models"]
    assert described[0]["q"] == pytest.approx(0.03)
    assert described[2]["p"] is None
    assert ",'=cat," in fleet_csv(found)
    results = json.loads(fleet_report(found, Path("t.sarif"), Path("results")))["runs"][0][
        "results"
    ]
    assert [one["properties"] for one in results] == [
        {"p": 0.015, "q": pytest.approx(0.03)}, {"p": None, "q": None},
    ]  # fmt: skip
    for language, words in {"en": "Said so.", "ja": "そう言った。"}.items():
        page = fleet_html(found, language)  # type: ignore[arg-type]
        assert words in page
        assert "&lt;b&gt;.pth" in page
        assert "<b>.pth" not in page
