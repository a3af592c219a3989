"""What programs do with an audit: the same as the commands."""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from commands import bdshift
from known import STICKER, TARGET
from recovered import made_recovery
from torch import nn

import bdshift as package
from bdshift import (
    Audit,
    ScanSettings,
    UsageError,
    export,
    load_audit,
    open_checkpoint,
    purify,
    recover,
    report,
    save_audit,
    scan,
)
from bdshift.detect.detectors.embedding_shift import EmbeddingShift
from bdshift.detect.detectors.pairs import Pairs
from bdshift.reports.text_report import audit_text


@pytest.fixture
def module(victim: Path) -> nn.Module:
    opened = open_checkpoint(victim)
    return opened.load(opened.candidates[0]).network


@pytest.fixture
def images(few_signs: Path) -> tuple[torch.Tensor, np.ndarray]:
    from bdshift.images.collection import open_images
    from bdshift.images.loader import decode_all

    found = open_images(few_signs)
    decoded = decode_all(found, found.files, 32)
    return torch.from_numpy(decoded.pixels).float() / 127.5 - 1, decoded.labels


def test_every_public_name_is_there() -> None:
    assert len(set(package.__all__)) == len(package.__all__)
    for name in package.__all__:
        assert getattr(package, name) is not None
    assert callable(package.purify)
    assert callable(package.report)
    with pytest.raises(AttributeError, match="no attribute 'purity'"):
        _ = package.purity


def test_a_module_is_purified_and_its_weights_fit_it(
    module: nn.Module, images: Any, tmp_path: Path
) -> None:
    audit = scan(module, images)
    found = purify(audit, module, images, method="cut:neurons=3", target="9", trigger=STICKER)
    assert audit.purifications == ()
    [made] = found.purifications
    assert (made.result.target, made.trigger) == (TARGET, STICKER)
    before = {key: value.clone() for key, value in module.state_dict().items()}
    written = export(found, tmp_path / "purified.pth", run=1, model=module)
    assert written.form == "state-dict"
    module.load_state_dict(torch.load(tmp_path / "purified.pth", weights_only=True), strict=False)
    state = made.result.state()
    assert all(torch.equal(value, state[key]) for key, value in module.state_dict().items())
    assert any(not torch.equal(value, before[key]) for key, value in module.state_dict().items())
    about = json.loads((tmp_path / "purified.pth.json").read_text("utf-8"))
    assert about["source"]["path"] == "memory:ResNet"


def test_a_module_has_no_original_format(module: nn.Module, images: Any, tmp_path: Path) -> None:
    audit = scan(module, images)
    with pytest.raises(UsageError, match="no file whose format could be kept; choose another"):
        export(audit, tmp_path / "a.pth", form="original", model=module)
    assert export(audit, tmp_path / "a.safetensors", form="safetensors", model=module).size > 0
    with pytest.raises(UsageError, match="exists"):
        export(audit, tmp_path / "a.safetensors", form="safetensors", model=module)


def test_an_audit_in_memory_is_kept_in_a_file(
    module: nn.Module, images: Any, tmp_path: Path
) -> None:
    save_audit(scan(module, images), tmp_path / "a.h5")
    again = load_audit(tmp_path / "a.h5")
    assert (again.model.container, again.model.path) == ("memory", "memory:ResNet")
    found = purify(again, module, images, method="cut:neurons=1", target=TARGET)
    assert len(found.purifications) == 1
    told = bdshift("purify", tmp_path / "a.h5", "--out", tmp_path / "p.pth", "--target", "9")
    assert told.exit_code == 2
    assert "was audited in memory" in told.stderr
    assert "a module in memory, whose own code was run" in " ".join(audit_text(again).split())


