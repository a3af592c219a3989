"""A scan that was interrupted goes on after the last detector that it finished."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from checker_network import planted_subject
from commands import bdshift, one_line
from quick import quick_detector, shorten_searches

from bdshift.audit import Audit
from bdshift.audit.finished import find_evidence
from bdshift.detect.detector import DETECTORS, Detector, Evidence, Subject
from bdshift.detect.detectors.margin import Margin
from bdshift.detect.detectors.mask import MaskInversion
from bdshift.detect.detectors.pairs import Pairs
from bdshift.jobs import SILENT, Canceled, Event, JobContext, JobPart
from bdshift.resume import is_state, write_state
from bdshift.store import load_audit
from bdshift.store.finished import FinishedEvidence

ASKED = (DETECTORS.parse("shift"), Pairs(), Margin(steps=2, starts=1))


class Watched:
    """Counts how often detectors run; the first run of ``fails`` is canceled."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, fails: str) -> None:
        self.ran: list[str] = []
        self.made: dict[str, Evidence] = {}
        self._fails = fails
        for kind in (Pairs, Margin, MaskInversion):
            monkeypatch.setattr(kind, "detect", self._watching(kind.detect))

    def _watching(self, detect: Any) -> Any:
        def run(detector: Detector, subject: Subject, job: JobContext) -> Evidence:
            self.ran.append(detector.name)
            if detector.name == self._fails and self.ran.count(self._fails) == 1:
                raise Canceled
            found: Evidence = detect(detector, subject, job)
            self.made[detector.name] = found
            return found

        return run


def same(one: Evidence, other: Evidence) -> None:
    """Assert that two pieces of evidence are equal, number by number."""
    for thing, again in ((one, other), (one.record, other.record)):
        assert type(thing) is type(again)
        for field in dataclasses.fields(thing):
            if field.name != "record":
                np.testing.assert_array_equal(
                    getattr(thing, field.name), getattr(again, field.name), field.name
                )


@pytest.fixture(scope="module")
def subject(tmp_path_factory: pytest.TempPathFactory) -> Subject:
    return planted_subject(tmp_path_factory.mktemp("planted"), images=4)


@pytest.fixture
def find(subject: Subject, victim_audit: Audit, tmp_path: Path) -> Any:
    """Run detectors on the planted network, with the state at ``tmp_path / "state"``."""

    def run(detectors: Sequence[Detector] = ASKED, **changed: Any) -> tuple[Evidence, ...]:
        state = FinishedEvidence(tmp_path / "state")
        given = dataclasses.replace(subject, **changed)
        return find_evidence(given, detectors, victim_audit.model, state, SILENT)

    return run


