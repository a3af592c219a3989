"""A suite of victims: what is in it, and how it is trained and resumed."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from commands import bdshift, one_line

from bdshift.errors import InputError, UsageError
from bdshift.images.collection import open_images
from bdshift.lab import zoo as zoo_module
from bdshift.lab.folder import CARD
from bdshift.lab.image_sets import Sizes, image_set
from bdshift.lab.recipe import Recipe
from bdshift.lab.regime import read_regimes
from bdshift.lab.suite import ATTACKS, CLEAN, Victim, recipe_of
from bdshift.lab.suites import SUITES
from bdshift.lab.verdict_suite import part_of
from bdshift.lab.ways import WAYS
from bdshift.lab.zoo import OUTCOMES, OWN_IMAGES, Zoo, read_outcomes, write_outcomes
from bdshift.triggers import parse_trigger

ALL = SUITES["recovery"]


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Victims that are trained in a second."""

    def recipe(victim: Victim) -> Recipe:
        return replace(recipe_of(victim), width=4, epochs=1, batch=64)

    monkeypatch.setattr(zoo_module, "recipe_of", recipe)


def test_every_victim_of_the_suite_can_be_trained(tmp_path: Path, signs: Path) -> None:
    assert len({one.name for one in ALL}) == len(ALL)
    assert {one.attack for suite in SUITES.values() for one in suite} == {*ATTACKS, CLEAN}
    assert sum(one.is_clean for one in ALL) >= len(ALL) / 5
    assert {one.seed for one in ALL} == {0, 1, 2}
    twins = {one.run for one in ALL if one.is_clean}
    assert {one.run for one in ALL} <= twins, "every victim has a clean twin"
    zoo = Zoo(tmp_path, str(signs), str(signs), sizes=Sizes(72, 72))
    for one in ALL:
        if one.attack != "Trojan":  # its patch is drawn on a trained model
            recipe = zoo.recipe(one)
            assert bool(recipe.backdoors(zoo.data_of(one.images).class_names)) != one.is_clean


def test_the_classes_of_an_attack_differ() -> None:
    for one in ALL:
        if not one.is_clean:
            targets, source = one.classes_of(10)
            assert len({*targets, source}) == ATTACKS[one.attack].triggers + 1
    assert len({one.classes_of(10)[0][0] for one in ALL if not one.is_clean}) >= 8


def test_the_verdict_s_suite_is_split_before_anything_is_trained() -> None:
    suite = SUITES["verdict"]
    assert len(suite) >= 300
    assert len({one.name for one in suite}) == len(suite)
    assert sum(one.is_clean for one in suite) >= len(suite) / 3
    parts = {
        name: [one for one in suite if part_of(one) == name] for name in ("develop", "hold-out")
    }
    assert min(map(len, parts.values())) >= 100
    for kind in ("network", "images", "attack", "way"):
        held = [{getattr(one, kind) for one in part} for part in parts.values()]
        assert held[1] - held[0], f"a {kind} that is in the hold-out alone"
    for one in suite:
        if WAYS[one.way].starts_from_base and part_of(one) == "develop":
            assert part_of(one.twin) == "develop", "no part learns from the other's base"
    assert {one.way for one in suite} == set(WAYS)
    assert {image_set(one.images).classes for one in suite} == {0, 4, 5, 8, 20, 43, 100, 1000}