def test_a_trigger_is_recovered_and_written(
    measured_audit: Audit, victim: Path, signs: Path, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    asked: dict[str, Any] = {}

    def found(audit: Audit, material: Any, target: Any, kind: Any, **more: Any) -> Any:
        asked.update(target=target, kind=kind, **more)
        return made_recovery(audit)

    monkeypatch.setattr("bdshift.steps.recover.recover_trigger", found)
    audit = recover(
        measured_audit, target="speed_80", kind="mask", source="stop", budget=5,
        out=tmp_path / "t.safetensors",
    )  # fmt: skip
    assert len(audit.recoveries) == 1
    assert (asked["target"], asked["source"], asked["budget"]) == (TARGET, 10, 5)
    assert asked["kind"].name == "mask"
    assert {one.name for one in tmp_path.iterdir()} == {
        "t.safetensors", "t.safetensors.json", "t.safetensors.png",
    }  # fmt: skip
    recover(measured_audit, source="all")
    assert (asked["target"], asked["kind"], asked["source"]) == (None, None, -1)
    with pytest.raises(UsageError, match="neither a class name nor an index below 12"):
        recover(measured_audit, target="speed_8")


@pytest.mark.parametrize("suffix", [".html", ".json", ".sarif"])
def test_a_report_is_what_the_command_writes(saved: Path, tmp_path: Path, suffix: str) -> None:
    ours, theirs = tmp_path / f"ours{suffix}", tmp_path / f"theirs{suffix}"
    text = report(load_audit(saved), ours)
    assert ours.read_text("utf-8") == text
    assert bdshift("report", saved, "--out", theirs).exit_code == 0
    assert theirs.read_bytes() == ours.read_bytes()
    with pytest.raises(UsageError, match="PDF"):
        report(load_audit(saved), tmp_path / "a.pdf")


def test_a_file_is_exported_as_by_the_command(saved: Path, victim: Path, tmp_path: Path) -> None:
    for source, run in ((saved, 1), (victim, 0), (load_audit(saved), 2)):
        out = tmp_path / f"{run}{type(source).__name__}.pth"
        written = export(source, out, run=run)
        assert written.form == "original"
        assert written.size == out.stat().st_size
    with pytest.raises(UsageError, match="needs an audit"):
        export(victim, tmp_path / "x.pth", run=1)


def test_an_audit_tells_what_it_is_in_two_lines(victim_audit: Audit) -> None:
    assert repr(victim_audit).splitlines() == [
        "Audit of ResNet-18, width 8, CIFAR stem, 12 classes, 336 images",
        repr(victim_audit.finding),
    ]
    assert repr(victim_audit.finding).startswith("Finding(backdoored, classes=(9,)): Class 9")


def test_an_audit_as_a_dict_is_what_the_command_prints(saved: Path) -> None:
    audit = load_audit(saved)
    assert json.loads(json.dumps(audit.to_dict())) == audit.to_dict()
    assert audit.to_dict()["classes"][TARGET]["flagged"]


def test_a_notebook_shows_the_finding_the_drawing_and_the_classes(victim_audit: Audit) -> None:
    odd = dataclasses.replace(
        victim_audit.images,
        class_names=("<script>", *victim_audit.images.class_names[1:]),
    )
    html = dataclasses.replace(victim_audit, images=odd)._repr_html_()
    assert "<b>Probably backdoored</b>" in html
    assert html.count("<svg ") == 1
    assert "&lt;script&gt;" in html
    assert "<script>" not in html
    assert html.count("<tr") == 1 + 12
    assert "var(--" not in html, "colors of the report's page are not those of a notebook"


def test_drawings(victim: Path, signs: Path, victim_audit: Audit, tmp_path: Path) -> None:
    bars = victim_audit.plot()
    assert bars._repr_svg_().startswith('<svg xmlns="http://www.w3.org/2000/svg"')
    assert len(repr(bars)) < 60
    bars.save(tmp_path / "bars.svg")
    assert (tmp_path / "bars.svg").read_text("utf-8") == bars
    assert victim_audit.plot("neurons", 3) != victim_audit.plot("neurons")
    with pytest.raises(UsageError, match="unknown drawing 'pie'"):
        victim_audit.plot("pie")
    with pytest.raises(UsageError, match="no class 12; the last is 11"):
        victim_audit.plot("neurons", 12)
    with pytest.raises(UsageError, match="no detector compared pairs"):
        victim_audit.plot("pairs")
    both = ScanSettings(sample=60, detectors=(EmbeddingShift(), Pairs()))
    assert "<svg" in scan(victim, signs, both).plot("pairs")


class _Frame(dict[str, Any]):
    def __init__(self, columns: dict[str, Any], index: Any) -> None:
        super().__init__(columns)
        self.index = index


def test_a_frame_has_a_row_for_each_class(
    victim_audit: Audit, monkeypatch: pytest.MonkeyPatch
) -> None:
    pandas = ModuleType("pandas")
    pandas.__dict__.update(DataFrame=_Frame, RangeIndex=lambda count, name: (name, count))
    monkeypatch.setitem(sys.modules, "pandas", pandas)
    frame = victim_audit.to_frame()
    assert frame.index == ("class", 12)
    assert frame["name"][TARGET] == "speed_80"
    np.testing.assert_array_equal(frame["l2"], victim_audit.shifts.l2)
    assert np.flatnonzero(frame["suspected"]).tolist() == [TARGET]
    assert {len(column) for column in frame.values()} == {12}
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(UsageError, match="pip install pandas"):
        victim_audit.to_frame()
