"""``bdshift recover``."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from commands import bdshift, one_line
from recovered import made_recovery

from bdshift.audit import Audit
from bdshift.jobs import Canceled
from bdshift.store import load_audit, save_audit


class StandIn:
    """Finds the sticker at once; it remembers what it was asked."""

    def __init__(self, audit: Audit) -> None:
        self.audit = audit
        self.asked: dict[str, Any] = {}
        self.fails: BaseException | None = None

    def __call__(self, audit: Audit, material: Any, target: Any, kind: Any, **more: Any) -> Any:
        self.asked = {"target": target, "kind": kind, **more}
        if self.fails is not None:
            raise self.fails
        return made_recovery(self.audit)


@pytest.fixture
def search(measured_audit: Audit, monkeypatch: pytest.MonkeyPatch) -> StandIn:
    """What stands in for the search."""
    found = StandIn(measured_audit)
    install(monkeypatch, found)
    return found


def install(monkeypatch: pytest.MonkeyPatch, found: Callable[..., Any]) -> None:
    """Put it where the search is."""
    monkeypatch.setattr("bdshift.steps.recover.recover_trigger", found)


@pytest.fixture
def file(victim_audit: Audit, tmp_path: Path) -> Path:
    """An audit without a known trigger."""
    save_audit(victim_audit, tmp_path / "a.h5")
    return tmp_path / "a.h5"


def test_it_tells_and_keeps_what_was_found(search: StandIn, file: Path, tmp_path: Path) -> None:
    out = tmp_path / "t.safetensors"
    found = bdshift("recover", file, "--out", out)
    assert found.exit_code == 0, found.output
    assert found.stdout.startswith("Trigger recovered for class 9 “speed_80”: Mask and pattern")
    assert f"Next: bdshift purify {file} --out purified.pth --trigger {out}.json" in found.stdout
    assert search.asked["target"] is None
    assert (search.asked["kind"], search.asked["budget"]) == (None, 60.0)
    assert (search.asked["source"], search.asked["seed"]) == (None, 0)
    [kept] = load_audit(file).recoveries
    assert kept.target == 9
    again = bdshift("recover", file, "--out", out)
    one_line(again, 2, "--overwrite")
    assert bdshift("recover", file, "--out", out, "--overwrite").exit_code == 0
    assert len(load_audit(file).recoveries) == 1
    neurons = bdshift("neurons", file)
    assert "TAC is a proxy" in neurons.stdout
    assert bdshift("neurons", file, "--trigger", f"{out}.json").exit_code == 0
    assert load_audit(file).tac[0].trigger == f"recovered:file={out}"


def test_what_is_asked_is_passed_on(search: StandIn, file: Path) -> None:
    found = bdshift(
        "recover", file, "--target", "stop", "--kind", "mask", "--source", 3, "--budget", 5,
        "--seed", 7, "--json",
    )  # fmt: skip
    assert found.exit_code == 0, found.output
    names = load_audit(file).images.class_names
    assert search.asked["target"] == names.index("stop")
    assert search.asked["kind"].name == "mask"
    assert {key: search.asked[key] for key in ("source", "budget", "seed", "device")} == {
        "source": 3, "budget": 5.0, "seed": 7, "device": "auto",
    }  # fmt: skip
    told = json.loads(found.stdout)
    assert told["recovery"]["target"] == {"index": 9, "name": "speed_80"}
    assert told["finding"]["level"] == "backdoored"
    assert "recovered-confirms" in [one["code"] for one in told["finding"]["reasons"]]


@pytest.mark.parametrize(("given", "asked"), [("auto", None), ("all", -1), ("stop", 10)])
def test_the_source_may_be_left_open(
    search: StandIn, file: Path, given: str, asked: int | None
) -> None:
    assert bdshift("recover", file, "--source", given).exit_code == 0
    assert search.asked["source"] == asked


def test_a_model_and_images_are_scanned_first(
    search: StandIn, victim: Path, signs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    victim_scan: Any,
) -> None:  # fmt: skip
    monkeypatch.setattr("bdshift.audit.scan_opened", lambda *_, **__: victim_scan)
    found = bdshift("recover", victim, signs, "--json")
    assert found.exit_code == 0, found.output
    assert json.loads(found.stdout)["recovery"]["kind"] == "mask"


def test_wrong_use_is_said(search: StandIn, file: Path, tmp_path: Path, victim: Path) -> None:
    before = file.read_bytes()
    for given, words in (
        (("a", "b", "c"), "give an audit file, or a model and its images"),
        ((file, "--kind", "magic"), "unknown change 'magic'"),
        ((file, "--target", "nobody"), "--target 'nobody' is neither"),
        ((file, "--source", "99"), "--source '99' is neither"),
        ((file, "--out", tmp_path / "no" / "t"), "there is no folder"),
        ((file, "--out", file, "--overwrite"), "is an input, and is not replaced"),
    ):
        one_line(bdshift("recover", *given), 2, words)
    assert bdshift("recover", file, "--budget", "0").exit_code == 2
    assert bdshift("recover", tmp_path / "nowhere.h5").exit_code == 3
    assert search.asked == {}, "nothing is searched before all is in order"
    assert file.read_bytes() == before


@pytest.mark.parametrize("error", [Canceled(), KeyboardInterrupt()])
def test_interrupted_nothing_is_lost(
    search: StandIn, file: Path, tmp_path: Path, error: BaseException
) -> None:
    before = file.read_bytes()
    search.fails = error
    found = bdshift("recover", file, "--out", tmp_path / "t.safetensors")
    one_line(found, 130, "interrupted")
    assert file.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["a.h5"]


def test_a_file_where_the_state_would_be_is_not_replaced(search: StandIn, file: Path) -> None:
    other = file.with_name("a.h5.recover.state")
    other.write_bytes(b"mine")
    assert bdshift("recover", file).exit_code == 2
    assert other.read_bytes() == b"mine"
    assert search.asked == {}
    other.unlink()
    assert bdshift("recover", file).exit_code == 0
    assert search.asked["resume"] == other


def test_an_audit_that_was_replaced_gets_nothing(
    search: StandIn, file: Path, victim_audit: Audit, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = replace(victim_audit, model=replace(victim_audit.model, sha256="0" * 64))

    def meanwhile(*given: Any, **more: Any) -> Any:
        save_audit(other, file)
        return search(*given, **more)

    install(monkeypatch, meanwhile)
    found = bdshift("recover", file, "--json")
    assert found.exit_code == 3
    assert "is now another audit" in found.stderr
    assert json.loads(found.stdout)["recovery"], "what was found is told"
    assert load_audit(file).recoveries == ()
