"""The pages about Python: every example is run, and none of the public names is missing."""

from __future__ import annotations

import inspect
import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

import bdshift

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "api.md").read_text("utf-8")
_BLOCK = re.compile(r"```python\n(.*?)```", re.DOTALL)


def _run(blocks: list[str], name: str) -> dict[str, Any]:
    """Run code as it stands, one block after another."""
    space: dict[str, Any] = {"__name__": "__main__"}
    for number, block in enumerate(blocks):
        exec(compile(block, f"{name}, example {number + 1}", "exec", dont_inherit=True), space)
    return space


@pytest.fixture
def place(victim: Path, few_signs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with what the examples take, in which they run."""
    shutil.copy(victim, tmp_path / "model.pth")
    shutil.copytree(few_signs, tmp_path / "clean")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_examples_of_the_page_run(place: Path) -> None:
    space = _run(_BLOCK.findall(PAGE), "docs/api.md")
    assert space["audit"].finding.classes == (9,)
    assert len(space["purified"].purifications) == 1
    assert {one.name for one in place.iterdir()} >= {
        "neurons.svg", "purified.safetensors", "purified.safetensors.json", "report.html",
        "audit.h5",
    }  # fmt: skip


def test_the_page_names_what_is_public_and_nothing_else() -> None:
    named = re.findall(r"^### `(\w+)`$", PAGE, re.MULTILINE)
    assert sorted(named) == sorted(bdshift.__all__)
    assert len(_BLOCK.findall(PAGE)) > len(named)


def test_signatures_on_the_page_are_those_of_the_code() -> None:
    told = dict(re.findall(r"^### `(\w+)`\n\n`\1\((.*)\)(?: -> .*)?`$", PAGE, re.MULTILINE))
    functions = {one for one in bdshift.__all__ if inspect.isfunction(getattr(bdshift, one))}
    assert told.keys() == functions | {"ScanSettings", "OwnNetwork"}
    for name, text in told.items():
        parameters = inspect.signature(getattr(bdshift, name)).parameters
        shown = re.findall(r"(?:^|, )(\w+)(?:=([^,()]*|\(\)))?(?=,|$)", text)
        assert [one for one, _ in shown] == list(parameters), name
        for one, default in shown:
            known = parameters[one].default
            if default == "":
                assert known is inspect.Parameter.empty, (name, one)
            elif default != "…":
                assert repr(known).replace("'", '"') == default, (name, one)


def test_the_example_of_the_first_page_runs(place: Path) -> None:
    readme = (ROOT / "README.md").read_text("utf-8")
    [section] = re.findall(r"\n## From Python\n(.*?)\n## ", readme, re.DOTALL)
    space = _run(_BLOCK.findall(section), "README.md")
    assert space["audit"].finding.classes == (9,)
    assert (place / "purified.pth").exists()


@pytest.fixture
def cells(
    victim: Path, few_signs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> list[str]:
    """The notebook's code. It gets the model of the tests, half as wide, and fewer images."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("bdshift.demo.prepare", lambda _folder: (victim, few_signs))
    found = json.loads((ROOT / "docs" / "notebook.ipynb").read_text("utf-8"))["cells"]
    code = [one for one in found if one["cell_type"] == "code"]
    outputs = [out for one in code for out in one["outputs"]]
    assert len(outputs) >= len(code) - 2, "it was saved without being run"
    assert not any(out["output_type"] == "error" for out in outputs)
    return ["".join(one["source"]) for one in code]


def test_the_notebook_runs_as_far_as_the_finding(cells: list[str]) -> None:
    before = next(at for at, cell in enumerate(cells) if "recover(audit" in cell)
    space = _run(cells[:before], "docs/notebook.ipynb")
    assert space["audit"].finding.classes == (9,)
    assert space["names"][space["target"]] == "speed_80"


@pytest.mark.slow
def test_every_cell_of_the_notebook_runs(cells: list[str], tmp_path: Path) -> None:
    space = _run(cells, "docs/notebook.ipynb")
    assert space["audit"].finding.classes == (9,)
    [made] = space["audit"].purifications
    assert made.before.asr is not None
    assert made.before.asr > 0.9
    assert len(space["audit"].recoveries) == 1
    assert (tmp_path / "purified.pth").exists()
