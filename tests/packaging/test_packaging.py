"""The wheel is whole, the lock is complete and names no host, and set-up is understandable."""

from __future__ import annotations

import email
import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent.parent


def build(source: Path, folder: Path) -> Path:
    """The wheel of ``source``."""
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)],
        cwd=source, check=True, capture_output=True,
    )  # fmt: skip
    [built] = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(ROOT, tmp_path_factory.mktemp("wheel"))


def test_the_wheel_has_everything_and_nothing_else(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.split("/")[0] for name in names}
    assert {"bdshift", "bdshift_gui"} <= tops
    assert not tops & {"core", "tests", "tools", "packaging", "resources", "docs"}
    assert "bdshift/py.typed" in names
    assert "bdshift/resources/demo/victim.pth" in names
    sources = {path.relative_to(ROOT / "core").as_posix() for path in (ROOT / "core").rglob("*.py")}
    samples = "bdshift/lab/samples/"
    assert {name for name in sources if not name.startswith(samples)} <= set(names)
    assert not [name for name in names if "samples" in name], "those are for tests and tools"
    with zipfile.ZipFile(wheel) as archive:
        users = [name for name in names if b"bdshift.lab.samples" in archive.read(name)]
    assert users == [], "nothing that is installed may need them"


def test_the_wheel_says_what_it_is_and_brings_its_licenses(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        [about] = [name for name in names if name.endswith(".dist-info/METADATA")]
        told = email.message_from_bytes(archive.read(about))
        assert told["License-Expression"] == "MIT AND OFL-1.1"
        files = [
            f"{Path(about).parent}/licenses/{name}" for name in told.get_all("License-File", [])
        ]
        starts = [archive.read(name).decode().split("\n")[0] for name in files]
    assert starts == ["MIT License", "NotoSansJP-Regular.otf and NotoSansJP-Bold.otf:"]
    assert told["Author"] == "the bdshift authors"
    assert told["Summary"].endswith(".")
    assert "Programming Language :: Python :: 3.13" in told.get_all("Classifier", [])
    assert set(told.get_all("Provides-Extra", [])) == {
        "clip", "export", "fleet", "gui", "parquet", "zoo",
    }, "developers' tools are none"  # fmt: skip


def test_the_unpacked_wheel_runs_and_finds_its_resources(wheel: Path, tmp_path: Path) -> None:
    zipfile.ZipFile(wheel).extractall(tmp_path / "site")
    code = (
        "import bdshift, bdshift.assets as a; from bdshift.cli import main;"
        "print(bdshift.__file__); print(a.asset('demo/victim.pth')); main(['--version'])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path / "site")},
    ).stdout.splitlines()  # fmt: skip
    assert all(line.startswith(str(tmp_path / "site")) for line in done[:2])


def test_what_the_container_copies_makes_the_same_wheel(wheel: Path, tmp_path: Path) -> None:
    recipe = (ROOT / "packaging" / "Containerfile").read_text(encoding="utf-8")
    source = tmp_path / "source"
    source.mkdir()
    for copied in re.findall(r"^COPY (?!--from)(.+)$", recipe, re.M):
        *names, target = copied.split()
        for name in names:
            if (ROOT / name).is_dir():
                shutil.copytree(ROOT / name, source / target)
            else:
                shutil.copy(ROOT / name, source / target)
    made = build(source, tmp_path / "made")
    assert zipfile.ZipFile(made).namelist() == zipfile.ZipFile(wheel).namelist()


def test_a_missing_resource_is_said() -> None:
    from bdshift.assets import asset

    assert asset("demo/victim.pth").is_file()
    with pytest.raises(FileNotFoundError, match="built without its resource"):
        asset("nothing.bin")


def requirements(project: dict[str, Any]) -> set[str]:
    """All of the project's, developers' ones too."""
    return {
        *project["project"]["dependencies"],
        *chain(*project["project"]["optional-dependencies"].values()),
        *chain(*project["dependency-groups"].values()),
    }


def test_the_lock_pins_every_dependency_with_hashes_and_names_the_public_index_only() -> None:
    text = (ROOT / "uv.lock").read_text(encoding="utf-8")
    hosts = set(re.findall(r"[a-z+]+://[^/\"]+", text))
    assert hosts == {"https://pypi.org", "https://files.pythonhosted.org"}
    packages = {one["name"]: one for one in tomllib.loads(text)["package"]}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    for requirement in map(Requirement, requirements(project)):
        pinned = packages[canonicalize_name(requirement.name)]
        assert requirement.specifier.contains(pinned["version"]), requirement
    own = packages.pop("bdshift")
    assert own["source"] == {"editable": "."}
    for name, one in packages.items():
        assert one["source"] == {"registry": "https://pypi.org/simple"}, name
        files = [*one["wheels"], *([one["sdist"]] if "sdist" in one else [])]
        assert all(file["hash"].startswith("sha256:") for file in files), name
    assert packages["pyside6-essentials"]["version"] == "6.11.3", "others corrupt or cannot dock"


def test_the_top_level_is_what_was_agreed() -> None:
    shown = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    tops = {name.split("/")[0] for name in shown}
    assert tops <= {
        "pyproject.toml", "README.md", "bdshift_gui", "core", "resources", "tests", "packaging",
        "tools", "docs", "Makefile", "LICENSE", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md",
        "CITATION.cff", "uv.lock", ".ci", ".github", ".gitignore", ".gitattributes",
        ".pre-commit-config.yaml", ".pre-commit-hooks.yaml", "mkdocs.yml",
    }  # fmt: skip
    for folder in ("packaging", "tests", "resources"):
        assert f"{folder}/__init__.py" not in shown


def test_set_up_refuses_other_pythons_and_prints_the_command_for_others_than_root(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import importlib.util

    spec = importlib.util.spec_from_file_location("set_up", ROOT / "packaging" / "set_up.py")
    assert spec is not None
    assert spec.loader is not None
    set_up = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(set_up)
    monkeypatch.setattr(set_up.shutil, "which", lambda _: "/usr/bin/apt-get")
    monkeypatch.setattr(set_up.os, "geteuid", lambda: 1000)
    assert set_up.apt_install(["libegl1"]) is False
    assert "sudo apt-get install -y --no-install-recommends libegl1" in capsys.readouterr().out
    monkeypatch.setattr(set_up.sys, "version_info", (3, 10, 0))
    with pytest.raises(SystemExit, match="bdshift needs Python"):
        set_up.main()
