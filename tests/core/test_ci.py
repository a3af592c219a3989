"""What docs/ci.md promises: its snippets run, its hook refuses, and a status says what it says."""

from __future__ import annotations

import json
import re
import shlex
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import Result
from commands import bdshift

from bdshift.cli.exit_status import EXIT_STATUS

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "ci.md").read_text("utf-8")


def snippet(heading: str) -> Any:
    """The YAML below a heading of the page."""
    text = PAGE.partition(f"\n## {heading}\n")[2]
    return yaml.safe_load(text.partition("```yaml\n")[2].partition("```")[0])


def run(line: str, *more: object) -> Result:
    """A command line of the page."""
    program, *arguments = shlex.split(line)
    assert program == "bdshift"
    return bdshift(*arguments, *more)


@pytest.fixture
def project(
    victim: Path, clean_twin: Path, few_signs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """A project with two models and clean images, in the working folder."""
    shutil.copytree(few_signs, tmp_path / "clean")
    (tmp_path / "models").mkdir()
    shutil.copy(victim, tmp_path / "models" / "victim.pth")
    shutil.copy(clean_twin, tmp_path / "models" / "clean.pth")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_hook_refuses_what_is_backdoored(project: Path) -> None:
    [hook] = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text("utf-8"))
    [repo] = snippet("pre-commit")["repos"]
    [used] = repo["hooks"]
    assert used["id"] == hook["id"]

    def committed(*names: str) -> Result:
        given = [name for name in names if re.search(hook["files"], name)]
        return run(hook["entry"], *used["args"], *given)

    both = committed("models/victim.pth", "models/clean.pth", "README.md")
    assert both.exit_code == 1, both.output
    assert "Probably backdoored: 1" in both.stdout
    alone = committed("models/clean.pth")
    assert alone.exit_code == 0, "the victim is in the folder still, but is not committed"
    assert bdshift("fleet", "--out", ".audits", "--fail-on", "suspicious").exit_code == 1


def test_the_action_leaves_sarif_although_it_fails(project: Path) -> None:
    [job] = snippet("GitHub Actions")["jobs"].values()
    [audit] = [one["run"] for one in job["steps"] if one.get("run", "").startswith("bdshift")]
    assert run(audit, "--quick").exit_code == 1
    [upload] = [one["with"] for one in job["steps"] if "upload-sarif" in one.get("uses", "")]
    [told] = json.loads(Path(upload["sarif_file"]).read_text("utf-8"))["runs"]
    [result] = told["results"]
    where = result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
    assert (project / where).is_file(), "relative, so that the host finds it"
    tags = told["tool"]["driver"]["rules"][result["ruleIndex"]]["properties"]["tags"]
    assert [one.rpartition("/")[2] for one in tags if "atlas" in one] == re.findall(
        r"(AML\.T[0-9]+),", PAGE
    )


def test_the_page_and_the_help_list_every_status() -> None:
    rows = re.findall(r"^\| ([0-9]+) \| (.+) \|$", PAGE, re.MULTILINE)
    assert {int(code): says for code, says in rows} == EXIT_STATUS
    told = " ".join(bdshift("--help").stdout.split())
    assert all(f"{code} {says}" in told for code, says in EXIT_STATUS.items())
