"""A trigger of a single class, which nothing shows that looks at all classes at once: on a network
whose backdoor was made by hand.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from checker_network import Scanned, scan_cells, subject_of

from bdshift.audit import with_recovery
from bdshift.audit.more_evidence import with_evidence
from bdshift.audit.pair_trials import _LEAST_IMAGES, _searches, most_one_sided
from bdshift.audit.recovering import recover_trigger
from bdshift.audit.recovery_ground import CONTROLS, EVERY_OTHER, Ground, ground_of
from bdshift.changes import CHANGES, ChangeKind
from bdshift.detect.detector import DETECTORS
from bdshift.detect.rule import RULES
from bdshift.devices import pick_device
from bdshift.jobs import SILENT, Event, JobContext, JobPart, Note
from bdshift.recovery.drop import MIN_FACTOR_OF_PAIR
from bdshift.recovery.pair_merits import pair_merits
from bdshift.recovery.search import passes

SOURCE, TARGET = 1, 3
CLASSES, IMAGES = 5, 40


@pytest.fixture(scope="module")
def victim(tmp_path_factory: pytest.TempPathFactory) -> Scanned:
    """Class 1 is sent to class 3, and no other class is."""
    audit, material = scan_cells(
        tmp_path_factory.mktemp("victim"), "one_to_one", classes=CLASSES, images=IMAGES
    )
    return audit.under(RULES.parse("grubbs:significance=1e-9")), material


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Scanned:
    """The same without a backdoor."""
    return scan_cells(
        tmp_path_factory.mktemp("clean"), "clean_cells", classes=CLASSES, images=IMAGES
    )


@pytest.fixture
def mask(monkeypatch: pytest.MonkeyPatch) -> ChangeKind:
    """With fewer steps and starting points than usual: the cells are easy to find."""
    kind = CHANGES["mask"]
    monkeypatch.setattr(kind, "steps", 40)
    monkeypatch.setattr(kind, "scouts", 64)
    return CHANGES.parse("mask")


class Noting(JobContext):
    """Remembers notes and parts."""

    def __init__(self) -> None:
        super().__init__()
        self.notes: list[str] = []
        self.parts: list[JobPart] = []

    def report(self, event: Event) -> None:
        if isinstance(event, Note):
            self.notes.append(str(event.sentence))
        elif isinstance(event, JobPart):
            self.parts.append(event)


def test_a_trigger_of_one_class_is_found_without_being_told(
    victim: Scanned, mask: ChangeKind
) -> None:
    audit, material = victim
    assert audit.finding.classes == ()
    found = recover_trigger(audit, material, kind=mask, job=(job := Noting()))
    assert (found.source, found.target) == (SOURCE, TARGET)
    assert job.parts == [JobPart(number, 5) for number in range(1, 6)], "one bar, never back"
    assert found.asr >= 0.9
    assert found.images == IMAGES // 2, "half of the collection's, not of the audit's"
    assert found.drop > math.log(MIN_FACTOR_OF_PAIR)
    assert found.reverse is not None
    assert found.reverse.target == SOURCE
    assert found.reverse.size > MIN_FACTOR_OF_PAIR * found.attempt.target.size
    assert found.elsewhere <= 0.1, "it was made for one class"
    finding = with_recovery(audit, found).finding
    assert finding.classes == (TARGET,)
    assert finding.reasons[0].code == "recovered-backdoor"
    assert "it works for “class_1” alone." in str(finding.reasons[0].sentence)
    of_all = recover_trigger(audit, material, kind=mask, source=EVERY_OTHER)
    assert (of_all.source, of_all.reverse) == (EVERY_OTHER, None)
    assert math.isnan(of_all.elsewhere)
    assert with_recovery(audit, of_all).finding.classes == ()


def test_pairs_of_a_clean_network_are_no_evidence(clean: Scanned, mask: ChangeKind) -> None:
    audit, material = clean
    job = Noting()
    found = recover_trigger(audit, material, kind=mask, job=job)
    assert found.source == EVERY_OTHER
    after = with_recovery(audit, found).finding
    assert (after.level, after.classes, after.reasons) == (
        audit.finding.level, audit.finding.classes, audit.finding.reasons,
    )  # fmt: skip
    left_out = [one.code for one in audit.finding.cautions if one not in after.cautions]
    assert left_out == ["second-stage-not-run"], "a recovery is a search, too"
    assert [note for note in job.notes if "is no evidence, either" in note]


def test_a_pair_that_the_scan_found_is_not_searched_for_again(
    victim: Scanned, mask: ChangeKind
) -> None:
    audit, material = victim
    detector = DETECTORS.parse("pair-mask:images=20")
    named = with_evidence(audit, detector, detector.detect(subject_of(victim), SILENT))
    ground = ground_of(named, material, None, None, 0, pick_device("cpu"), SILENT)
    left = ground.left = 1e9
    assert most_one_sided(ground, None, mask) == (SOURCE, TARGET)
    assert most_one_sided(ground, TARGET, mask) == (SOURCE, TARGET)
    assert ground.left == left
    assert _searches(ground, 0, mask), "of another target nothing is known"


def test_likeness_is_no_evidence() -> None:
    sizes = np.full((4, 4), 40.0)
    np.fill_diagonal(sizes, np.nan)
    sizes[0, 1] = sizes[1, 0] = 4  # alike
    sizes[2, 3] = 12
    merits = pair_merits(sizes)
    assert divmod(int(merits.argmax()), 4) == (2, 3)
    assert merits[2, 3] == pytest.approx(math.log(40 / 12))
    assert merits[0, 1] == merits[1, 0] == 0
    sizes[2, 3] = np.inf
    assert pair_merits(sizes)[2, 3] == -np.inf
    sizes[2, 3], sizes[3, 2] = 12, np.nan
    assert pair_merits(sizes)[2, 3] == -np.inf, "nothing is known of the other way"


def _ground(victim: Scanned, resume: Path | None = None) -> Ground:
    return ground_of(*victim, None, resume, 0, pick_device("cpu"), SILENT)


def test_the_budget_decides_how_many_pairs_are_tried(victim: Scanned, mask: ChangeKind) -> None:
    ground = _ground(victim)
    others = {i: [j for j in range(CLASSES) if j != i] for i in range(CLASSES)}
    assert _searches(ground, None, mask) == others
    toward = _searches(_ground(victim), TARGET, mask)
    assert toward[TARGET] == others[TARGET]
    assert all(TARGET in toward[i] for i in others if i != TARGET)
    one_pair = passes(mask, 1 + CONTROLS) + passes(mask, 1)
    ground.left = 2 * one_pair - 1
    assert _searches(ground, None, mask) == {}
    ground.left = left = 2 * one_pair
    few = _searches(ground, None, mask)
    assert sorted(map(len, few.values())) == [1, 1 + CONTROLS]
    assert ground.left == left - one_pair, "what it takes to recover one of them"


def test_classes_with_few_images_are_left_out(
    victim: Scanned, mask: ChangeKind, monkeypatch: pytest.MonkeyPatch
) -> None:
    def few(ground: Ground, source: int) -> list[Any]:
        return ours(ground, source)[: _LEAST_IMAGES - (source == 2)]

    ours = Ground.files_of
    monkeypatch.setattr(Ground, "files_of", few)
    found = _searches(_ground(victim), None, mask)
    assert sorted(found) == [0, 1, 3, 4]


def test_pairs_that_were_compared_are_kept(
    victim: Scanned, mask: ChangeKind, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    searched: list[list[int]] = []

    def search(ground: Ground, kind: ChangeKind, scene: Any, targets: list[int], *more: Any) -> Any:
        searched.append(targets)
        return ours(ground, kind, scene, targets, *more)

    ours = Ground.search
    monkeypatch.setattr(mask.__class__, "steps", 2)
    monkeypatch.setattr(Ground, "search", search)
    resume = tmp_path / "a.h5.recover.state"
    first = most_one_sided(_ground(victim, resume), None, mask)
    assert len(searched) == CLASSES
    assert most_one_sided(_ground(victim, resume), None, mask) == first
    assert len(searched) == CLASSES
