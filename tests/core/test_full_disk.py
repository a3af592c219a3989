"""Where a disk is full: one clear sentence, and nothing lost or left behind. A limit on the size of
files stands for it, which ends the same calls.
"""

from __future__ import annotations

import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch
from commands import bdshift

from bdshift.audit import Audit, Material
from bdshift.audit.unfinished import PurificationRequest, Unfinished
from bdshift.checkpoints.export import EXPORT_FORMS, write_checkpoint
from bdshift.errors import InputError
from bdshift.images.signs import write_signs
from bdshift.lab.folder import write_log
from bdshift.lab.trojan import write_patch
from bdshift.outputs import Output
from bdshift.resume import read_state, write_state
from bdshift.shift.cache import EmbeddingCache
from bdshift.store import change_audit, load_audit, save_audit


@contextmanager
def room(size: int) -> Iterator[None]:
    """No file may become larger than ``size`` bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def refused(write: Callable[[Path], object], target: Path, size: int) -> None:
    """Assert that ``write`` fails with ``size`` bytes of room, and leaves ``target`` as it was."""
    folder = target.parent
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    with room(size), pytest.raises(InputError, match="cannot be written, because the disk is full"):
        write(target)
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


def test_an_audit(victim_audit: Audit, tmp_path: Path) -> None:
    target = tmp_path / "a.h5"
    for size in (0, 100, 50_000):
        refused(lambda path: save_audit(victim_audit, path), target, size)
    save_audit(victim_audit, target)
    whole = target.stat().st_size
    for size in (0, 5000, whole - 1):
        refused(lambda path: save_audit(victim_audit, path), target, size)
        refused(lambda path: change_audit(path, lambda audit: audit), target, size)
    assert load_audit(target).accuracy == victim_audit.accuracy


@pytest.mark.parametrize("name", list(EXPORT_FORMS))
def test_every_export_format(name: str, victim_material: Material, tmp_path: Path) -> None:
    form = EXPORT_FORMS.parse(name)
    target = tmp_path / "model"
    target.write_text("old")

    def write(path: Path) -> None:
        write_checkpoint(victim_material.classifier, path, form, overwrite=True)

    for size in (20_000,) if form.is_graph else (0, 100, 20_000):  # graphs take a while
        refused(write, target, size)


def test_states(tmp_path: Path) -> None:
    target = tmp_path / "a.state"
    write_state(target, {"step": 1})
    larger = {"step": 2, "weights": torch.zeros(5000)}
    for size in (0, 40, 60, 3000, 20_000):
        refused(lambda path: write_state(path, larger), target, size)
    assert read_state(target, torch.device("cpu")) == {"step": 1}


def test_the_rest(tmp_path: Path, victim_audit: Audit) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    asked = PurificationRequest("clp", 0, "", 0.2)
    writers: tuple[Callable[[Path], object], ...] = (
        lambda path: Output(path, overwrite=True).write_text("text" * 100),
        lambda path: write_patch(Output(path), pixels),
        lambda path: write_log(path.parent, [{"loss": 0.5, "seconds": 1.0}] * 100),
        lambda path: write_signs(path, 1),
        lambda path: Unfinished(path.parent).begin(victim_audit, asked),
    )
    for number, write in enumerate(writers):
        folder = tmp_path / str(number)
        folder.mkdir()
        for size in (0, 100):
            refused(write, folder / "new", size)
        write(folder / "new")


def test_the_cache_leaves_nothing_behind(victim_audit: Audit, tmp_path: Path) -> None:
    assert victim_audit.embedding is not None
    cache = EmbeddingCache(tmp_path)
    for size in (0, 100, 100_000):
        with room(size):
            cache.save("a" * 64, victim_audit.embedding)
        assert list(tmp_path.iterdir()) == []
    cache.save("a" * 64, victim_audit.embedding)
    with np.load(tmp_path / f"{'a' * 64}.npz") as found:
        assert np.array_equal(found["phi"], victim_audit.embedding.phi)


def test_a_scan_whose_audit_cannot_be_written_tells_its_result(
    victim: Path, signs: Path, tmp_path: Path
) -> None:
    with room(1000):
        found = bdshift(
            "scan",
            "--quick",
            victim,
            signs,
            "--sample",
            48,
            "--out",
            tmp_path / "a.h5",
            "--no-cache",
        )
    assert found.exit_code == 3, found.output
    assert "backdoored" in found.stdout.lower() or "speed_80" in found.stdout
    assert "the disk is full" in found.stderr.splitlines()[-1]
    assert "Traceback" not in found.stderr
    assert list(tmp_path.iterdir()) == []
