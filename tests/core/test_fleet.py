"""A list of models: what is on it, and what is done of it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from commands import bdshift, one_line
from scripted_engine import REASON, Scripted

from bdshift.audit.asked import AskedScan
from bdshift.errors import InputError, UsageError
from bdshift.fleet.drive import FleetPart, run_fleet
from bdshift.fleet.identity import content_of, stamp_of
from bdshift.fleet.listing import list_models
from bdshift.fleet.local import LocalEngine
from bdshift.fleet.message import line_of
from bdshift.fleet.pages import level_of
from bdshift.fleet.results import Results
from bdshift.fleet.table import ranked
from bdshift.fleet.task import FleetModel, Limits, Result, Task, Told
from bdshift.jobs import SILENT, Canceled, JobContext
from bdshift.kinds import RESULTS

USUAL = FleetModel("", "/clean", AskedScan(quick=True))


def done(p: float = 0.5, **more: object) -> Result:
    return Result("done", REASON, "nothing-unusual", p=p, **more)  # type: ignore[arg-type]


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """Files that differ, but for two."""
    folder = tmp_path / "models"
    folder.mkdir()
    for name, content in {"a.pth": b"1", "b.pth": b"2", "same-as-a.pth": b"1"}.items():
        (folder / name).write_bytes(content)
    return folder


def listed(signs: Path, *named: object) -> Sequence[FleetModel]:
    return list_models([str(one) for one in named], replace(USUAL, images=str(signs)), SILENT)


def test_folders_patterns_and_files(models: Path, tmp_path: Path) -> None:
    below = models / "deep" / "hub"
    below.mkdir(parents=True)
    (below / "model.safetensors").write_bytes(b"3")
    (below / "config.json").write_text("{}")
    (models / "a.audit.h5").write_bytes(b"an audit")
    (models / ".hidden.pth").write_bytes(b"4")
    (models / "notes.txt").write_text("no model")
    earlier = models / "earlier"
    earlier.mkdir()
    (earlier / RESULTS).write_bytes(b"")
    (earlier / "purified.pth").write_bytes(b"5")
    names = [
        Path(one.path).relative_to(models) for one in list_models([str(models)], USUAL, SILENT)
    ]
    assert [str(one) for one in names] == ["a.pth", "b.pth", "same-as-a.pth", "deep/hub"]
    found = list_models([f"{models}/**/*.pth", str(models / "a.pth")], USUAL, SILENT)
    assert sorted(Path(one.path).name for one in found) == [
        "a.pth", "b.pth", "purified.pth", "same-as-a.pth",
    ]  # fmt: skip
    with pytest.raises(InputError, match="no such file"):
        list_models([str(tmp_path / "missing")], USUAL, SILENT)
    with pytest.raises(InputError, match="no checkpoints"):
        list_models([str(tmp_path / "models" / "earlier")], USUAL, SILENT)


def test_tables(models: Path, tmp_path: Path) -> None:
    table = tmp_path / "list.csv"
    table.write_text("model,normalize,quick,seed,detectors\nmodels/a.pth,cifar10,no,7,mask;pairs\n")
    [one] = list_models([str(table)], USUAL, SILENT)
    assert one.path == str(models / "a.pth")
    assert one.images == "/clean"
    asked = AskedScan(quick=False, normalize="cifar10", seed=7, detectors=("mask", "pairs"))
    assert one.asked == asked
    lines = tmp_path / "list.jsonl"
    rows = [{"model": "models/a.pth", "images": "own", "detectors": ["mask"]}, {"model": "x://y/b"}]
    lines.write_text("\n".join(map(json.dumps, rows)))
    first, second = list_models([str(lines)], USUAL, SILENT)
    assert (first.images, first.asked.detectors) == (str(tmp_path / "own"), ("mask",))
    assert second.path == "x://y/b"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("model,sample_size\na.pth,3\n", "row 2: sample_size is no option"),
        ("model,seed\na.pth,x\n", "row 2"),
        ("model,quick\na.pth,perhaps\n", "quick is yes or no"),
        ("images\nx\n", "names no model"),
    ],
)
def test_tables_that_make_no_sense(text: str, words: str, tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_text(text)
    with pytest.raises(UsageError, match=words):
        list_models([str(tmp_path / "list.csv")], USUAL, SILENT)


def test_addresses(models: Path) -> None:
    found = list_models([f"file://{models}"], USUAL, SILENT)
    assert [one.path.rpartition("/")[2] for one in found] == ["a.pth", "b.pth", "same-as-a.pth"]
    with pytest.raises(InputError, match="cannot be opened here"):
        list_models(["nowhere-known://x/y.pth"], USUAL, SILENT)


def test_each_content_is_audited_once_and_nothing_twice(
    models: Path, signs: Path, tmp_path: Path
) -> None:
    engine = Scripted(lambda task: done(accuracy=float(task.number)))
    listing = listed(signs, models)
    run_fleet(listing, tmp_path / "out", engine)
    assert [Path(one.model.path).name for one in engine.asked] == ["a.pth", "b.pth"]
    assert engine.closed
    rows = {Path(row.model).name: row for _, row in Results(tmp_path / "out").rows()}
    assert rows["same-as-a.pth"].result.accuracy == rows["a.pth"].result.accuracy == 0
    assert rows["same-as-a.pth"].content == rows["a.pth"].content != rows["b.pth"].content
    again = Scripted(lambda task: done())
    run_fleet(listing, tmp_path / "out", again)
    assert not again.asked
    shutil.copy(models / "b.pth", models / "moved.pth")  # its content is known
    (models / "a.pth").write_bytes(b"changed")
    run_fleet(listed(signs, models), tmp_path / "out", again)
    assert [Path(one.model.path).name for one in again.asked] == ["a.pth"]
    other = [replace(one, asked=AskedScan(quick=True, seed=1)) for one in listing[:1]]
    run_fleet(other, tmp_path / "out", again)
    assert len(again.asked) == 2  # another question


def test_the_newest_question_is_the_one_that_is_shown(
    models: Path, signs: Path, tmp_path: Path
) -> None:
    first = listed(signs, models / "a.pth")
    second = [replace(one, asked=AskedScan(quick=True, seed=1)) for one in first]

    def seed(task: Task) -> Result:
        return done(accuracy=float(task.model.asked.seed))

    engine = Scripted(seed)
    for asked in (first, second, first):
        run_fleet(asked, tmp_path / "out", engine)
    assert len(engine.asked) == 2
    [shown] = ranked([row for _, row in Results(tmp_path / "out").rows()])
    assert shown.row.result.accuracy == 0


def test_a_model_that_was_away_is_shown_again(models: Path, signs: Path, tmp_path: Path) -> None:
    listing, engine = listed(signs, models / "a.pth"), Scripted(lambda task: done())
    run_fleet(listing, tmp_path / "out", engine)
    (models / "a.pth").rename(tmp_path / "away")
    run_fleet(listing, tmp_path / "out", engine)
    assert [level_of(one) for one in ranked([row for _, row in Results(tmp_path / "out").rows()])]
    (tmp_path / "away").rename(models / "a.pth")
    run_fleet(listing, tmp_path / "out", engine)
    [(_, row)] = Results(tmp_path / "out").rows()
    assert row.result.status == "done"
    assert len(engine.asked) == 1


def test_images_that_are_not_there_are_one_error(models: Path, tmp_path: Path) -> None:
    engine = Scripted(lambda task: done())
    listing = list_models([str(models)], replace(USUAL, images=str(tmp_path / "none")), SILENT)
    with pytest.raises(InputError, match="none: no such folder or file"):
        run_fleet(listing, tmp_path / "out", engine)
    assert engine.closed
    assert Results(tmp_path / "out").rows() == []


def test_what_failed_is_tried_again_if_asked(models: Path, signs: Path, tmp_path: Path) -> None:
    failing = Scripted(lambda task: Result("timed-out", REASON))
    listing = listed(signs, models / "a.pth", models / "b.pth")
    run_fleet(listing, tmp_path / "out", failing)
    run_fleet(listing, tmp_path / "out", failing)
    assert len(failing.asked) == 2
    run_fleet(listing, tmp_path / "out", Scripted(lambda task: done()), again=True)
    assert {row.result.status for _, row in Results(tmp_path / "out").rows()} == {"done"}


def test_a_model_that_cannot_be_read_is_a_row(models: Path, signs: Path, tmp_path: Path) -> None:
    listing = listed(signs, models)
    (models / "a.pth").unlink()
    engine = Scripted(lambda task: done())
    run_fleet(listing, tmp_path / "out", engine)
    rows = {Path(row.model).name: row.result for _, row in Results(tmp_path / "out").rows()}
    assert rows["a.pth"].status == "refused"
    assert "a.pth: cannot be read" in rows["a.pth"].reason.render()
    assert {rows["b.pth"].status, rows["same-as-a.pth"].status} == {"done"}


def test_canceled_it_keeps_what_is_done(models: Path, signs: Path, tmp_path: Path) -> None:
    job = JobContext()

    def stop(task: Task) -> Result:
        job.cancel()
        return done()

    engine = Scripted(stop)
    with pytest.raises(Canceled):
        run_fleet(listed(signs, models), tmp_path / "out", engine, job=job)
    assert engine.closed
    rest = Scripted(lambda task: done())
    run_fleet(listed(signs, models), tmp_path / "out", rest)
    assert len(Results(tmp_path / "out").rows()) == 3


def test_shards_are_a_partition() -> None:
    models = [replace(USUAL, path=str(i)) for i in range(7)]
    parts = [FleetPart(number, 3).of(models) for number in (1, 2, 3)]
    assert sorted(one.path for part in parts for one in part) == [str(i) for i in range(7)]
    assert [len(part) for part in parts] == [3, 2, 2]


def test_wrong_usage_is_said_before_anything_is_done(models: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    one_line(bdshift("fleet", models, "--out", out), 2, "--images is missing")
    one_line(
        bdshift("fleet", models, "--images", "x", "--out", out, "--shard", "3/2"), 2, "--shard"
    )
    one_line(
        bdshift("fleet", models, "--images", "x", "--out", out, "--sample", "y"), 2, "--sample"
    )
    assert not out.exists()


def hosted_by(script: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LocalEngine:
    """An engine whose host is a shell script."""
    host = tmp_path / "host"
    host.write_text(f"#!/bin/sh\n{script}\n")
    host.chmod(0o755)
    monkeypatch.setattr("bdshift.fleet.local.sys.executable", str(host))
    return LocalEngine(1)


def test_a_host_that_ends_after_a_result_is_not_asked_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "line").write_bytes(line_of(Told(7, done())))
    engine = hosted_by(f"read task; cat {tmp_path}/line", tmp_path, monkeypatch)
    engine.submit(Task(7, USUAL, Limits()))
    found: list[Told] = []
    while not found:
        found += engine.told(10)
    assert [one.number for one in found] == [7]
    assert not engine.told(0.3)
    engine.close()


def test_a_host_that_always_ends_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = hosted_by(f"read task && echo x >> {tmp_path}/began", tmp_path, monkeypatch)
    engine.submit(Task(7, USUAL, Limits()))
    found: list[Told] = []
    while not found:
        found += engine.told(10)
    [told] = found
    assert told.result is not None
    assert told.result.status == "crashed"
    assert "3 times" in told.result.reason.render()
    assert (tmp_path / "began").read_text().count("x") == 3
    assert not engine.told(0.3)
    engine.close()


def test_where_nothing_can_be_forked_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr("os.fork")
    with pytest.raises(UsageError, match="Windows cannot fork"):
        LocalEngine(1)


def test_an_address_has_a_stamp_that_changes_with_it(models: Path) -> None:
    address = f"file://{models}/a.pth"
    before = stamp_of(address), content_of(address, SILENT)
    assert before == (stamp_of(address), content_of(address, SILENT))
    (models / "a.pth").write_bytes(b"another")
    after = stamp_of(address), content_of(address, SILENT)
    assert before[0] != after[0]
    assert before[1] != after[1]
