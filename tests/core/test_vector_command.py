"""``bdshift vector``, and TBAR as a command."""

from __future__ import annotations

import html
import json
from pathlib import Path

import pytest
from commands import bdshift
from known import STICKER, TARGET
from torch import nn

from bdshift.audit import Audit
from bdshift.checkpoints.classifier import open_checkpoint
from bdshift.purification.vectors import read_vector
from bdshift.store import load_audit, save_audit


@pytest.fixture(scope="module")
def unlearned(victim_audit: Audit, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an audit that holds a TBAR of one epoch, and the model that it made."""
    folder = tmp_path_factory.mktemp("unlearned")
    save_audit(victim_audit, folder / "a.h5")
    found = bdshift(
        "purify", folder / "a.h5", "--out", folder / "p.pth", "--method", "tbar:epochs=1",
        "--trigger", STICKER,
    )  # fmt: skip
    assert found.exit_code == 0, found.output
    assert f"Unlearned: {STICKER}" in found.stdout
    assert "at α = " in found.stdout
    return folder


def loaded(path: Path) -> nn.Module:
    opened = open_checkpoint(path)
    return opened.load(opened.candidates[0]).network


@pytest.mark.slow
def test_what_was_unlearned_is_kept(unlearned: Path) -> None:
    told = json.loads((unlearned / "p.pth.json").read_text())
    assert told["unlearned"] == STICKER
    assert told["conclusion"]
    assert told["after"]["asr"] < 0.1 < told["before"]["asr"]
    [made] = load_audit(unlearned / "a.h5").purifications
    assert made.unlearned == STICKER
    assert made.result.conclusion is not None
    assert str(made.result.conclusion) == told["conclusion"]
    page = unlearned / "report.html"
    assert bdshift("report", unlearned / "a.h5", "--out", page, "--overwrite").exit_code == 0
    assert told["conclusion"] in html.unescape(page.read_text())


def test_a_purification_is_a_vector_that_can_be_subtracted_again(
    unlearned: Path, tmp_path: Path
) -> None:
    out, network = tmp_path / "tau.safetensors", loaded(unlearned / "p.pth")
    found = bdshift("vector", unlearned / "a.h5", "--out", out, "--json")
    assert found.exit_code == 0, found.output
    told = json.loads(found.stdout)
    assert (told["target"], told["trigger"]) == (TARGET, STICKER)
    assert read_vector(out, network).about.method.startswith("tbar:")
    kept = json.loads((unlearned / "p.pth.json").read_text())
    [alpha] = [step["alpha"] for step in kept["steps"] if step["number"] == kept["kept_step"]]
    again = bdshift(
        "purify", unlearned / "a.h5", "--out", tmp_path / "again.pth", "--trigger", STICKER,
        "--method", f"tbar:vector={out},alpha={alpha:.3f}", "--json",
    )  # fmt: skip
    assert again.exit_code == 0, again.output
    assert json.loads(again.stdout)["after"] == kept["after"]
    over = bdshift(
        "purify", unlearned / "a.h5", "--out", out, "--method", f"tbar:vector={out},alpha=1",
        "--overwrite",
    )  # fmt: skip
    assert over.exit_code == 2, "the vector is an input"
    assert read_vector(out, network).about.alpha == pytest.approx(alpha)


def test_two_checkpoints_make_a_vector(unlearned: Path, tmp_path: Path, victim: Path) -> None:
    out, network = tmp_path / "between.safetensors", loaded(victim)
    assert bdshift("vector", victim, unlearned / "p.pth", "--out", out).exit_code == 0
    assert read_vector(out, network).about.trigger == ""
    same = bdshift("vector", victim, victim, "--out", tmp_path / "none.safetensors")
    assert same.exit_code == 3
    assert "has the same weights" in same.stderr


@pytest.mark.parametrize(
    ("more", "words"),
    [(["--method", "clp", "--unlearn", STICKER], "clp unlearns no trigger; drop --unlearn"),
     (["--method", "tbar"], "so it needs one: a known one, or one that was recovered")],
)  # fmt: skip
def test_a_trigger_goes_with_a_method_that_unlearns_it(
    unlearned: Path, tmp_path: Path, more: list[str], words: str
) -> None:
    found = bdshift("purify", unlearned / "a.h5", "--out", tmp_path / "x.pth", *more)
    assert found.exit_code == 2
    assert words in found.stderr
    assert not (tmp_path / "x.pth").exists()
