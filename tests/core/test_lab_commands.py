"""The commands of the lab: training that can be stopped and repeated, and one-line errors."""

from __future__ import annotations

import csv
import json
import shlex
import shutil
from pathlib import Path

import pytest
import torch
from click.testing import Result
from commands import bdshift, one_line
from known import STICKER

import bdshift.lab.train as training
from bdshift.cli import lab
from bdshift.lab.protocol import scales
from bdshift.lab.recipe import RECIPES
from bdshift.lab.trojan import TrojanPatch
from bdshift.resume import write_state
from bdshift.setting import options_of


def test_lab_signs(tmp_path: Path) -> None:
    assert bdshift("lab", "signs", tmp_path / "s", "--per-class", 2).exit_code == 0
    assert len(list((tmp_path / "s").glob("*/*.png"))) == 24


def test_choices_and_defaults_are_those_of_the_lab() -> None:
    def shown(*words: str) -> str:
        return " ".join(bdshift("lab", *words, "--help").output.split())

    assert f"--recipe [{'|'.join(RECIPES)}]" in shown("train")
    for words in ("tables", "ablations"):
        assert f"--scale [{'|'.join(scales())}]" in shown(words)
        assert all(scale.summary in shown(words) for scale in scales().values())
    options = {
        one.name: one
        for one in lab.trojan.get_params(lab.trojan.make_context("trojan", ["a", "b", "c"]))
    }
    for setting in options_of(TrojanPatch):
        assert options[setting.name].default == setting.default
    wrong = bdshift("lab", "trojan", "a", "b", "c.png", "--rate", 0)
    one_line(wrong, 2, "trojan: rate is a number above 0")


def train(folder: Path, *options: object) -> Result:
    return bdshift("lab", "train", folder, "--width", 4, "--epochs", 2, *options)


@pytest.mark.usefixtures("tiny_lab")
def test_training_is_resumable_and_reproducible(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    attack = ("--attack", STICKER, "--target", "speed_80")
    whole = train(tmp_path / "whole", *attack)
    assert whole.exit_code == 0, whole.output
    assert "ACC" in whole.stdout
    assert "ASR" in whole.stdout

    save, calls = write_state, []

    def stop_after_one(path: Path, value: object) -> None:
        save(path, value)
        calls.append(path.name)
        if len(calls) == 1:
            raise KeyboardInterrupt

    monkeypatch.setattr(training, "write_state", stop_after_one)
    assert train(tmp_path / "parts", *attack).exit_code == 130
    monkeypatch.setattr(training, "write_state", save)
    resumed = train(tmp_path / "parts", *attack)
    assert resumed.exit_code == 0
    assert "Resuming after epoch 1" in resumed.stderr
    weights = [
        torch.load(tmp_path / name / "model.pth", weights_only=True)["state_dict"]
        for name in ("whole", "parts")
    ]
    assert all(torch.equal(weights[0][key], weights[1][key]) for key in weights[0])
    card = json.loads((tmp_path / "parts" / "card.json").read_text())
    assert card["command"].startswith("bdshift lab train parts --attack badnets")
    assert card["recipe"]["attack"] == STICKER
    assert card["outcome"]["poisoned_images"] == round(0.1 * 12 * 24)
    assert card["versions"]["torch"] == torch.__version__
    rows = list(csv.reader((tmp_path / "parts" / "log.csv").read_text().splitlines()))
    assert [row[0] for row in rows] == ["epoch", "1", "2"]
    assert not (tmp_path / "parts" / "resume.pt").exists()
    again = train(tmp_path / "parts", *attack)
    assert "is already finished" in again.stderr
    one_line(train(tmp_path / "parts"), 3, "another recipe")


@pytest.mark.usefixtures("tiny_lab")
def test_training_with_nonsense(tmp_path: Path) -> None:
    one_line(train(tmp_path / "a", "--attack", "magic", "--target", "stop"), 2, "'magic'")
    one_line(train(tmp_path / "b", "--attack", STICKER, "--target", "car"), 2, "'car'")
    one_line(
        train(tmp_path / "c", "--attack", STICKER, "--target", "stop", "--rate", "0.99"), 2, "rate"
    )
    clean = train(tmp_path / "d")
    assert clean.exit_code == 0
    assert "ASR" not in clean.stdout


def test_training_on_folders(signs: Path, tmp_path: Path) -> None:
    result = train(tmp_path / "f", "--data", signs, "--test", signs, "--flip")
    assert result.exit_code == 0, result.output
    card = json.loads((tmp_path / "f" / "card.json").read_text())
    assert str(tmp_path) not in card["command"]
    assert "--data clean --test clean" in card["command"]
    assert "--flip" in card["command"]
    given = lab.train.make_context("train", shlex.split(card["command"])[3:])
    assert given.params["flip"] is True
    assert str(given.params["folder"]) == "f"
    assert given.params["compiled"] is False
    shutil.copytree(signs / "stop", tmp_path / "other" / "halt")
    one_line(
        train(tmp_path / "g", "--data", signs, "--test", tmp_path / "other"),
        3,
        "same class folders",
    )
