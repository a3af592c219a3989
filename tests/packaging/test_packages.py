"""What the Debian package is made of agrees with the project, without the programs themselves."""

from __future__ import annotations

import configparser
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from xml.etree import ElementTree

import h5py
import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
LINUX = ROOT / "packaging" / "linux"
MIME = "application/x-bdshift-audit"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


@pytest.fixture
def package(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """``packaging/package.py``."""
    monkeypatch.syspath_prepend(str(ROOT / "packaging"))
    spec = importlib.util.spec_from_file_location("package", ROOT / "packaging" / "package.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module
    sys.modules.pop("set_up", None)


def test_the_desktop_opens_audits_with_the_window() -> None:
    from bdshift_gui.app import DESKTOP_FILE

    desktop = configparser.ConfigParser(interpolation=None)
    desktop.read(LINUX / f"{DESKTOP_FILE}.desktop", encoding="utf-8")
    entry = desktop["Desktop Entry"]
    assert entry["Exec"].split()[0] in PROJECT["gui-scripts"]
    assert entry["MimeType"] == f"{MIME};"
    assert (LINUX / f"{entry['Icon']}.svg").is_file()
    about = ElementTree.parse(LINUX / f"{DESKTOP_FILE}.metainfo.xml").getroot()
    assert about.findtext("id") == DESKTOP_FILE
    assert about.findtext("launchable") == f"{DESKTOP_FILE}.desktop"
    assert about.findtext("icon") == entry["Icon"]
    assert about.findtext("provides/mediatype") == MIME
    assert about.findtext("project_license") == PROJECT["license"]
    assert about.findtext("developer_name") == PROJECT["authors"][0]["name"]


def test_audits_are_told_from_other_hdf5_files(tmp_path: Path) -> None:
    """By Qt, which reads the same rules as desktops do."""
    (tmp_path / "mime" / "packages").mkdir(parents=True)
    shutil.copy(LINUX / "bdshift.xml", tmp_path / "mime" / "packages")
    with h5py.File(tmp_path / "plain.h5", "w") as plain:
        plain["x"] = 1
    audits = sorted((ROOT / "tests" / "core" / "data" / "audits").glob("*.h5"))
    code = (
        "import sys; from PySide6.QtCore import QMimeDatabase\n"
        "for one in sys.argv[1:]: print(QMimeDatabase().mimeTypeForFile(one).name())"
    )
    told = subprocess.run(
        [sys.executable, "-c", code, tmp_path / "plain.h5", *audits],
        env={**os.environ, "XDG_DATA_HOME": str(tmp_path), "XDG_DATA_DIRS": str(tmp_path)},
        check=True, capture_output=True, text=True,
    ).stdout.split()  # fmt: skip
    assert told[0] == "application/x-hdf"
    assert set(told[1:]) == {MIME}


def test_the_tree_of_the_debian_package(package: ModuleType, tmp_path: Path) -> None:
    programs = tmp_path / "bdshift"
    (programs / "_internal").mkdir(parents=True)
    for name in ("bdshift", "bdshift-gui", "_internal/libtorch.so"):
        (programs / name).write_text(name)
        (programs / name).chmod(0o755)
    tree = tmp_path / "tree"
    package.lay(tree, programs)
    for name in PROJECT["scripts"] | PROJECT["gui-scripts"]:
        link = tree / "usr" / "bin" / name
        assert (tree / os.readlink(link)[1:]).read_text() == name
    files = {one for one in tree.rglob("*") if one.is_file() and not one.is_symlink()}
    laid = {one.relative_to(tree).as_posix() for one in files}
    assert "usr/share/applications/invalid.bdshift.bdshift.desktop" in laid
    assert {one.name for one in LINUX.iterdir()} <= {Path(one).name for one in laid} | {
        "lintian-overrides"
    }
    license_texts = (tree / "usr/share/doc/bdshift/copyright").read_text(encoding="utf-8")
    assert "MIT License" in license_texts
    assert "SIL OPEN FONT LICENSE" in license_texts
    assert not (tree / "opt/bdshift/_internal/libtorch.so").stat().st_mode & 0o111
    assert (tree / "opt/bdshift/bdshift").stat().st_mode & 0o777 == 0o755
    told = dict(reversed(line.split("  ", 1)) for line in package.sums(tree).splitlines())
    assert told.keys() == laid, "links have none"
    assert told["opt/bdshift/_internal/libtorch.so"] == "3754ae41d527f4ae2fb87a59885feffb"


@pytest.mark.skipif(shutil.which("dpkg") is None, reason="not a Debian system")
def test_what_the_debian_package_says(package: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    from bdshift import __version__

    monkeypatch.setenv("DEBEMAIL", "someone@example.org")
    told = package.control(1234)
    assert f"\nVersion: {__version__}\n" in told
    assert " <someone@example.org>\n" in told
    depends = re.search(r"^Depends: (.*)$", told, re.M)
    assert depends is not None
    assert "libegl1" in depends[1]
    assert "xvfb" not in depends[1], "that is for tests"
    assert max(len(line) for line in told.splitlines() if line.startswith(" ")) <= 80
    changes = package.changelog()
    assert changes.startswith(f"bdshift ({__version__}) unstable; ")
    assert re.search(r"^ -- .+ <someone@example.org>  \w{3}, \d\d \w{3} \d{4} 0", changes, re.M)
