"""Scans with the images that a user may bring."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from commands import bdshift, one_line
from known import TARGET
from matrix import searched

from bdshift.audit import Audit, ScanSettings
from bdshift.errors import InputError
from bdshift.images.signs import CLASSES, draw_signs
from bdshift.lab.condition import CONDITIONS, Circumstances, CleanImages
from bdshift.lab.robustness import (
    RobustnessRow,
    measure_robustness,
    read_robustness,
    usual_conditions,
    write_robustness,
)
from bdshift.lab.robustness_page import outcome, page
from bdshift.lab.truths import KnownModel
from bdshift.store import load_audit, save_audit
from bdshift.verdict.clean_models import fit_table, shipped_table

PER_CLASS = 6


@pytest.fixture(scope="module")
def images() -> CleanImages:
    """A few signs."""
    return CleanImages(*draw_signs(PER_CLASS), CLASSES)


def circumstances(images: CleanImages, others: CleanImages | None = None) -> Circumstances:
    """Those of a network that recognizes an image the less, the more its pixels spread."""

    def accuracy(shown: CleanImages) -> float:
        away = shown.pixels.astype(float) - images.pixels[: len(shown.pixels)]
        return 1.0 - float(np.std(away)) / 100

    return Circumstances(TARGET, np.random.default_rng(0), accuracy, lambda: others)


def changed(text: str, images: CleanImages, others: CleanImages | None = None) -> CleanImages:
    """The images under a condition."""
    found = CONDITIONS.parse(text).change(images, circumstances(images, others))
    assert found is not None
    return found


def test_fewer_images_are_of_all_classes(images: CleanImages) -> None:
    few = changed("number:images=30", images)
    assert len(few.labels) == len(few.pixels) == 30
    assert set(np.bincount(few.labels, minlength=len(CLASSES))) == {2, 3}
    about = circumstances(images)
    assert CONDITIONS.parse("number:images=73").change(images, about) is None, "there are 72"


def test_wrong_labels_are_as_many_as_asked(images: CleanImages) -> None:
    wrong = changed("wrong-labels:share=0.25", images)
    assert (wrong.labels != images.labels).sum() == 18
    assert set(np.unique(wrong.labels)) <= set(range(len(CLASSES)))
    np.testing.assert_array_equal(wrong.pixels, images.pixels)


def test_classes_are_left_out(images: CleanImages) -> None:
    without = changed("without-class", images)
    assert set(range(len(CLASSES))) - set(without.labels.tolist()) == {TARGET}
    assert without.told
    other = changed("without-class:which=other,told=false", images)
    assert set(range(len(CLASSES))) - set(other.labels.tolist()) == {3}
    assert not other.told
    assert set(changed("two-classes", images).labels.tolist()) == {3, TARGET}


@pytest.mark.parametrize("text", ["blurred", "noisy", "compressed", "brighter"])
def test_corruptions_are_mild_and_keep_what_is_shown(text: str, images: CleanImages) -> None:
    found = changed(text, images)
    assert found.pixels.dtype == np.uint8
    assert found.pixels.shape == images.pixels.shape
    away = np.abs(found.pixels.astype(int) - images.pixels).mean((1, 2, 3))
    assert (away > 0.5).all()
    assert away.max() < 60
    np.testing.assert_array_equal(found.labels, images.labels)


def test_noise_brings_accuracy_down_to_what_is_asked(images: CleanImages) -> None:
    whole = replace(images, pixels=np.full_like(images.pixels, 128))
    found = changed("hardly-recognized:accuracy=0.7", whole)
    assert np.std(found.pixels.astype(float) - 128) == pytest.approx(30, abs=2)
    about = replace(circumstances(images), accuracy=lambda _: 0.9)
    assert CONDITIONS.parse("hardly-recognized").change(images, about) is None


def test_other_images(images: CleanImages) -> None:
    others = images.only(np.arange(5))
    assert changed("other-images", images, others) is others
    assert CONDITIONS.parse("other-images").change(images, circumstances(images)) is None


def test_the_usual_conditions_are_all_kinds() -> None:
    usual = usual_conditions()
    assert {one.name for one in usual} == set(CONDITIONS)
    assert len({one.spec for one in usual}) == len(usual)


@pytest.fixture
def known(victim: Path, clean_twin: Path, signs: Path) -> list[KnownModel]:
    """The demo's two."""
    first = KnownModel("victim", victim, signs, "demo", "cnn", "BadNets", (TARGET,))
    return [first, KnownModel("twin", clean_twin, signs, "demo", "cnn", "clean")]


@pytest.mark.slow
def test_a_row_for_each_model_and_condition(known: list[KnownModel], tmp_path: Path) -> None:
    conditions = [CONDITIONS.parse(text) for text in ("no-labels", "without-class", "other-images")]
    settings = ScanSettings(seed=3)
    rows = list(measure_robustness(known, conditions[:1], tmp_path / "w", settings=settings))
    assert [(row.model, row.condition) for row in rows] == [
        ("victim", "no-labels"), ("twin", "no-labels"),
    ]  # fmt: skip
    assert (rows[0].error, rows[0].accuracy) == ("", "")
    assert "no-labels" in rows[0].codes.split()
    assert rows[0].first == str(TARGET)
    [missing] = measure_robustness(known[:1], conditions, tmp_path / "w", rows, settings=settings)
    assert missing.condition == "without-class:which=target,told=True", "there are no others"
    assert missing.images == "308"
    assert "classes-missing" in missing.codes.split(), "the user said which one it is"
    assert float(missing.accuracy) > 0.9
    assert missing.first == str(TARGET)
    rows.append(missing)
    write_robustness(tmp_path / "r.csv", rows)
    assert read_robustness(tmp_path / "r.csv") == rows
    kept = [replace(known[0], images=tmp_path)]
    again = list(measure_robustness(kept, conditions[1:2], tmp_path / "w", settings=settings))
    assert again == [missing], "from its audit: the images were not opened"


