"""Detectors measured on models whose truth is known."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from commands import bdshift, one_line

from bdshift.audit import ScanSettings
from bdshift.detect.detector import DETECTORS, Detector, Evidence, Subject
from bdshift.detect.detectors.embedding_shift import EmbeddingShift
from bdshift.errors import InputError, UsageError
from bdshift.jobs import JobContext
from bdshift.lab.best_of import best_of
from bdshift.lab.detection import DetectionRow, measure_detectors, read_rows, write_rows
from bdshift.lab.detection_table import summary
from bdshift.lab.discrimination import auroc, interval
from bdshift.lab.truths import known_by_table, known_in_zoo
from bdshift.lab.zoo import OUTCOMES, OWN_IMAGES, SETS, Outcome, write_outcomes


@dataclass(frozen=True)
class Nothing:
    """No record."""


@pytest.fixture
def pairing() -> Iterator[type[Detector]]:
    """A detector for which class i is the way to class i + 1; and one that cannot be run."""

    @dataclass(frozen=True)
    class Pairing(EmbeddingShift):
        name = "pairing"
        record = Nothing  # type: ignore[assignment]

        def detect(self, subject: Subject, job: JobContext) -> Evidence:
            classes = len(subject.class_names)
            if self.alpha > 1:
                raise InputError("no")
            pairs = np.ones((classes, classes))
            pairs[np.arange(classes), (np.arange(classes) + 1) % classes] = 0.5
            pairs[0] = np.nan
            scores = np.arange(1.0, classes + 1)
            return Evidence(self.spec, scores, pairs, 1.5, 20, 10, subject.seed, Nothing())

    DETECTORS.register(Pairing)
    yield Pairing
    DETECTORS.forget("pairing")


@pytest.fixture
def table(tmp_path: Path, victim: Path) -> Path:
    """A table of truth that says that the demo's victim has two targets, and lacks a file."""
    path = tmp_path / "files" / "TRUTH.tsv"
    path.parent.mkdir()
    (path.parent / "a.pth").write_bytes(victim.read_bytes())
    path.write_text(
        "file\trepository\tkind\timages\ttarget\tnotes\n"
        "a.pth\tsomeone/something\tbackdoored\tsigns\t2\t=a note\n"
        "gone.pth\tsomeone/else\tclean\tsigns\t-\t\n"
    )
    return path


@pytest.mark.usefixtures("pairing")
def test_rows_of_other_peoples_files(table: Path, signs: Path, tmp_path: Path) -> None:
    known = list(known_by_table(table, table.parent, {"signs": signs}))
    assert [one.is_clean for one in known] == [False, True]
    known[0] = replace(known[0], targets=(2, 0), follows=True)
    detectors = [DETECTORS.parse(text) for text in ("shift", "pairing", "pairing:alpha=2")]
    settings = ScanSettings(sample=240, seed=3)
    rows = list(measure_detectors(known, detectors, tmp_path / "w", settings=settings))
    assert [row.model for row in rows] == ["a.pth"] * 3 + ["gone.pth"] * 3
    shift, pairing, broken = rows[:3]
    assert shift.top == str(np.argmin([float(one) for one in shift.scores.split(";")]))
    assert float(shift.accuracy) > 0.9
    assert pairing.place == "3;1"
    assert pairing.score == "3;1"
    assert (pairing.top, pairing.top_drop) == ("0", f"{np.log(7):.4g}")
    assert (pairing.seconds, pairing.forwards, pairing.backwards) == ("1.50", "20", "10")
    assert pairing.pairs == "11/12", "where all is NaN, nothing is found"
    assert pairing.seed == "3"
    assert "torch" in pairing.versions
    assert (broken.error, broken.scores) == ("no", "")
    assert "gone.pth" in rows[3].error
    (table.parent / "a.pth").rename(tmp_path / "moved.pth")
    moved = [replace(known[0], file=tmp_path / "moved.pth", source=1, follows=False)]
    again = list(measure_detectors(moved, detectors, tmp_path / "w", rows[1:], settings=settings))
    assert [row.scores for row in again] == [shift.scores], "from its audit, and no other row"
    write_rows(tmp_path / "rows.csv", rows)
    assert read_rows(tmp_path / "rows.csv") == rows


def test_a_table_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "t.tsv").write_text("file\tkind\na.pth\tclean\n")
    with pytest.raises(InputError, match="has no column repository"):
        list(known_by_table(tmp_path / "t.tsv", tmp_path, {}))
    (tmp_path / "rows.csv").write_text("a,b\n1,2\n")
    with pytest.raises(InputError, match="something else than rows of detectors"):
        read_rows(tmp_path / "rows.csv")
    assert read_rows(tmp_path / "none.csv") == []


