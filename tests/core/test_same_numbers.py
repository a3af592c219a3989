"""The same scan gives the same numbers, however busy the machine is. Batch size and precision
change them by no more than docs/method.md says.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from bdshift.audit import Audit, Material, ScanSettings, scan
from bdshift.audit.stages import open_clean_set
from bdshift.checkpoints.classifier import open_checkpoint
from bdshift.checkpoints.footprint import interruptible, largest_batch, work_per_image
from bdshift.images.collection import open_images
from bdshift.images.preprocessing import Preprocessing, parse_normalization
from bdshift.jobs import Canceled, JobContext
from bdshift.reports.json_report import audit_json
from bdshift.reports.text_report import audit_text
from bdshift.shift.embed import Embedding, Precision, embed_images
from bdshift.shift.solve import solve


def scanned(victim: Path, signs: Path) -> Audit:
    return scan(victim, signs, ScanSettings(sample=60, normalize="half", device="cpu"))


def bits(audit: Audit) -> tuple[bytes, bytes, int]:
    assert audit.embedding is not None
    return audit.embedding.phi.tobytes(), audit.shifts.l2.tobytes(), audit.embedding.batch


def test_a_busy_machine_gives_the_same_bits(
    victim: Path, signs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calm = bits(scanned(victim, signs))
    now = 0.0

    def busy() -> float:
        nonlocal now
        now += 7.0
        return now

    for clock in ("perf_counter", "monotonic", "time"):
        monkeypatch.setattr(time, clock, busy)
    assert bits(scanned(victim, signs)) == calm


def test_reports_say_what_the_last_digits_depend_on(victim: Path, signs: Path) -> None:
    audit = scanned(victim, signs)
    assert audit.embedding is not None
    batch = audit.embedding.batch
    assert f"(cpu, {audit.precision}, batches of {batch})" in " ".join(audit_text(audit).split())
    assert audit_json(audit)["shift"]["batch"] == batch


@pytest.mark.parametrize(
    ("precision", "batch", "within"),
    [("float32", 1, 1e-5), ("float32", 7, 1e-5), ("bfloat16", None, 0.02)],
)
def test_norms_agree_across_batch_sizes_and_precisions(
    victim: Path, signs: Path, precision: Precision, batch: int | None, within: float
) -> None:
    opened = open_checkpoint(victim)
    half = Preprocessing(32, parse_normalization("half"))
    classifier = opened.load(opened.candidates[0]).with_preprocessing(half)
    material = Material(classifier, open_clean_set(open_images(signs), 12, ScanSettings(sample=60)))

    def norms(precision: Precision, batch: int | None) -> np.ndarray:
        found: Embedding = embed_images(
            classifier, material.clean.collection, material.clean.files,
            material.clean.class_map.of_folder, precision=precision, batch=batch,
        )  # fmt: skip
        return solve(found.logits, classifier.weight.numpy()).l2

    usual = norms("float32", None)
    assert np.abs(norms(precision, batch) / usual - 1).max() <= within


def test_the_batch_follows_counted_work() -> None:
    cpu = torch.device("cpu")
    network = nn.Sequential(nn.Conv2d(3, 8, 3, bias=False), nn.Flatten(), nn.LazyLinear(10))
    network(torch.zeros(1, 3, 32, 32))
    work = work_per_image(network, 32)
    assert work.multiply_adds == 30 * 30 * 8 * 27 + 30 * 30 * 8 * 10
    assert largest_batch(network, 32, cpu, 256) == 256
    heavy = nn.Sequential(nn.Conv2d(3, 1024, 3, bias=False), nn.Conv2d(1024, 1024, 3))
    assert 1 <= largest_batch(heavy, 32, cpu, 256) < 8


def test_a_job_is_canceled_between_layers() -> None:
    ran: list[str] = []

    class Last(nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            ran.append("last")
            return images

    job = JobContext()

    class First(nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            job.cancel()
            return images

    network = nn.Sequential(First(), Last())
    with pytest.raises(Canceled), interruptible(network, job):
        network(torch.zeros(1))
    assert not ran
    network(torch.zeros(1))
    assert ran == ["last"]


@pytest.mark.parametrize(
    ("given", "first", "expected"),
    [(None, "bdshift", "PASSIVE"), ("ACTIVE", "bdshift", "ACTIVE"), (None, "torch", "None")],
)
def test_threads_that_wait_leave_the_cores_to_others(
    given: str | None, first: str, expected: str
) -> None:
    """If torch was first, it is too late, and the environment of the user's process is left."""
    known = {key: value for key, value in os.environ.items() if key != "OMP_WAIT_POLICY"}
    if given:
        known["OMP_WAIT_POLICY"] = given
    code = f"import {first}, bdshift, os; print(os.environ.get('OMP_WAIT_POLICY'))"
    found = subprocess.run([sys.executable, "-c", code], env=known, capture_output=True, text=True)
    assert found.stdout.strip() == expected