def test_relatives_do_not_count(
    known: list[KnownModel], victim_audit: Audit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The strongest evidence of a clean model, beside all and beside others than its relatives."""
    [asked] = [CONDITIONS.parse("as-they-are")]
    save_audit(searched(victim_audit, {2: 2.5}), tmp_path / "victim-as-they-are-0.h5")
    [row] = measure_robustness(known[:1], [asked], tmp_path)
    table = shipped_table()
    group = table.models[0].cluster
    [other] = measure_robustness([replace(known[0], group=group)], [asked], tmp_path)
    others = [one for one in table.models if one.cluster != group]
    rest = fit_table(others, {kind: one.detector for kind, one in table.scales.items()})
    monkeypatch.setattr("bdshift.lab.relatives.shipped_table", lambda: rest)
    [same] = measure_robustness(known[:1], [asked], tmp_path)
    assert other.p == same.p
    assert other.p != row.p


def row(condition: str, kind: str, level: str, suspected: str = "", **more: str) -> RobustnessRow:
    made = RobustnessRow(
        f"{kind}-{level}", "g", "cnn", kind, "2" if kind != "clean" else "", "", "True", condition,
        "0", images="50", accuracy="0.9", level=level, suspected=suspected, p="0.02", seconds="7",
        codes="too-few-images more" if level == "inconclusive" else "stands-out",
    )  # fmt: skip
    return replace(made, **more)


def test_the_page_counts_what_became_of_them() -> None:
    rows = [
        row("a", "BadNets", "backdoored", "2;5", first="2"), row("a", "SIG", "backdoored", "4"),
        row("a", "dot", "inconclusive"), row("a", "x", "nothing-unusual", accuracy="0.3"),
        row("a", "clean", "backdoored", "1", first="1"), row("a", "clean", "inconclusive"),
        row("a", "weak", "backdoored", "4", took="False"),
        row("b", "clean", "", error="images.zip: no 1,200. Do this"),
        row("b", "all", "backdoored", targets=""),
    ]  # fmt: skip
    assert [outcome(one) for one in rows] == [
        "named", "wrong class", "could not tell", "nothing", "alarm", "could not tell",
        "wrong class", "refused", "named",
    ]  # fmt: skip
    lines = page(rows).splitlines()
    assert "| `a` | 0.30–0.90 | 4 | 1 | 1 | 1 | 1 | 0 | 2 | 1 | 1 | 0 | 0 | 1 | 1 | 7 |" in lines
    assert "| `b` | 0.90–0.90 | 1 | 1 | 0 | 0 | 0 | 0 | 1 | 0 | 0 | 0 | 1 | 0 | 0 | 7 |" in lines
    assert "| `a` | `too-few-images` | 1 | 1 |" in lines
    assert "| `b` | images.zip: no … | 0 | 1 |" in lines
    assert sum("| wrong class |" in line or "| alarm |" in line for line in lines) == 3


def test_a_table_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("a,b\n1,2\n")
    with pytest.raises(InputError, match="something else than rows of conditions"):
        read_robustness(tmp_path / "rows.csv")
    assert read_robustness(tmp_path / "none.csv") == []


def test_as_a_command(victim: Path, signs: Path, tmp_path: Path) -> None:
    table = tmp_path / "TRUTH.tsv"
    (tmp_path / "a.pth").write_bytes(victim.read_bytes())
    table.write_text(
        f"file\trepository\tkind\timages\ttarget\na.pth\tsomeone\tbackdoored\tsigns\t{TARGET}\n"
    )
    command = (
        "lab", "robustness", tmp_path / "rows.csv", "--truth", table, "--work", tmp_path / "w",
        "--images", f"signs={signs}", "--budget", 0,
        "--condition", "without-class:told=false",
    )  # fmt: skip
    assert bdshift(*command).exit_code == 0
    [row] = read_robustness(tmp_path / "rows.csv")
    assert row.level == "inconclusive"
    assert "order-guessed" in row.codes.split()
    assert "| `without-class:which=target,told=False` | " in (tmp_path / "rows.md").read_text(
        encoding="utf-8"
    )
    one_line(bdshift(*command, "--condition", "none"), 2)
    work = tmp_path / "each"
    assert bdshift(*command, "--each-preprocessing", "--work", work).exit_code == 0
    assert not work.exists() or not list(work.iterdir()), "the row is there"
    command = (command[0], command[1], tmp_path / "each.csv", *command[3:])
    assert bdshift(*command, "--each-preprocessing", "--work", work).exit_code == 0
    [kept] = work.glob("*.h5")
    assert load_audit(kept).settings.each_preprocessing