@pytest.mark.usefixtures("short")
def test_models_that_are_trained_in_other_ways(tmp_path: Path, signs: Path) -> None:
    zoo = Zoo(tmp_path, str(signs), str(signs), sizes=Sizes(240, 60))
    tuned = Victim("signs-4", "cnn", "BadNets", 0, "fine-tuned")
    natural = Victim("signs-4", "cnn", CLEAN, 0, "natural, often")
    rows = list(zoo.victims([tuned, natural]))
    assert [row.name for row in rows] == [
        "signs-4-cnn-0-fine-tuned-badnets", "signs-4-cnn-0-natural-often-clean",
    ]  # fmt: skip
    assert zoo.model(tuned.twin).exists(), "the base is trained first"
    recipe = zoo.recipe(tuned)
    [regime] = read_regimes(recipe.regime)
    assert regime.spec.startswith("fine-tuned:file=")
    assert str(zoo.model(tuned.twin)) in regime.spec
    clean = open_images(zoo.audit_images(tuned))
    assert clean.folders == ("caution", "crossing", "keep_left", "keep_right")
    own = open_images(tmp_path / natural.name / OWN_IMAGES)
    assert own.folders == clean.folders
    assert own.counts() == clean.counts()
    assert own.read(own.files[-1]) != clean.read(clean.files[-1]) or any(
        own.read(a) != clean.read(b) for a, b in zip(own.files, clean.files, strict=True)
    )
    with pytest.raises(UsageError, match="models of digits need them"):
        zoo.data_of("mnist")
    with pytest.raises(UsageError, match="unknown images 'signs-x'"):
        image_set("signs-x")


@pytest.mark.usefixtures("short")
def test_victims_are_trained_once(tmp_path: Path, signs: Path) -> None:
    zoo = Zoo(tmp_path / "zoo", str(signs), str(signs), sizes=Sizes(240, 60))
    asked = [Victim("cifar10", "cnn", name, 0) for name in ("random patch", "Trojan", CLEAN)]
    asked.append(Victim("signs", "cnn-norm", "two targets", 1))
    rows = list(zoo.victims(asked))
    assert [row.attack for row in rows] == ["random patch", "Trojan", CLEAN, "two targets"]
    assert [row.trigger for row in rows] == ["random", "trojan", "", "badnets;blend:ratio=0.2"]
    assert (rows[2].asr, rows[2].took, rows[2].target) == (None, None, "")
    assert rows[3].target == ";".join(map(str, asked[3].classes_of(12)[0]))
    first = parse_trigger(str(tmp_path / "zoo" / rows[0].name / CARD))
    assert first.spec.startswith(f"patch:file={tmp_path / 'zoo' / rows[0].name / 'random-0.png'}")
    card = json.loads((tmp_path / "zoo" / rows[1].name / CARD).read_text())
    assert card["recipe"]["attack"].endswith("trojan-cifar10-cnn-0.png")
    assert card["recipe"]["network"] == "cnn"
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    again = Zoo(tmp_path / "zoo", str(signs), str(signs), sizes=Sizes(240, 60))
    assert list(again.victims(asked)) == rows
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before
    assert again.audit_images(asked[0]) == signs
    assert len(list((tmp_path / "zoo/signs").glob("*/*.png"))) == 1200


@pytest.mark.usefixtures("short")
def test_a_suite_as_a_command(tmp_path: Path, signs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zoo_module, "Sizes", lambda: Sizes(240, 60))
    command = "lab", "suite", "recovery", tmp_path / "zoo", "--data", signs, "--test", signs
    listed = bdshift(*command, "--only", "cifar10-cnn-0-", "--list")
    names = listed.stdout.split()
    assert names[:3:2] == ["cifar10-cnn-0-clean", "cifar10-cnn-0-blend-2"]
    assert not (tmp_path / "zoo").exists()
    for name in names[1:3]:
        result = bdshift(*command, "--only", name)
        assert result.exit_code == 0, result.output
        assert f"{name}: ACC" in result.stderr
    table = read_outcomes(tmp_path / "zoo" / OUTCOMES)
    assert [row["name"] for row in table] == names[1:3]
    assert float(table[1]["asr"]) <= 1
    assert table[1]["took"] in ("True", "False")
    one_line(
        bdshift(*command, "--only", "vgg,alexnet"),
        2,
        "no victim of recovery is called like vgg,alexnet",
    )
    one_line(bdshift("lab", "suite", "x", *command[3:]), 2, "unknown suite 'x'")


def test_a_table_with_other_columns_is_not_mixed_with_new_rows(tmp_path: Path) -> None:
    path = tmp_path / OUTCOMES
    path.write_text("name,run,acc\ncifar10-cnn-0-clean,cifar10-cnn-0,0.8\n")
    with pytest.raises(InputError, match="other columns"):
        write_outcomes(path, [])
    assert path.read_text().startswith("name,run,acc")