def test_victims_of_a_suite_are_known(tmp_path: Path) -> None:
    made = Outcome(
        "signs-cnn-0-two-targets", "signs-cnn-0", "signs", "cnn", 0, "", "two targets",
        "badnets;sig", "all-to-one", "3;7", "", "half", 0.9, 0.4, False, 1.0,
    )  # fmt: skip
    twin = Outcome("signs-cnn-0-clean", "signs-cnn-0", "signs", "cnn", 0, "", "clean", "", "", "",
                   "", "half", 0.9, None, None, 1.0)  # fmt: skip
    write_outcomes(tmp_path / OUTCOMES, [made, twin])
    first, second = known_in_zoo(tmp_path, {})
    assert (first.targets, first.took, first.asr) == ((3, 7), False, 0.4)
    assert first.triggers == ("badnets", "sig")
    assert (second.is_clean, second.took, second.triggers, second.asr) == (True, True, (), None)
    assert first.group == second.group
    assert first.images == tmp_path / "signs"
    assert first.normalization == "half"
    (tmp_path / made.name).mkdir()
    (tmp_path / made.name / OWN_IMAGES).touch()
    (tmp_path / SETS).mkdir()
    (tmp_path / SETS / "signs.zip").touch()
    own, common = known_in_zoo(tmp_path, {})
    assert own.images == tmp_path / made.name / OWN_IMAGES
    assert common.images == tmp_path / SETS / "signs.zip"
    (tmp_path / made.name / OWN_IMAGES).unlink()
    (tmp_path / SETS / "signs.zip").unlink()
    write_outcomes(tmp_path / OUTCOMES, [replace(made, images="cifar10")])
    write_outcomes(tmp_path / OUTCOMES, [replace(made, name="one", trigger="sig", images="signs")])
    assert [*known_in_zoo(tmp_path, {"cifar10": tmp_path})][-1].triggers == (
        str(tmp_path / "one/card.json"),
    )
    with pytest.raises(UsageError, match="clean images of cifar10 are needed"):
        list(known_in_zoo(tmp_path, {}))


def test_auroc_is_exact_and_counts_ties() -> None:
    assert auroc(np.array([3.0, 1.0]), np.array([0.0, 1.0, 2.0])) == (3 + 1.5) / 6
    assert auroc(np.array([np.inf]), np.array([np.inf, -np.inf])) == 0.75
    assert np.isnan(auroc(np.array([]), np.array([1.0])))


def row(kind: str, group: str, drop: float, place: str = "1", **more: str) -> DetectionRow:
    made = DetectionRow(f"{group}-{kind}", group, "cnn", kind, "", "", "True", "", "mask:a=1", "0")
    return replace(made, place=place, top_drop=str(drop), seconds="2", **more)


def test_the_summary() -> None:
    clean = [row("clean", f"g{i}", i / 10, "") for i in range(4)]
    found = [row("BadNets", f"g{i}", 0.25 + i / 10, "2" if i else "1") for i in range(4)]
    other = [row("SIG", "g0", float("nan"), "5"), row("two targets", "g1", 3.0, "2;1")]
    failed = [row("BadNets", "g8", 9.0, took="False"), row("LIRA", "g9", 9.0, error="no")]
    pair = [row("one-to-one", "g2", 1.0, "3", pairs="0/1"), row("all-to-all", "g3", 1, pairs="7/9")]
    pair[1] = replace(pair[1], place="")
    text = summary([*clean, *found, *other, *failed, *pair])
    lines = {line.split(" | ")[0].strip("| "): line for line in text.splitlines() if "|" in line}
    low, high = interval(
        [(one.group, float(one.top_drop)) for one in found],
        [(one.group, float(one.top_drop)) for one in clean],
    )
    assert 0 <= low < 15 / 16 < high <= 1
    assert f"| 4 | 0.938 | {low:.2f}–{high:.2f} | 3/4 | 1/4 | 0.40 | 2.0 |" in lines["BadNets"]
    assert "| 0.000 |" in lines["SIG"]
    assert "| 1/1 |" in lines["two targets"]
    assert "0/1, pairs 0/1" in lines["one-to-one"]
    assert "| pairs 7/9 |" in lines["all-to-all"]
    assert "| 8 |" in lines["all"]
    assert "0.15, at most 0.30" in lines["clean"]
    assert "LIRA" not in lines


def test_as_a_command(table: Path, signs: Path, tmp_path: Path) -> None:
    command = (
        "lab", "detectors", tmp_path / "rows.csv", "--truth", table, "--work", tmp_path / "w",
        "--detector", "shift", "--sample", 120,
    )  # fmt: skip
    one_line(bdshift(*command), 2, "clean images of signs are needed: --images signs=PATH")
    given = (*command, "--images", f"signs={signs}")
    one_line(bdshift(*given, "--only", "vgg"), 2, "there are no models")
    result = bdshift(*given, "--only", "a.p")
    assert result.exit_code == 0, result.output
    assert "a.pth, shift: class" in result.stderr
    with (tmp_path / "rows.csv").open(newline="") as stream:
        assert [one["model"] for one in csv.DictReader(stream)] == ["a.pth"]
    assert "| backdoored | 1 |" in (tmp_path / "rows.md").read_text()
    before = (tmp_path / "rows.csv").stat().st_mtime_ns
    assert bdshift(*given, "--only", "a.p").exit_code == 0
    assert (tmp_path / "rows.csv").stat().st_mtime_ns == before


def test_the_searches_together() -> None:
    def searched(kind: str, model: str, scores: str, **more: str) -> DetectionRow:
        told = replace(row("BadNets", model, 0), detector=f"{kind}:images=4", targets="2")
        return replace(told, scores=scores, forwards="3", backwards="4", **more)

    rows = [
        searched("mask", "a", "8;8;1;8"), searched("additive", "a", "8;1;8;8"),
        searched("mask", "b", "4;8;8;inf"), searched("additive", "b", "4;4;1;4"),
        searched("warp", "b", "1;9;9;9"), searched("shift", "b", "1;9;9;9"),
    ]  # fmt: skip
    first, second = best_of(rows)
    assert (first.detector, first.seconds, first.forwards) == ("mask additive", "4.00", "6")
    assert (first.place, first.drop) == ("2", f"{np.log(8):.4g}"), "a tie is no success"
    assert (second.top, second.place) == ("2", "1"), "warp was not run on all"
    assert (second.drop, second.top_drop) == (f"{np.log(4):.4g}",) * 2
    assert best_of(rows[::2]) == [], "they have one search in common"
    assert "### `mask additive`" in summary(rows)
