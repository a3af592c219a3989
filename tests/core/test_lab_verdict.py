"""``bdshift lab verdict``: the table of clean models, and how verdicts do."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from commands import bdshift, one_line

from bdshift.errors import InputError
from bdshift.lab.detection import DetectionRow, write_rows
from bdshift.lab.discrimination import found_at
from bdshift.lab.judged_models import HOLD_OUT, judged_models, read_split, suite_split
from bdshift.lab.judging import by_kind, by_rule, figures_of, rules, table_of, verdicts
from bdshift.lab.verdict_page import outcome
from bdshift.verdict.clean_models import read_table

CLASSES = 10


def rows_of(name: str, kind: str, targets: str = "", factor: float = 1.0, seed: int = 0,
            **more: str) -> list[DetectionRow]:  # fmt: skip
    """Rows of the norms and of a mask, of a model whose targets are ``factor`` lower by both."""
    rng = np.random.default_rng(seed)
    found = []
    for text, size, spread in (("shift:alpha=0.1,solver=exact", 6, 0.05), ("mask", 90, 0.3)):
        scores = size * np.exp(spread * rng.standard_normal(CLASSES))
        for one in filter(None, targets.split(";")):
            scores[int(one)] /= factor if text == "mask" else factor**0.3
        network = "cnn" if seed % 2 else "resnet20"
        row = DetectionRow(name, f"g{seed}", network, kind, targets, "", "True", "0.9", text, "0")
        found.append(replace(row, scores=";".join(f"{v:.4g}" for v in scores), **more))
    return found


@pytest.fixture
def rows() -> list[DetectionRow]:
    """Of 60 clean models, and of victims that are easy, hard, of several kinds, and failed."""
    found = [row for i in range(60) for row in rows_of(f"clean-{i}", "clean", seed=i)]
    for i in range(12):
        found += rows_of(f"badnets-{i}", "BadNets", str(i % CLASSES), 12.0, seed=i)
    found += rows_of("weak", "SIG", "2", 1.1, seed=3)
    found += rows_of("two", "two targets", "2;5", 12.0, seed=4)
    found += rows_of("pair", "patch", "2", 12.0, seed=5, source="1")
    found += rows_of("some", "several-to-one", "2", 12.0, seed=5, source="1")
    found += rows_of("all", "all-to-all", seed=6)
    found += rows_of("failed", "BadNets", "2", 12.0, seed=7, took="False")
    found += rows_of("refused", "BadNets", "2", 12.0, seed=7, error="no")
    return found


def test_rows_become_models(rows: list[DetectionRow]) -> None:
    odd = replace(rows[0], detector="shift:alpha=0.5,solver=exact", scores="1;2")
    own = replace(rows[1], detector="pairs:alpha=0.1,significance=0.01")
    again = replace(rows[0], seed="1", scores="1;2")
    models = judged_models([*rows, odd, own, again], {"badnets-1": HOLD_OUT})
    assert len(models) == 60 + 12 + 5
    named = {one.name: one for one in models}
    assert [one.name for one, _ in named["clean-0"].found] == ["shift", "mask"]
    assert named["clean-0"].classes == CLASSES
    assert named["clean-0"].is_clean
    assert named["two"].setting == "several targets"
    assert named["pair"].setting == "one class to another"
    assert named["some"].setting == "several classes to another"
    assert named["all"].setting == "all to all"
    assert named["weak"].setting == "all to one"
    assert (named["badnets-1"].split, named["badnets-0"].split) == (HOLD_OUT, "develop")


def test_what_is_natural_is_left_out_of_the_table(rows: list[DetectionRow]) -> None:
    [plain, *_] = judged_models(rows)
    _, mask = plain.found
    lowest = int(mask[1].scores.argmin())
    shares = ";".join("0.5" if i == lowest else "nan" for i in range(CLASSES))
    [marked, *_] = judged_models([rows[0], replace(rows[1], natural=shares), *rows[2:]])
    assert marked.as_clean().drops["mask"][0] < plain.as_clean().drops["mask"][0]
    assert marked.as_clean().drops["shift"] == plain.as_clean().drops["shift"]


def test_a_model_is_judged_without_its_relatives(rows: list[DetectionRow]) -> None:
    models = judged_models(rows, {"badnets-1": HOLD_OUT})
    said = {one.model.name: one for one in verdicts(models)}
    assert said["badnets-0"].verdict is not None
    assert said["badnets-0"].verdict.standing.models == 59  # the clean one of the same cluster
    assert said["badnets-1"].verdict is not None
    assert said["badnets-1"].verdict.standing.models == 60  # held out: no relative is there
    other = {one.model.name: one for one in verdicts(models, lambda one: one.name)}
    assert other["badnets-0"].verdict is not None
    assert other["badnets-0"].verdict.standing.models == 60


def test_what_becomes_of_models(rows: list[DetectionRow]) -> None:
    said = verdicts(judged_models(rows))
    fates = {one.model.name: outcome(one) for one in said}
    assert {fates[f"badnets-{i}"] for i in range(12)} == {"right"}
    assert fates["two"] == fates["pair"] == "right"
    assert fates["weak"] in ("nothing", "could not tell")
    assert sum(fate == "alarm" for fate in fates.values()) <= 3
    figures = figures_of(said)
    assert (figures.victims, figures.named, figures.clean) == (14, 13, 60)
    assert next(one for one in said if one.model.name == "two").suspected[:2] in ((2, 5), (5, 2))


def test_other_ways_to_decide(rows: list[DetectionRow]) -> None:
    models = judged_models(rows)
    by_mask = {one.model.name: one for one in by_kind(models, "mask")}
    assert all(by_mask[f"badnets-{i}"].names_target for i in range(12))
    assert len(by_kind(models, "warp")) == 0
    for rule in rules():
        said = {one.model.name: one for one in by_rule(models, rule)}
        assert said["badnets-0"].names_target
        assert len(said) == len(models)
    table = table_of(models)
    assert table.both is not None
    assert table.first is not None
    assert (table.both.named, table.first.named) == (13, 13)  # here the norms see them, too
    assert table.first.alarms > table.both.alarms
    alone = judged_models(rows_of("norms alone", "BadNets", "2", 12.0, seed=1)[:1])
    assert table_of([*models, *alone]).first == table.first  # of the same models


def test_detection_at_a_share_of_alarms() -> None:
    clean, victims = np.arange(100.0), np.array([95.5, 98.5, 99.0, 120.0])
    assert found_at(0.0)(victims, clean) == 0.25
    assert found_at(0.01)(victims, clean) == 0.75
    assert found_at(0.05)(victims, clean) == 1.0
    assert np.isnan(found_at(0.05)(victims, np.array([])))


def test_the_command(rows: list[DetectionRow], tmp_path: Path) -> None:
    write_rows(tmp_path / "a.csv", rows[:80])
    write_rows(tmp_path / "b.csv", rows[80:])
    split = tmp_path / "split.csv"
    held = ["clean-50", "clean-51", "badnets-1", "weak"]
    split.write_text("model,split\n" + "".join(f"{one},hold-out\n" for one in held))
    out = tmp_path / "out"
    given = ["lab", "verdict", tmp_path / "a.csv", tmp_path / "b.csv", "--split", split]
    assert bdshift(*given, "--out", out).exit_code == 0
    table = read_table(out / "clean-models.json")
    assert len(table.models) == 58
    assert [len(one) for one in (table.calibration.left_out, table.calibration.held_out)] == [58, 2]
    assert table.made["command"] == "bdshift lab verdict a.csv b.csv --split split.csv"
    page = (out / "verdict.md").read_text(encoding="utf-8")
    assert page.index("## develop") < page.index("## hold-out")
    assert "| verdict, without its network |" in page
    assert "| rule `paper` |" in page
    assert "| `mask` alone |" in page
    assert "| weak | SIG | 2 |" in page.partition("## hold-out")[2]
    with (out / "verdict.csv").open(encoding="utf-8") as stream:
        kept = {row["model"]: row for row in csv.DictReader(stream)}
    assert kept["badnets-1"]["split"] == "hold-out"
    assert kept["badnets-1"]["outcome"] == "right"
    assert kept["badnets-1"]["suspected"].split(";")[0] == "1"
    left_out = sorted(
        float(row["p"])
        for row in kept.values()
        if (row["kind"], row["split"]) == ("clean", "develop")
    )
    assert left_out == list(table.calibration.left_out), "the curve is of the verdicts beside it"
    assert (out / "calibration.svg").read_text(encoding="utf-8").count("<path") > 4


def test_the_suite_says_what_is_held_out() -> None:
    split = suite_split()
    assert split["cifar10-vgg-10-clean"] == HOLD_OUT
    assert split["cifar10-cnn-norm-10-clean"] == "develop"
    assert 0.3 < list(split.values()).count(HOLD_OUT) / len(split) < 0.4


def test_what_shares_no_weights_counts_for_itself(rows: list[DetectionRow]) -> None:
    names = ["cifar10-cnn-norm-10-clean", "cifar10-cnn-norm-10-pruned-clean",
             "cifar10-cnn-norm-10-imbalanced-clean"]  # fmt: skip
    made = [replace(row, model=name, group="one run") for name in names for row in rows[:2]]
    base, pruned, imbalanced = (one.as_clean().cluster for one in judged_models(made))
    assert base == pruned == "one run"
    assert imbalanced == names[2]


def test_what_cannot_be_used_is_refused(rows: list[DetectionRow], tmp_path: Path) -> None:
    split = tmp_path / "split.csv"
    split.write_text("model,split\na,test\n")
    with pytest.raises(InputError, match="each split is develop or hold-out"):
        read_split(split)
    write_rows(tmp_path / "a.csv", [row for row in rows if row.kind != "clean"])
    found = bdshift("lab", "verdict", tmp_path / "a.csv", "--out", tmp_path / "out")
    one_line(found, 2, "no clean models")