def test_a_scan_goes_on_after_the_last_finished_detector(
    victim: Path, signs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    shorten_searches(monkeypatch)
    watched = Watched(monkeypatch, fails="mask")
    out = tmp_path / "a.h5"
    given = (
        "scan", victim, signs, "--sample", 60, "--normalize", "half", "--out", out,
        "--detector", "pairs", "--detector", "mask:images=8",
    )  # fmt: skip
    one_line(bdshift(*given), 130, "interrupted")
    assert not out.exists()
    assert is_state(tmp_path / "a.h5.scan.state")
    found = bdshift(*given)
    assert found.exit_code == 0, found.output
    assert watched.ran == ["pairs", "mask", "mask"]
    assert "Pairs of classes was finished before the interruption" in found.stderr
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["a.h5"]
    _, pairs, mask = load_audit(out).evidence
    same(pairs, watched.made["pairs"])
    same(mask, watched.made["mask"])


def test_a_file_where_the_state_would_be_is_not_replaced(
    victim: Path, signs: Path, tmp_path: Path
) -> None:
    other = tmp_path / "a.h5.scan.state"
    other.write_bytes(b"mine")
    found = bdshift("scan", victim, signs, "--out", tmp_path / "a.h5", "--detector", "pairs")
    one_line(found, 2, "a.h5.scan.state: exists")
    assert other.read_bytes() == b"mine"


def test_all_evidence_comes_back_as_it_was(
    subject: Subject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shorten_searches(monkeypatch)
    path, identity = tmp_path / "state", {"model": "a"}
    made = [quick_detector(name).detect(subject, SILENT) for name in DETECTORS]
    state = FinishedEvidence(path)
    for one in made:
        state.keep(identity, one)
    again = FinishedEvidence(path)
    for name, one in zip(DETECTORS, made, strict=True):
        found = again.get(identity, quick_detector(name))
        assert found is not None, name
        same(found, one)


def test_what_the_numbers_depend_on_decides(
    find: Any, subject: Subject, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched = Watched(monkeypatch, fails="margin")
    with pytest.raises(Canceled):
        find()
    find()
    assert watched.ran == ["pairs", "margin", "margin"]
    find()
    assert len(watched.ran) == 3, "all of it is finished"
    find((ASKED[0], Pairs(alpha=0.2), ASKED[2]))
    assert watched.ran[3:] == ["pairs"]
    find(seed=1)
    assert watched.ran[4:] == ["pairs", "margin"]
    phi = subject.embedding.phi + np.float32(1e-6)
    find(embedding=dataclasses.replace(subject.embedding, phi=phi))
    assert watched.ran[6:] == ["pairs", "margin"]
    find()
    assert len(watched.ran) == 8, "what belongs to the same model is kept"


def test_one_detector_leaves_no_state(find: Any, tmp_path: Path) -> None:
    assert len(find(ASKED[:1])) == 1
    assert not (tmp_path / "state").exists()


def test_the_state_of_another_scan_is_not_used(subject: Subject, tmp_path: Path) -> None:
    path, detector = tmp_path / "new" / "state", quick_detector("pairs")
    one = detector.detect(subject, SILENT)
    FinishedEvidence(path).keep({"model": "a"}, one)
    assert FinishedEvidence(path).get({"model": "a"}, detector) is not None
    assert FinishedEvidence(path).get({"model": "b"}, detector) is None
    FinishedEvidence(path).keep({"model": "b"}, one)
    assert FinishedEvidence(path).get({"model": "a"}, detector) is not None, (
        "b may be its reference"
    )
    FinishedEvidence(path).keep({"model": "c"}, one)
    assert FinishedEvidence(path).get({"model": "a"}, detector) is None, "dropped"
    assert FinishedEvidence(path).get({"model": "b"}, detector) is not None
    content = path.read_bytes()
    for spoiled in (b"not a state", content[:-1], content[:-9] + b"x" + content[-8:]):
        path.write_bytes(spoiled)
        assert FinishedEvidence(path).get({"model": "b"}, detector) is None
    others: tuple[Any, ...] = ([], {"kinds": {}}, {"format": 0, "held": [1]})
    for value in others:
        write_state(path, value)
        assert FinishedEvidence(path).get({"model": "b"}, detector) is None


def test_a_state_that_cannot_be_kept_ends_no_scan(subject: Subject, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"mine")
    (tmp_path / "folder").mkdir()
    detector = quick_detector("pairs")
    one = detector.detect(subject, SILENT)
    for path in (tmp_path / "file" / "state", tmp_path / "folder"):
        state = FinishedEvidence(path)
        state.keep({"model": "a"}, one)
        assert state.get({"model": "a"}, detector) is not None
    assert (tmp_path / "file").read_bytes() == b"mine"


def test_each_detector_is_a_part_of_the_job(subject: Subject, victim_audit: Audit) -> None:
    """Also where others come before them and after."""
    told: list[Event] = []

    class Told(JobContext):
        def report(self, event: Event) -> None:
            told.append(event)

    def parts(detectors: Sequence[Detector], before: int, after: int) -> list[Event]:
        told.clear()
        job = Told()
        with job.among(before, after):
            find_evidence(subject, detectors, victim_audit.model, None, job)
        return [one for one in told if isinstance(one, JobPart)]

    assert parts(ASKED, 0, 0) == [JobPart(1, 3), JobPart(2, 3), JobPart(3, 3)]
    assert parts(ASKED, 1, 2) == [JobPart(2, 6), JobPart(3, 6), JobPart(4, 6)]
    assert parts(ASKED[:1], 0, 0) == [], "one has the whole bar"
