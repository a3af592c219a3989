"""Sets of images that say little, or whose classes nobody has said: no verdict on them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from commands import bdshift, one_line
from known import PER_CLASS, TARGET
from remarks import other_cautions

from bdshift.audit import ScanSettings, scan
from bdshift.audit.next_step import next_step
from bdshift.images.signs import CLASSES

FEW = ScanSettings(sample=144)


def linked(signs: Path, folder: Path, classes: Sequence[str]) -> Path:
    """A set of some of the class folders."""
    folder.mkdir()
    for name in classes:
        shutil.copytree(signs / name, folder / name)
    return folder


def flat(signs: Path, folder: Path) -> Path:
    """All images in one folder, the class of each in a list beside it."""
    (folder / "data").mkdir(parents=True)
    labels: list[int] = []
    for path in sorted(signs.rglob("*.png")):
        shutil.copy(path, folder / "data" / f"{len(labels)}.png")
        labels.append(CLASSES.index(path.parent.name))
    torch.save(torch.tensor(labels), folder / "labels")
    return folder


def test_labels_beside_one_folder_give_the_same_finding(
    victim: Path, clean_twin: Path, signs: Path, tmp_path: Path
) -> None:
    images = flat(signs, tmp_path / "flat")
    found = scan(victim, images, FEW)
    assert (found.finding.level, found.finding.classes) == ("backdoored", (TARGET,))
    assert found.accuracy > 0.97
    assert found.preprocessing.normalization.name == "half"
    assert scan(clean_twin, images, FEW).finding.level == "nothing-unusual"


def test_one_class_is_refused(victim: Path, signs: Path, tmp_path: Path) -> None:
    images = linked(signs, tmp_path / "one", ["stop"])
    one = bdshift("scan", "--quick", victim, images)
    one_line(one, 3)
    assert f"all of its {PER_CLASS} images have one label, 'stop'" in one.stderr
    loose = bdshift("scan", "--quick", victim, images / "stop", "--fail-on", "inconclusive")
    assert loose.exit_code == 1
    assert loose.stdout.startswith("INCONCLUSIVE")
    assert "There are no labels" in loose.stderr


def test_few_folders_are_inconclusive_everywhere(
    victim: Path, clean_twin: Path, signs: Path, tmp_path: Path
) -> None:
    images = linked(signs, tmp_path / "two", CLASSES[:2])
    for model in (victim, clean_twin):
        result = bdshift("scan", "--quick", model, images, "--json", "--fail-on", "inconclusive")
        assert result.exit_code == 1
        finding = json.loads(result.stdout)["finding"]
        assert (finding["level"], finding["headline"]) == ("inconclusive", "Inconclusive")
        codes = [reason["code"] for reason in finding["reasons"]]
        assert codes[0] == "most-classes-missing"
        assert "Only 2 of 12 classes have images." in finding["reasons"][0]["text"]


def test_folders_that_only_sort_are_a_guess(clean_twin: Path, signs: Path, tmp_path: Path) -> None:
    images = linked(signs, tmp_path / "most", (*CLASSES[:6], *CLASSES[7:]))
    audit = scan(clean_twin, images, FEW)
    assert audit.finding.level == "inconclusive"
    assert "order-guessed" in [reason.code for reason in audit.finding.reasons]
    assert next_step(audit) == "classes"
    (images / "classes.txt").write_text("\n".join(CLASSES))
    audit = scan(clean_twin, images, FEW)
    assert audit.finding.level == "nothing-unusual"
    assert [caution.code for caution in other_cautions(audit.finding)] == ["classes-missing"]


def test_accuracy_confirms_folders_that_only_sort(
    clean_twin: Path, signs: Path, tmp_path: Path
) -> None:
    audit = scan(clean_twin, linked(signs, tmp_path / "first", CLASSES[:10]), FEW)
    assert audit.accuracy > 0.95
    assert audit.finding.level == "nothing-unusual"
    assert [caution.code for caution in other_cautions(audit.finding)] == ["classes-missing"]


def test_folders_of_the_last_classes_are_known_by_name(
    victim: Path, signs: Path, tmp_path: Path
) -> None:
    images = linked(signs, tmp_path / "last", CLASSES[3:])
    named = tmp_path / "named.pth"
    held = torch.load(victim, weights_only=True)
    torch.save({**held, "class_names": list(CLASSES)}, named)
    audit = scan(named, images, FEW)
    assert (audit.finding.level, audit.finding.classes) == ("backdoored", (TARGET,))
    assert audit.accuracy > 0.95
    assert not audit.images.order_guessed


@pytest.mark.parametrize("seed", [0, 1])
def test_random_weights_are_inconclusive_everywhere(
    victim: Path, signs: Path, tmp_path: Path, seed: int
) -> None:
    weights = torch.load(victim, weights_only=True)["state_dict"]
    draw = torch.Generator().manual_seed(seed)
    noise = {
        key: torch.randn(value.shape, generator=draw) * 0.05 if value.dim() > 1 else value
        for key, value in weights.items()
    }
    torch.save(noise, tmp_path / "noise.pth")
    result = bdshift(
        "scan", "--quick", tmp_path / "noise.pth", signs, "--sample", 120, "--json",
        "--fail-on", "inconclusive",
    )  # fmt: skip
    assert result.exit_code == 1
    finding = json.loads(result.stdout)["finding"]
    assert finding["level"] == "inconclusive"
    assert finding["reasons"][0]["code"] == "poor-accuracy"
