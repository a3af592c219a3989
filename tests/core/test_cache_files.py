"""A cache of embeddings that anyone may have written to is used only where it is right."""

from __future__ import annotations

import io
import json
import re
import shutil
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from bdshift.audit import Material, ScanSettings
from bdshift.audit.stages import embed_cached, open_clean_set
from bdshift.checkpoints.classifier import open_checkpoint
from bdshift.errors import InputError
from bdshift.images.collection import open_images
from bdshift.images.preprocessing import Preprocessing, parse_normalization
from bdshift.jobs import Event, JobContext, Note
from bdshift.shift.cache import EmbeddingCache

Arrays = dict[str, Any]


class _Notes(JobContext):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def report(self, event: Event) -> None:
        if isinstance(event, Note):
            self.found.append(str(event.sentence))


def _open(victim: Path, images: Path) -> Material:
    opened = open_checkpoint(victim)
    loaded = opened.load(opened.candidates[0])
    classifier = loaded.with_preprocessing(Preprocessing(32, parse_normalization("none")))
    settings = ScanSettings(sample=12)
    return Material(classifier, open_clean_set(open_images(images), opened.classes, settings))


@pytest.fixture(scope="module")
def material(victim: Path, signs: Path) -> Material:
    return _open(victim, signs)


def _about(arrays: Arrays, **changed: Any) -> Arrays:
    found = {**json.loads(arrays["about"].tobytes()), **changed}
    return {**arrays, "about": np.frombuffer(json.dumps(found).encode(), np.uint8)}


def _scaled(arrays: Arrays) -> Arrays:
    """φ and logits that fit each other, of other images."""
    rows = np.roll(np.arange(len(arrays["phi"])), 7)
    return {**arrays, "phi": arrays["phi"][rows], "logits": arrays["logits"][rows]}


FORGED: dict[str, Callable[[Arrays], Arrays]] = {
    "other images": _scaled,
    "other logits": lambda a: {**a, "logits": a["logits"] + 1},
    "other labels": lambda a: {**a, "labels": a["labels"][::-1].copy()},
    "not finite": lambda a: {**a, "phi": np.where(a["phi"] > 0, np.nan, a["phi"])},
    "a neuron less": lambda a: {**a, "phi": a["phi"][:, 1:].copy()},
    "a class more": lambda a: {**a, "logits": np.pad(a["logits"], ((0, 0), (0, 1)))},
    "an image less": lambda a: {k: v if k == "about" else v[1:] for k, v in a.items()},
    "other numbers": lambda a: {**a, "phi": a["phi"].astype(np.float64)},
    "by column": lambda a: {**a, "phi": np.asfortranarray(a["phi"])},
    "objects": lambda a: {**a, "phi": np.array([{}], object)},
    "wide thumbnails": lambda a: {**a, "thumbnails": np.zeros((12, 3, 999, 999), np.uint8)},
    "other thumbnails": lambda a: {**a, "thumbnails": 255 - a["thumbnails"]},
    "other files": lambda a: _about(a, files=[["../x.png", 0]] * len(a["phi"])),
    "no files": lambda a: _about(a, files=[]),
    "no batch": lambda a: _about(a, batch=-1),
    "no text": lambda a: {**a, "about": np.zeros(9, np.uint8)},
    "nothing": lambda _: {},
}


@pytest.mark.parametrize("name", FORGED)
def test_a_forged_entry_is_computed_again(material: Material, tmp_path: Path, name: str) -> None:
    cache = EmbeddingCache(tmp_path)
    first = embed_cached(cache, material)
    [entry] = tmp_path.glob("*.npz")
    with np.load(entry) as found:
        arrays = {key: found[key] for key in found.files}
    np.savez(entry, **FORGED[name](arrays))
    job = _Notes()
    again = embed_cached(cache, material, job=job)
    assert job.found == [], "it was not taken from the cache"
    assert np.array_equal(first.phi, again.phi)
    assert np.array_equal(first.thumbnails, again.thumbnails)
    job = _Notes()
    embed_cached(cache, material, job=job)
    assert job.found == ["The embeddings are in the cache"], "it was replaced by a right one"


def test_an_entry_takes_no_more_memory_than_it_should(material: Material, tmp_path: Path) -> None:
    cache = EmbeddingCache(tmp_path)
    embed_cached(cache, material)
    [entry] = tmp_path.glob("*.npz")
    whole = entry.read_bytes()
    head = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        head, {"descr": "<f4", "fortran_order": False, "shape": (12, 10**9)}
    )
    with zipfile.ZipFile(entry, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("about.npy", bytes(300 * 2**20))
        archive.writestr("phi.npy", head.getvalue() + bytes(300 * 2**20))
    tracemalloc.start()
    job = _Notes()
    embed_cached(cache, material, job=job)
    assert tracemalloc.get_traced_memory()[1] < 2**28
    tracemalloc.stop()
    assert job.found == []
    for cut in (0, 10, len(whole) // 2, len(whole) - 1):
        entry.write_bytes(whole[:cut])
        embed_cached(cache, material, job=job)
        assert job.found == []


def test_an_image_that_changes_is_not_used_twice(victim: Path, signs: Path, tmp_path: Path) -> None:
    shutil.copytree(signs, tmp_path / "clean")
    material = _open(victim, tmp_path / "clean")
    first = embed_cached(None, material)
    file = first.files[0]
    shutil.copy(tmp_path / "clean" / first.files[-1].name, tmp_path / "clean" / file.name)
    again = embed_cached(None, material)
    assert [one.name for one in again.skipped] == [file.name]
    assert "has changed since it was first read" in str(again.skipped[0].reason)
    assert again.images_hash != first.images_hash


@pytest.mark.parametrize(
    ("sizes", "words"),
    [
        ((64, 64, 0), "2.weight"),
        ((0, 0, 10), "0.weight"),
    ],
)
def test_a_head_without_rows_is_no_head(
    tmp_path: Path, sizes: tuple[int, int, int], words: str
) -> None:
    first, inside, classes = sizes
    weights = {
        "0.weight": torch.randn(first, 3072), "0.bias": torch.randn(first),
        "2.weight": torch.randn(classes, inside), "2.bias": torch.randn(classes),
    }  # fmt: skip
    torch.save(weights, tmp_path / "m.pt")
    with pytest.raises(InputError, match=re.escape(words)):
        open_checkpoint(tmp_path / "m.pt")


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_refused(tmp_path: Path, value: float) -> None:
    weights = {
        "0.weight": torch.randn(64, 3072), "0.bias": torch.randn(64),
        "2.weight": torch.randn(10, 64), "2.bias": torch.randn(10),
    }  # fmt: skip
    weights["2.weight"][3, 5] = value
    torch.save(weights, tmp_path / "m.pt")
    opened = open_checkpoint(tmp_path / "m.pt")
    with pytest.raises(InputError, match="not finite"):
        opened.load(opened.candidates[0]).checked(torch.rand(2, 3, 32, 32))
