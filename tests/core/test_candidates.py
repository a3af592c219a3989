"""The networks that a checkpoint's weights fit, measured on all images."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from bdshift.audit import Audit, ScanSettings
from bdshift.audit.candidates import (
    MAX_CANDIDATES,
    CandidateTable,
    MeasuredCandidate,
    measure_candidates,
)
from bdshift.audit.one_model import Machinery
from bdshift.checkpoints.classifier import open_checkpoint
from bdshift.cli import main
from bdshift.images.collection import open_images
from bdshift.images.preprocessing import NORMALIZATIONS, Preprocessing
from bdshift.jobs import Canceled, Event, JobContext, Progress
from bdshift.reports.candidates_report import candidates_json, candidates_text

RELU = "ResNet-18, width 8, CIFAR stem"
GELU = f"{RELU}, GELU"
HALF = Preprocessing(32, NORMALIZATIONS["half"], "rgb")


def candidate(name: str, right: int, wrong_first: bool = False) -> MeasuredCandidate:
    """One that classifies ``right`` of a hundred images correctly: the first, or the last."""
    correct = np.zeros(100, dtype=bool)
    correct[100 - right :] = True
    return MeasuredCandidate(name, HALF, correct if wrong_first else correct[::-1].copy())


def test_only_what_chance_does_not_explain_makes_a_choice_certain() -> None:
    best = candidate("relu", 90)
    assert candidate("gelu", 87).is_as_good_as(best), "three images tell nothing apart"
    assert not candidate("elu", 80).is_as_good_as(best), "ten images, all in favor of one"
    both = candidate("tanh", 85, wrong_first=True)
    assert both.is_as_good_as(best), "it is right where the other is wrong, and the other way round"
    table = CandidateTable((best, candidate("gelu", 87), candidate("elu", 80)), ("a",))
    assert table.ties() == [1]
    assert str(table.conclusion[0]).startswith("The choice is not certain: on all 100 images")
    assert "選択は確実ではありません" in table.conclusion[0].render("ja")
    clear = CandidateTable((best, candidate("elu", 80)), ("a",))
    assert clear.ties() == []
    assert "every other candidate clearly fewer" in str(clear.conclusion[0])
    assert "There is one candidate" in str(CandidateTable((best,), ("a",)).conclusion[0])


def test_whether_the_choice_matters_is_what_those_as_good_say(victim_audit: Audit) -> None:
    found = victim_audit.finding
    other = replace(found, level="nothing-unusual", classes=())
    best = replace(candidate("relu", 90), finding=found)
    tie = replace(candidate("gelu", 88), finding=found)
    worse = replace(candidate("elu", 50), finding=other)
    same = CandidateTable((best, tie, worse), ("a",))
    assert "the choice hardly matters" in str(same.conclusion[1])
    differ = CandidateTable((best, replace(tie, finding=other), worse), ("a",))
    assert "the choice matters" in str(differ.conclusion[1])


class Counting(JobContext):
    def __init__(self, stop_at: int = 0) -> None:
        super().__init__()
        self.stages: list[str] = []
        self._stop_at = stop_at

    def report(self, event: Event) -> None:
        if isinstance(event, Progress):
            self.stages.append(str(event.stage))
            if self._stop_at and f"Candidate {self._stop_at} of" in self.stages[-1]:
                self.cancel()


def test_every_image_counts_and_each_is_scanned(victim: Path, signs: Path) -> None:
    collection, opened = open_images(signs), open_checkpoint(victim)
    on, asked = Machinery(torch.device("cpu")), ScanSettings(sample=20)
    job = Counting()
    table = measure_candidates(opened, collection, asked, on, each=True, job=job)
    names = [one.architecture for one in table.rows]
    assert names[0] == RELU
    assert table.rows[0].chosen
    assert GELU in names, "it was in no contest, since ReLU is right about nearly all images"
    assert len(table.rows) == MAX_CANDIDATES
    assert table.left_out > 0
    assert all(len(one.correct) == len(collection.files) for one in table.rows), "not a sample"
    accuracies = [one.accuracy for one in table.rows]
    assert accuracies == sorted(accuracies, reverse=True)
    assert all(one.finding is not None for one in table.rows)
    first = table.rows[0].finding
    assert first is not None
    assert first.level == "backdoored"
    assert any(f"Candidate 3 of {MAX_CANDIDATES}: Embedding" in one for one in job.stages)
    text = candidates_text(table)
    assert text.splitlines()[1].startswith(f"  {RELU}")
    assert "the scan's choice" in text.splitlines()[1]
    assert text.splitlines()[2].startswith("      Probably backdoored: Class 9")
    told = candidates_json(table)
    assert told["choice_is_certain"] is (not table.ties())
    assert [one["accuracy"] for one in told["candidates"]] == accuracies


def test_measuring_can_be_stopped(victim: Path, signs: Path) -> None:
    job = Counting(stop_at=2)
    with pytest.raises(Canceled):
        measure_candidates(
            open_checkpoint(victim), open_images(signs), ScanSettings(),
            Machinery(torch.device("cpu")), job=job,
        )  # fmt: skip
    assert not any("Candidate 3" in one for one in job.stages)


@pytest.mark.slow
def test_the_command_prints_the_table(
    victim: Path, signs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    done = CliRunner().invoke(main, ["info", str(victim), "--images", str(signs), "--json"])
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert told["candidates"][0]["architecture"] == RELU
    assert told["candidates"][0]["finding"] is None
    assert told["conclusion"]
    done = CliRunner().invoke(main, ["info", str(victim), "--each"])
    assert done.exit_code == 2
    assert "--each and --labels need --images" in done.output
