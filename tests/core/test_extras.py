"""Messages name packages that are on an index, in versions that bdshift takes."""

from __future__ import annotations

import re
import sys
from importlib import metadata
from pathlib import Path

import pytest

from bdshift.extras import pip_install
from bdshift.words import Sentence

ROOT = Path(__file__).resolve().parent.parent.parent
SHOWN = [
    *(ROOT / "core").rglob("*.py"), *(ROOT / "bdshift_gui").rglob("*.py"),
    *(ROOT / "docs").glob("*.md"), *(ROOT / "resources/i18n").glob("*.json"), *ROOT.glob("*.md"),
]  # fmt: skip


def test_the_versions_are_those_of_the_metadata() -> None:
    assert pip_install("timm") == 'pip install "timm>=1.0.15"'
    both = str(pip_install("PySide6-Essentials", "open_clip_torch"))
    assert re.fullmatch(
        r'pip install "pyside6-essentials[^"]*<6\.12[^"]*" "open-clip-torch>=3\.2"', both
    )


def test_a_checkout_that_is_not_installed_names_the_package_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def none(_: str) -> list[str]:
        raise metadata.PackageNotFoundError

    monkeypatch.setattr(metadata, "requires", none)
    assert pip_install("timm", "transformers") == "pip install timm transformers"


def test_a_program_without_pip_does_not_say_that_it_can_be_extended(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    told = pip_install("ray")
    assert isinstance(told, Sentence)
    assert str(told).startswith("install bdshift with Python, since this program cannot be")
    assert 'pip install "ray' in told.render("ja")


def test_no_text_names_an_extra_of_a_distribution_that_is_on_no_index() -> None:
    texts = {path: path.read_text(encoding="utf-8") for path in SHOWN}
    extra = re.compile(r"bdshift\[[a-z]")
    assert [path.name for path, text in texts.items() if extra.search(text)] == []


def test_every_package_that_a_message_names_is_one_that_bdshift_declares() -> None:
    named = {
        package
        for path in SHOWN
        if path.suffix == ".py"
        for call in re.findall(r"pip_install\(([^)]*)\)", path.read_text(encoding="utf-8"))
        for package in re.findall(r"[\"']([^\"']+)[\"']", call)
    }
    assert {"ray", "pyarrow", "pyqtgraph"} <= named
    assert [one for one in named if '"' not in str(pip_install(one))] == []
