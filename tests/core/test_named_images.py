"""Sets that torchvision keeps: read where they lie, never fetched unasked."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from commands import bdshift
from PIL import Image
from torchvision import datasets

from bdshift.errors import InputError, UsageError
from bdshift.lab.data import load_lab_data


def write_gtsrb(root: Path) -> None:
    training = root / "gtsrb/GTSRB/Training"
    tests = root / "gtsrb/GTSRB/Final_Test/Images"
    tests.mkdir(parents=True)
    lines = ["Filename;Width;Height;ClassId"]
    for label in range(3):
        (training / f"{label:05}").mkdir(parents=True)
        for number in range(4):
            picture = Image.new("RGB", (20, 30), (80 * label, 10, 200))
            picture.save(training / f"{label:05}" / f"{number}.ppm")
        picture.save(tests / f"{label}.ppm")
        lines.append(f"{label}.ppm;20;30;{label}")
    (root / "gtsrb/GT-final_test.csv").write_text("\n".join(lines))


def test_gtsrb_is_read_as_torchvision_keeps_it(tmp_path: Path) -> None:
    write_gtsrb(tmp_path)
    found = load_lab_data("gtsrb", "", root=tmp_path, size=16)
    assert found.class_names == ("00000", "00001", "00002")
    assert found.train_pixels.shape == (12, 3, 16, 16)
    assert found.test_labels.tolist() == [0, 1, 2]
    for pixels, labels in (
        (found.train_pixels, found.train_labels), (found.test_pixels, found.test_labels)
    ):  # fmt: skip
        assert (pixels[:, 0, 0, 0] == 80 * labels).all()


def test_a_victim_of_a_named_set(tmp_path: Path) -> None:
    write_gtsrb(tmp_path)
    command = "lab", "train", tmp_path / "v", "--data", "gtsrb", "--root"
    done = bdshift(*command, tmp_path, "--epochs", 1, "--width", 4, "--batch", 6)
    assert done.exit_code == 0, done.output
    assert str(tmp_path) not in (tmp_path / "v/card.json").read_text()
    wrong = bdshift(*command, tmp_path / "none")
    assert wrong.exit_code == 3
    assert "--download" in wrong.stderr
    assert not (tmp_path / "none").exists(), "nothing was written"


@pytest.mark.parametrize("name", ["cifar10", "cifar100"])
def test_cifar_is_fetched_only_when_asked(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(InputError, match="is not there"):
        load_lab_data(name, "", root=tmp_path)
    asked: list[tuple[bool, bool]] = []

    def made(root: str, *, train: bool, download: bool) -> object:
        asked.append((train, download))
        data = np.full((6 if train else 2, 32, 32, 3), 7, np.uint8)
        data[:, :, :, 2] = 9
        return SimpleNamespace(data=data, targets=[1] * len(data), classes=["cat", "dog"])

    monkeypatch.setattr(datasets, name.upper(), made)
    found = load_lab_data(name, "", root=tmp_path, download=True)
    assert asked == [(True, True), (False, True)]
    assert found.train_pixels.shape == (6, 3, 32, 32)
    assert found.train_pixels[0, :, 3, 4].tolist() == [7, 7, 9]
    assert found.test_labels.tolist() == [1, 1]
    with pytest.raises(InputError, match="are 32 px wide, not 64"):
        load_lab_data(name, "", root=tmp_path, size=64)
    with pytest.raises(UsageError, match="has its own test set; leave out --test"):
        load_lab_data(name, "test.zip", root=tmp_path)
