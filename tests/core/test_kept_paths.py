"""A path that a file names leads to another machine, to a device or out of a folder: nothing is
looked up on a disk or a network before that is known.
"""

from __future__ import annotations

import io
import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from audit_files import change
from PIL import Image

from bdshift.audit import Audit, ScanSettings, reopen, scan
from bdshift.errors import InputError
from bdshift.files import KeptPath, usable
from bdshift.images.collection import open_images
from bdshift.store import load_audit, save_audit
from bdshift.triggers import parse_trigger, read_card

ELSEWHERE = (
    r"\\host\share\m.pth", "//host/share/m.pth", r"/\host\share", r"\/host/share",
    r"\\?\C:\m.pth", r"\\.\pipe\m", r"\??\C:\m.pth", r"\\?\UNC\host\share",
)  # fmt: skip
NO_FILES = (
    "/dev/zero", "/dev/../dev/zero", "/home/../dev/fd/0", "/proc/self/mem", "/sys/kernel", "CON",
    "nul", "NUL.txt", r"C:\data\COM1.pth", r"C:\aux\m.pth", "lpt9.", "file:///etc/passwd",
    "FILE://host/m", "http://host/m", "smb://host/m", "a\0b",
)  # fmt: skip
FINE = (
    "/home/me/model.pth", r"C:\models\m.pth", "C:/models/m.pth", "model.pth", "../m.pth",
    "/home/me/aux/con.pth", "/devices/m.pth", "/dev/shm/m.pth", r"\models\m.pth",
)  # fmt: skip


@pytest.fixture
def touched(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every path that is looked up, opened or listed."""
    found: list[str] = []

    def watched(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(path: Any = ".", *args: Any, **keywords: Any) -> Any:
            if not isinstance(path, int):
                found.append(os.fsdecode(path))
            return real(path, *args, **keywords)

        return call

    for name in ("stat", "lstat", "open", "scandir", "listdir", "readlink"):
        monkeypatch.setattr(os, name, watched(getattr(os, name)))
    monkeypatch.setattr(io, "open", watched(io.open))
    return found


@pytest.mark.parametrize("text", ELSEWHERE + NO_FILES)
def test_what_is_no_file_of_this_machine(text: str, touched: list[str]) -> None:
    words = "on another machine" if text in ELSEWHERE else "not the path of a file"
    with pytest.raises(InputError, match=words):
        usable(KeptPath(text))
    assert not any(text in path for path in touched)


@pytest.mark.parametrize("text", FINE)
def test_what_is_one(text: str, touched: list[str]) -> None:
    assert usable(KeptPath(text)) == Path(text)
    assert usable(Path(ELSEWHERE[0])) == Path(ELSEWHERE[0]), "the user may name anything"
    assert touched == []


@pytest.mark.parametrize("text", [ELSEWHERE[0], ELSEWHERE[2], "/dev/zero", "file://host/x"])
def test_nothing_that_an_audit_names_is_touched(
    text: str, victim_audit: Audit, victim: Path, signs: Path, touched: list[str]
) -> None:
    model = replace(victim_audit, model=replace(victim_audit.model, path=text))
    images = replace(victim_audit, images=replace(victim_audit.images, path=text))
    for audit in (model, images):
        with pytest.raises(InputError, match=r"another machine|not the path"):
            reopen(audit)
    labels = ScanSettings(sample=60, labels=KeptPath(text))
    with pytest.raises(InputError, match=r"another machine|not the path"):
        scan(victim, signs, labels)
    for attack in (f"warp:file={text}", f"patch:file={text}"):
        with pytest.raises(InputError, match=r"another machine|not the path"):
            parse_trigger(attack)(torch.zeros(1, 3, 8, 8))
    host = text.replace("\\", "/").strip("/")
    assert not any(host in path.replace("\\", "/") for path in touched)


def test_a_path_in_the_settings_of_an_audit_file_is_only_text(
    victim_audit: Audit, tmp_path: Path
) -> None:
    save_audit(victim_audit, tmp_path / "a.h5")
    change(tmp_path / "a.h5", "settings", "labels", value=ELSEWHERE[0])
    audit = load_audit(tmp_path / "a.h5")
    assert audit.settings.labels == KeptPath(ELSEWHERE[0])
    save_audit(audit, tmp_path / "b.h5")
    assert load_audit(tmp_path / "b.h5").settings == audit.settings


@pytest.mark.parametrize("text", [ELSEWHERE[0], ELSEWHERE[1], "/dev/zero"])
def test_a_card_leads_nowhere_else(text: str, tmp_path: Path, touched: list[str]) -> None:
    card = tmp_path / "card.json"
    card.write_text(json.dumps({"recipe": {"attack": f"warp:file={text}", "target": "1"}}))
    with pytest.raises(InputError, match=r"another machine|not the path"):
        read_card(str(card))
    assert not any("host" in path or path.endswith("/zero") for path in touched)


def _picture(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (8, 8), (200, 10, 10)).save(path)


def test_links_in_a_folder_never_lead_out_of_it(tmp_path: Path) -> None:
    folder = tmp_path / "set"
    for number in range(3):
        _picture(folder / "a" / f"{number}.png")
        _picture(folder / "b" / f"{number}.png")
        _picture(tmp_path / "private" / "inner" / f"{number}.png")
    (folder / "a" / "out.png").symlink_to(tmp_path / "private" / "inner" / "0.png")
    (folder / "a" / "up.png").symlink_to("../../private/inner/0.png")
    (folder / "a" / "in.png").symlink_to("0.png")
    (folder / "c").symlink_to(tmp_path / "private" / "inner")
    (folder / "d").symlink_to("b")
    found = open_images(folder)
    assert found.folders == ("a", "b", "d")
    assert {file.name for file in found.files if file.label == 0} == {
        "a/0.png", "a/1.png", "a/2.png", "a/in.png",
    }  # fmt: skip
    out = {one.name: str(one.reason) for one in found.skipped}
    assert out == dict.fromkeys(
        ("a/out.png", "a/up.png", "c"), "a link that leads out of the folder"
    )
    (tmp_path / "link").symlink_to(folder)
    assert open_images(tmp_path / "link").files == found.files, "the user's own link is followed"
    (folder / "b" / "0.png").unlink()
    (folder / "b" / "0.png").symlink_to(tmp_path / "private" / "inner" / "0.png")
    swapped = next(file for file in found.files if file.name == "b/0.png")
    with pytest.raises(InputError, match="leads out of the folder"):
        found.read(swapped)
