"""The pass of the images through the network, its progress, and its cache."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from known import STICKER

from bdshift.audit import Material, ScanSettings, scan
from bdshift.audit.stages import embed_cached, open_clean_set
from bdshift.checkpoints.classifier import open_checkpoint
from bdshift.checkpoints.footprint import Work
from bdshift.detect.detectors.embedding_shift import EmbeddingShift
from bdshift.devices import GIB
from bdshift.errors import InputError
from bdshift.images.collection import open_images
from bdshift.images.preprocessing import Preprocessing, parse_normalization
from bdshift.jobs import Canceled, Event, JobContext, Note, Progress
from bdshift.shift import embed as embed_module
from bdshift.shift.cache import EmbeddingCache
from bdshift.shift.embed import Embedding, embed_images
from bdshift.shift.exact import solve_exact
from bdshift.shift.expected import say_what_it_takes
from bdshift.shift.on_disk import on_disk
from bdshift.shift.room import belong_on_disk, bytes_needed
from bdshift.triggers import parse_trigger


def open_material(victim: Path, signs: Path, sample: int) -> Material:
    opened = open_checkpoint(victim)
    half = Preprocessing(32, parse_normalization("half"))
    return Material(
        opened.load(opened.candidates[0]).with_preprocessing(half),
        open_clean_set(open_images(signs), 12, ScanSettings(sample=sample)),
    )


def embed(victim: Path, signs: Path, batch: int | None = None) -> Embedding:
    material = open_material(victim, signs, 60)
    clean = material.clean
    return embed_images(
        material.classifier, clean.collection, clean.files, clean.class_map.of_folder,
        precision="float32", batch=batch,
    )  # fmt: skip


def test_batches_do_not_change_the_numbers(victim: Path, signs: Path) -> None:
    one, many = embed(victim, signs, batch=7), embed(victim, signs)
    assert np.allclose(one.phi, many.phi, atol=1e-4)
    assert one.files == many.files
    assert one.images_hash == many.images_hash
    assert (one.labels == [file.label for file in one.files]).all()


def test_memory_running_out_halves_the_batch(
    victim: Path, signs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain: Callable[..., object] = embed_module._Pass._one
    sizes: list[int] = []

    def scarce(self: object, pixels: np.ndarray, trigger: object) -> object:
        sizes.append(len(pixels))
        if len(pixels) > 3:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried 1 TB")
        return plain(self, pixels, trigger)

    expected = embed(victim, signs)
    monkeypatch.setattr(embed_module._Pass, "_one", scarce)
    found = embed(victim, signs)
    assert found.batch <= 3
    assert max(sizes) > 3
    assert np.allclose(found.phi, expected.phi, atol=1e-4)


def test_other_faults_are_not_taken_for_memory(
    victim: Path, signs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(self: object, pixels: np.ndarray, trigger: object) -> object:
        raise RuntimeError("shape mismatch")

    monkeypatch.setattr(embed_module._Pass, "_one", broken)
    with pytest.raises(RuntimeError, match="shape mismatch"):
        embed(victim, signs)


def test_cancel_leaves_at_the_next_batch(victim: Path, few_signs: Path) -> None:
    class StopsAtEmbedding(JobContext):
        def report(self, event: Event) -> None:
            if isinstance(event, Progress) and str(event.stage).startswith("Embedding"):
                self.cancel()

    with pytest.raises(Canceled):
        scan(victim, few_signs, job=StopsAtEmbedding())


def test_progress_ends_at_its_total(victim: Path, few_signs: Path) -> None:
    events: list[Progress] = []

    class CollectsProgress(JobContext):
        def report(self, event: Event) -> None:
            if isinstance(event, Progress):
                events.append(event)

    scan(victim, few_signs, job=CollectsProgress())
    last = {str(event.stage): event for event in events}
    assert {"Embedding clean images", "Solving shifts"} <= set(last)
    for stage in ("Embedding clean images", "Solving shifts"):
        assert last[stage].done == last[stage].total
    for event in events:
        assert 0 <= event.done <= event.total


# --- the cache


def test_the_cache_gives_the_same_audit(victim: Path, few_signs: Path, tmp_path: Path) -> None:
    cache = EmbeddingCache(tmp_path / "cache")
    notes: list[str] = []

    class CollectsNotes(JobContext):
        def report(self, event: Event) -> None:
            if isinstance(event, Note):
                notes.append(str(event.sentence))

    first = scan(victim, few_signs, cache=cache, job=CollectsNotes())
    assert notes == []
    other = ScanSettings(detectors=(EmbeddingShift(alpha=0.2),))
    second = scan(victim, few_signs, other, cache=cache, job=CollectsNotes())
    assert notes == ["The embeddings are in the cache"]
    assert first.embedding is not None
    assert second.embedding is not None
    assert np.array_equal(first.embedding.phi, second.embedding.phi)
    assert first.embedding.files == second.embedding.files
    assert (second.shifts.l2 < first.shifts.l2).all()


def test_another_image_is_another_entry(victim: Path, few_signs: Path, tmp_path: Path) -> None:
    shutil.copytree(few_signs, tmp_path / "clean")
    cache = EmbeddingCache(tmp_path / "cache")
    scan(victim, tmp_path / "clean", cache=cache)
    changed = tmp_path / "clean" / "stop" / "0000.png"
    shutil.copy(tmp_path / "clean" / "yield" / "0000.png", changed)
    scan(victim, tmp_path / "clean", cache=cache)
    assert len(list((tmp_path / "cache").glob("*.npz"))) == 2


def test_a_broken_cache_is_no_error_and_a_full_one_makes_room(
    victim: Path, signs: Path, tmp_path: Path
) -> None:
    cache = EmbeddingCache(tmp_path / "cache")
    material = open_material(victim, signs, 36)
    first = embed_cached(cache, material)
    [entry] = (tmp_path / "cache").glob("*.npz")
    entry.write_bytes(b"broken")
    again = embed_cached(cache, material)
    assert np.array_equal(first.phi, again.phi)
    small = EmbeddingCache(tmp_path / "cache", limit=entry.stat().st_size + 10)
    other = embed_cached(small, material, trigger=parse_trigger(STICKER))
    assert not np.array_equal(other.phi, first.phi)
    assert len(list((tmp_path / "cache").glob("*.npz"))) == 1
    nowhere = EmbeddingCache(victim / "not-a-folder")
    assert np.array_equal(embed_cached(nowhere, material).phi, first.phi)


def test_what_cannot_fit_is_refused_before_it_begins(
    victim: Path, signs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = bytes_needed(40, 64, 12, on_disk=True)
    monkeypatch.setattr(embed_module, "free_memory", lambda _: free)
    with pytest.raises(InputError, match=r"60 images .* take a sample of at most 40 images"):
        embed(victim, signs)


def test_what_does_not_fit_into_memory_lies_on_disk_and_is_the_same(
    victim: Path, signs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_memory = embed(victim, signs)
    monkeypatch.setattr(embed_module, "free_memory", lambda _: bytes_needed(59, 64, 12))
    mapped = embed(victim, signs)
    for name in ("phi", "logits", "thumbnails"):
        assert isinstance(getattr(mapped, name), np.memmap)
        assert not isinstance(getattr(in_memory, name), np.memmap)
        assert np.array_equal(getattr(mapped, name), getattr(in_memory, name))
    weight = np.eye(12, 64)
    exact = solve_exact(in_memory.logits, weight), solve_exact(mapped.logits, weight)
    assert np.array_equal(exact[0].shift, exact[1].shift)


def test_what_takes_long_is_said_before_it_begins() -> None:
    said: list[str] = []

    class Job(JobContext):
        def report(self, event: Event) -> None:
            assert isinstance(event, Note)
            said.append(str(event.sentence))

    def say(
        images: int, work: float, dim: int, classes: int, device: str = "cpu", solved: bool = True
    ) -> None:
        say_what_it_takes(
            images, dim, classes, Work(work, 0), "float32", torch.device(device), Job(),
            on_disk=False, solved=solved,
        )  # fmt: skip

    say(500, 5e8, 512, 10)
    assert said == [], "seconds are not worth a line"
    say(5000, 4e9, 2048, 1000)
    assert (
        said.pop() == "5,000 images and 1,000 classes will take about 4 min and 0.3 GiB of memory"
    )
    say(50_000, 4e9, 2048, 1000)
    assert (
        said.pop() == "50,000 images and 1,000 classes will take about 39 min and 2.1 GiB of memory"
    )
    say(2000, 6e10, 1024, 21_841)
    assert "about 54 min" in said.pop()
    say(2000, 6e10, 1024, 21_841, solved=False)
    assert "about 22 min" in said.pop()
    say(50_000, 4e9, 2048, 1000, "cuda")
    assert "about 3 min" in said.pop()


def test_a_full_disk_is_told_in_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "posix_fallocate", full, raising=False)
    with pytest.raises(InputError, match=r"1\.00 GiB .*\(No space left on device\)"):
        on_disk((2**28,), np.float32)


@pytest.mark.parametrize(("dim", "classes"), [(512, 10), (2048, 1000), (1024, 21841)])
def test_as_many_images_as_are_said_to_fit_do(dim: int, classes: int) -> None:
    free = 4 * GIB
    with pytest.raises(InputError) as refused:
        belong_on_disk(10_000_000, dim, classes, free)
    most = refused.value.sentence.values["most"]
    assert isinstance(most, int)
    assert belong_on_disk(most, dim, classes, free)
    with pytest.raises(InputError):
        belong_on_disk(most + 1, dim, classes, free)
    assert not belong_on_disk(1000, dim, classes, free)


def test_a_head_that_cannot_fit_by_itself_is_refused() -> None:
    with pytest.raises(InputError, match="a head with 500,000 classes"):
        belong_on_disk(1, 8192, 500_000, 4 * GIB)
