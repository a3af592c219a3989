"""What is read while it changes, by names that no one expects, or that leads nowhere; and clocks
that go back. docs/hardening.md has the whole table.
"""

from __future__ import annotations

import datetime
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from audit_files import OLD_AUDITS, old_audit
from commands import bdshift, one_line
from PIL import Image

from bdshift.checkpoints.reader import read_checkpoint
from bdshift.errors import InputError
from bdshift.images.collection import open_images
from bdshift.json_data import parse_json
from bdshift.outputs import Output
from bdshift.shift.exact import solve_exact
from bdshift.store import load_audit, save_audit

READERS: dict[str, Callable[[Path], object]] = {
    "checkpoint": read_checkpoint, "images": open_images, "audit": load_audit,
    "output": lambda path: Output(path).check(),
}  # fmt: skip
LONG = "n" * 4096
NOT_TEXT = os.fsdecode(b"caf\xe9\xff")


@pytest.mark.parametrize("kind", READERS)
def test_a_name_of_4096_characters(kind: str, tmp_path: Path) -> None:
    with pytest.raises(InputError):
        READERS[kind](tmp_path / LONG)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", ["checkpoint", "images", "audit"])
def test_a_link_to_itself(kind: str, tmp_path: Path) -> None:
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    with pytest.raises(InputError, match="loop"):
        READERS[kind](loop)


def test_a_name_that_is_no_text(victim: Path, tmp_path: Path) -> None:
    model, audit = tmp_path / f"{NOT_TEXT}.pth", tmp_path / f"{NOT_TEXT}.h5"
    shutil.copyfile(victim, model)
    assert read_checkpoint(model).size == victim.stat().st_size
    save_audit(old_audit("schema-2"), audit)
    assert load_audit(audit).accuracy == old_audit("schema-2").accuracy
    folder = tmp_path / NOT_TEXT / "cat"
    folder.mkdir(parents=True)
    Image.fromarray(np.zeros((4, 4, 3), np.uint8)).save(folder / "0.png")
    assert open_images(folder.parent).folders == ("cat",)
    one_line(bdshift("report", tmp_path / NOT_TEXT, "--out", tmp_path / "r.html"), 3)


def test_a_command_whose_names_are_too_long_ends_with_a_sentence(tmp_path: Path) -> None:
    one_line(bdshift("report", tmp_path / LONG, "--out", tmp_path / "r.html"), 3)
    audit = OLD_AUDITS / "schema-2.h5"
    one_line(bdshift("report", audit, "--out", tmp_path / f"{LONG}.html"), 3)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("left", [0, 1000, 60_000])
def test_an_audit_that_is_cut_while_it_is_read(
    left: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.h5"
    shutil.copyfile(OLD_AUDITS / "schema-2.h5", path)

    def cutting(*args: object, **kwargs: object) -> object:
        os.truncate(path, left)
        return parse_json(*args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr("bdshift.store.read.parse_json", cutting)
    with pytest.raises(InputError, match=r"a\.h5"):
        load_audit(path)


def test_logits_without_any_variance() -> None:
    """As of images that are all the same: each class has a distance, the winner the shortest."""
    logits = np.tile(np.array([[2.0, 1.0, 1.0]], np.float32), (20, 1))
    weight = np.eye(3, 4, dtype=np.float32)
    found = solve_exact(logits, weight)
    assert np.isfinite(found.shift).all()
    assert found.l2[0] < found.l2[1]
    assert found.l2[1] == pytest.approx(found.l2[2])


class Backward(datetime.datetime):
    """A clock that has been set back by years."""

    @classmethod
    def now(cls, tz: datetime.tzinfo | None = None) -> Backward:
        return cls(1980, 1, 1, tzinfo=tz)


def test_a_clock_that_goes_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Dates are only told; durations are of a clock that never goes back."""
    save_audit(old_audit("schema-2"), tmp_path / "a.h5")
    monkeypatch.setattr("bdshift.audit.made.datetime.datetime", Backward)
    monkeypatch.setattr(time, "time", lambda: 0.0)
    audit = load_audit(tmp_path / "a.h5")
    save_audit(audit, tmp_path / "a.h5")
    assert load_audit(tmp_path / "a.h5").date == audit.date
    one_line(bdshift("report", tmp_path / "a.h5", "--out", tmp_path / "a.h5"), 2)
    assert bdshift("report", tmp_path / "a.h5", "--out", tmp_path / "r.html").exit_code == 0
