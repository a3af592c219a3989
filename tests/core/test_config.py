"""Defaults from a file, and what no file may set."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import click
import pytest
from commands import bdshift, one_line

from bdshift.cli import main
from bdshift.cli.config import SETTABLE, defaults_from

HOSTILE = 'quick = true\nsample = 1\nrule = "paper:beta=100"\narch = "theirs:net"\nout = "x.h5"\n'


def written(folder: Path, text: str, name: str = "config.toml") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text)
    return folder / name


def scan(*arguments: object, config: Path | None = None) -> dict[str, Any]:
    first = () if config is None else ("--config", config)
    found = bdshift(*first, "scan", *arguments, "--json", "-q", "--no-cache")
    assert found.exit_code == 0, found.output
    return dict(json.loads(found.stdout))


def test_the_users_file_sets_defaults_and_the_command_line_wins(
    victim: Path, few_signs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("BDSHIFT_CONFIG")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    text = 'quick = true\nseed = 3\n[scan]\nnormalize = "half"\nalpha = 0.2\nsample = 60\n'
    written(tmp_path / "bdshift", text)
    told = scan(victim, few_signs)
    assert (told["shift"]["alpha"], told["images"]["count"]) == (0.2, 60)
    assert told["verdict"] is None
    assert scan(victim, few_signs, "--alpha", "0.3")["shift"]["alpha"] == 0.3


def test_a_file_in_the_working_folder_sets_nothing(
    victim: Path, few_signs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may have come with the model."""
    monkeypatch.delenv("BDSHIFT_CONFIG")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "none"))
    for name in ("bdshift.toml", "config.toml", ".bdshift.toml", "pyproject.toml"):
        written(tmp_path, HOSTILE, name)
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.iterdir())
    told = scan(victim, few_signs, "--quick", "--normalize", "half")
    assert told["images"]["count"] == 144
    assert told["rule"].startswith("grubbs")
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('arch = "theirs:net"', "arch cannot be set"),
        ('out = "x.h5"', "out cannot be set"),
        ('[scan]\nreport = "x.html"', "report cannot be set"),
        ('[scan]\ndetector = "shift"', "detector cannot be set"),
        ("[scan]\noverwrite = true", "overwrite cannot be set"),
        ("[scan]\nworkers = 2", "workers cannot be set"),
        ("[nonsense]\nseed = 2", "[nonsense] cannot be set"),
        ("[scan.inner]\nseed = 2", "inner cannot be set"),
        ("seed = [1]", "seed cannot be set"),
        ("[[scan]]\nseed = 1", "scan cannot be set"),
    ],
)
def test_what_a_file_cannot_set(tmp_path: Path, text: str, words: str) -> None:
    one_line(bdshift("--config", written(tmp_path, text), "settings"), 2, "config.toml", words)


@pytest.mark.parametrize("text", ["seed =", "x = " + "[" * 5000, "#" * 70_000, "a\udc80"])
def test_a_file_that_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "c.toml").write_bytes(text.encode("utf-8", "surrogateescape"))
    one_line(bdshift("--config", tmp_path / "c.toml", "settings"), 3, "c.toml")
    one_line(bdshift("--config", tmp_path / "none.toml", "settings"), 3, "none.toml: no such file")


def test_a_value_is_checked_as_on_the_command_line(tmp_path: Path, victim: Path) -> None:
    config = written(tmp_path, '[scan]\nseed = "many"')
    found = bdshift("--config", config, "scan", victim, tmp_path)
    assert found.exit_code == 2
    assert "--seed" in found.stderr


def test_nothing_that_can_be_set_names_a_file_or_code() -> None:
    assert isinstance(main, click.Group)
    for command in main.commands.values():
        for param in command.params:
            if {one.removeprefix("--") for one in param.opts} & set(SETTABLE):
                assert not isinstance(param.type, click.Path), param
    assert not {"arch", "model", "labels", "prompts", "trigger", "method"} & set(SETTABLE)


def test_what_can_be_set_is_there_and_listed(tmp_path: Path) -> None:
    assert isinstance(main, click.Group)
    flags = {
        flag.removeprefix("--")
        for command in main.commands.values() for param in command.params for flag in param.opts
    }  # fmt: skip
    assert set(SETTABLE) <= flags
    page = (Path(__file__).parents[2] / "docs" / "command.md").read_text("utf-8")
    listed = page.partition("What can be set: ")[2].partition(". ")[0]
    assert tuple(re.findall(r"`([a-z-]+)`", listed)) == SETTABLE
    assert defaults_from(written(tmp_path, "seed = 1"), main)["scan"] == {"seed": 1}
