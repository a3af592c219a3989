"""Files for the code host: they are in order, and say what the package says."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
import yaml
from doc_pages import ROOT, blocks

import bdshift

TEMPLATES = sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("[!c]*.yml"))
PACKAGE = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]


def test_the_citation_is_of_this_version() -> None:
    found = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
    assert found["version"] == bdshift.__version__
    assert " AND ".join(found["license"]) == PACKAGE["license"]
    assert found["keywords"] == PACKAGE["keywords"]
    assert len(found["references"]) == 2


def test_ci_tests_the_versions_that_are_supported() -> None:
    jobs = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text("utf-8"))["jobs"]
    said = {one.rpartition(" ")[2] for one in PACKAGE["classifiers"] if ":: 3." in one}
    assert set(jobs["test"]["strategy"]["matrix"]["python"]) == said
    assert jobs["test"]["steps"][-1]["run"] == "make test"
    assert jobs["experimental"]["continue-on-error"] is True


@pytest.mark.parametrize("path", TEMPLATES, ids=[path.stem for path in TEMPLATES])
def test_a_form_for_issues_is_complete(path: Path) -> None:
    form = yaml.safe_load(path.read_text("utf-8"))
    assert {"name", "description", "body"} <= form.keys()
    fields = [one for one in form["body"] if one["type"] != "markdown"]
    ids = [one["id"] for one in fields]
    assert len(ids) == len(set(ids)) > 1
    assert any(one.get("validations", {}).get("required") for one in fields)
    assert all(re.fullmatch(r"[a-z-]+", one) for one in ids)


def test_code_in_python_and_yaml_on_the_pages_is_valid() -> None:
    for name in ("README.md", "CONTRIBUTING.md", "docs/ci.md"):
        for block in blocks(name):
            if block.language == "python":
                compile(block.text, name, "exec")
            elif block.language == "yaml":
                assert yaml.safe_load(block.text)
