"""States of interrupted work: only what this user's bdshift wrote is read."""

from __future__ import annotations

import os
import pickle
import shutil
import stat
from collections.abc import Callable
from pathlib import Path

import platformdirs
import pytest
import torch
from commands import bdshift, one_line

from bdshift import resume
from bdshift.audit import Audit
from bdshift.audit.unfinished import PurificationRequest, Unfinished
from bdshift.errors import InputError
from bdshift.jobs import Canceled, JobContext
from bdshift.resume import is_state, read_state, write_state
from bdshift.store import load_audit, save_audit

CPU = torch.device("cpu")
VALUE = {"network": {"weight": torch.arange(1000.0)}, "kept": 3, "none": None}


@pytest.fixture(autouse=True)
def key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A configuration folder of the test's own."""
    folder = tmp_path / "config"
    monkeypatch.setattr(platformdirs, "user_config_dir", lambda name: str(folder))
    return folder / "states.key"


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """A state in a folder of its own."""
    path = tmp_path / "states" / "a.state"
    path.parent.mkdir()
    write_state(path, VALUE)
    return path


class _Ran:
    def __reduce__(self) -> tuple[Callable[..., object], tuple[str, ...]]:
        return os.mkdir, ("ran",)


def _flipped(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def _forged(path: Path) -> None:
    """The head of a state before a network of someone else's."""
    head = path.read_bytes()[: resume._HEAD.size]
    torch.save(VALUE, path)
    content = path.read_bytes()
    found = resume._HEAD.unpack(head)
    path.write_bytes(resume._HEAD.pack(found[0], len(content), found[2]) + content)


def _huge(path: Path) -> None:
    """As large as it says, but almost nothing on the disk."""
    head = resume._HEAD.unpack(path.read_bytes()[: resume._HEAD.size])
    size = 32 * 1024 * 1024
    path.write_bytes(resume._HEAD.pack(head[0], size, head[2]))
    os.truncate(path, resume._HEAD.size + size)


def _elsewhere(path: Path) -> None:
    path.rename(path.with_suffix(".real"))
    path.symlink_to(path.with_suffix(".real"))


def _pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


SPOILS: tuple[Callable[[Path], object], ...] = (
    lambda path: path.write_bytes(b""),
    lambda path: path.write_bytes(b"no state"),
    lambda path: path.write_bytes(path.read_bytes()[:-1]),
    lambda path: path.write_bytes(path.read_bytes() + b"x"),
    lambda path: path.write_bytes(path.read_bytes()[:20]),
    lambda path: torch.save(VALUE, path),
    lambda path: path.write_bytes(pickle.dumps(_Ran())),
    _flipped, _forged, _huge, _elsewhere, _pipe,
)  # fmt: skip


def test_a_state_comes_back(state: Path, key: Path) -> None:
    found = read_state(state, CPU)
    assert torch.equal(found["network"]["weight"], VALUE["network"]["weight"])  # type: ignore[index]
    assert (found["kept"], found["none"]) == (3, None)
    assert is_state(state)
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert [path.name for path in key.parent.iterdir()] == ["states.key"]
    moved = state.rename(state.with_name("b.state"))
    assert is_state(moved), "a user may move it"


@pytest.mark.parametrize("spoil", SPOILS)
def test_what_bdshift_did_not_write_is_refused(
    spoil: Callable[[Path], object], state: Path
) -> None:
    spoil(state)
    assert not is_state(state)
    with pytest.raises(InputError):
        read_state(state, CPU)
    assert not Path("ran").exists()


def test_a_state_of_another_user_is_refused(state: Path, key: Path) -> None:
    key.write_bytes(bytes(32))
    assert not is_state(state)
    key.write_bytes(b"damaged")
    assert not is_state(state)
    write_state(state, VALUE)
    assert is_state(state), "there is a key again"


def test_without_a_place_for_the_key_states_last_as_long_as_the_process(
    state: Path, key: Path
) -> None:
    shutil.rmtree(key.parent)
    key.parent.write_text("in the way")
    assert not is_state(state)
    write_state(state, VALUE)
    assert is_state(state)
    resume._passing_key.cache_clear()
    assert not is_state(state)


def test_a_long_check_can_be_canceled(state: Path) -> None:
    job = JobContext()
    job.cancel()
    with pytest.raises(Canceled):
        is_state(state, job)


def test_a_planted_state_is_not_delivered(victim_audit: Audit, tmp_path: Path, key: Path) -> None:
    """A finished state with another network, signed by no key of this user."""
    audit, out = tmp_path / "a.h5", tmp_path / "o.pth"
    save_audit(victim_audit, audit)
    given = ("purify", audit, "--method", "cut:neurons=3", "--out", out)
    state = tmp_path / "o.pth.state"
    kept = tmp_path / "kept"

    def keep(path: Path) -> None:
        if path.exists():
            path.rename(kept)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("bdshift.cli.purify.remove", keep)
        assert bdshift(*given).exit_code == 0
    planted = read_state(kept, CPU)
    planted["best"] = {name: value * 0 for name, value in planted["best"].items()}
    mine = key.read_bytes()
    for path in (out, tmp_path / "o.pth.json"):
        path.unlink()
    forgers: tuple[Callable[[Path, object], object], ...] = (
        lambda path, value: torch.save(value, path), write_state,
    )  # fmt: skip
    for forge in forgers:
        key.write_bytes(bytes(32))
        forge(state, planted)
        key.write_bytes(mine)
        before = state.read_bytes()
        one_line(bdshift(*given), 2, "o.pth.state: exists; --overwrite replaces it")
        assert state.read_bytes() == before, "it may be someone's file"
        assert not out.exists()
    found = bdshift(*given, "--overwrite")
    assert found.exit_code == 0, found.output
    assert "Resuming" not in found.stderr
    assert not state.exists()
    made = load_audit(audit).purifications[-1].result.weights
    assert made is not None
    assert any(bool(value.any()) for value in made.values())


def test_the_windows_own_folder_heals_itself(victim_audit: Audit, tmp_path: Path) -> None:
    folder = Unfinished(tmp_path / "purifications")
    asked = PurificationRequest("clp", 0, "", 0.2)
    path = folder.begin(victim_audit, asked)
    write_state(path, VALUE)
    assert folder.begin(victim_audit, asked) == path
    assert is_state(path)
    path.write_bytes(b"damaged")
    (path.parent / f".{path.name[:50]}.{'0' * 16}.part").write_bytes(b"of a killed writer")
    assert folder.begin(victim_audit, asked) == path
    assert [one.name for one in path.parent.iterdir()] == [path.with_suffix(".json").name]


@pytest.mark.usefixtures("tiny_lab")
@pytest.mark.parametrize("text", ["", "[]", "{}", '{"recipe": 1}', "[" * 100_000, "null"])
def test_a_broken_card_is_said(text: str, tmp_path: Path) -> None:
    folder = tmp_path / "v"
    folder.mkdir()
    (folder / "card.json").write_text(text)
    found = bdshift("lab", "train", folder, "--epochs", 1, "--width", 1, "--batch", 64)
    assert found.exit_code == 3, found.output
    assert [path.name for path in folder.iterdir()] == ["card.json"]
    (folder / "card.json").rename(folder / "resume.pt")
    found = bdshift("lab", "train", folder, "--epochs", 1, "--width", 1, "--batch", 64)
    assert found.exit_code == 3, found.output
    assert "holds no state" in found.stderr.splitlines()[-1]
