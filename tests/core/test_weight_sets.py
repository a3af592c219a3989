"""Files with several weights of one network: the average is deployed, and each is audited."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel

from bdshift.audit import Audit, ScanSettings, reopen_model, scan
from bdshift.checkpoints.describe import describe
from bdshift.checkpoints.layout import StateDict, find_state_dict
from bdshift.checkpoints.reader import read_checkpoint
from bdshift.detect.rules.mad import Mad
from bdshift.errors import InputError
from bdshift.reports.json_report import audit_json
from bdshift.reports.text_report import audit_text
from bdshift.store import load_audit, save_audit

State = dict[str, torch.Tensor]


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(16, 5))


def _raw() -> State:
    return network().state_dict()


def _averaged() -> State:
    """Every parameter plus one; the statistics are those of the weights."""
    return {k: v + 1 if k.endswith(("weight", "bias")) else v for k, v in _raw().items()}


def _parameters(state: State) -> State:
    return {key: value for key, value in state.items() if key.endswith(("weight", "bias"))}


def _prefixed(state: State, prefix: str, joint: str = ".") -> State:
    return {prefix + key.replace(".", joint): value for key, value in state.items()}


def _swa() -> dict[str, Any]:
    averaged = AveragedModel(network())
    averaged.module.load_state_dict(_averaged())
    return {"model": _raw(), "model_ema": averaged.state_dict(), "epoch": 3}


def _module() -> dict[str, Any]:
    averaged = network()
    averaged.load_state_dict(_averaged())
    return {"model": network(), "ema": averaged, "updates": 7}


FILES: dict[str, Callable[[], Any]] = {
    "timm": lambda: {"state_dict": _raw(), "state_dict_ema": _averaged(), "epoch": 3},
    "timm, none": lambda: {"model": None, "ema": _averaged()},
    "order": lambda: {"ema_state_dict": _averaged(), "model_state_dict": _raw()},
    "BasicSR": lambda: {"params": _raw(), "params_ema": _averaged()},
    "torchvision": _swa,
    "YOLO": _module,
    "unusual names": lambda: {"raw": _raw(), "averaged_model": _averaged()},
    "shadow": lambda: {"net": _raw(), "ema": {"decay": 0.9, "shadow": _parameters(_averaged())}},
    "Lightning's callback": lambda: {
        "state_dict": _prefixed(_raw(), "net."),
        "callbacks": {"EMACallback": {"ema_state_dict": _prefixed(_averaged(), "net.")}},
    },
    "torch_ema, without names": lambda: {
        "state_dict": _raw(),
        "ema_state": {"decay": 0.9, "shadow_params": list(_parameters(_averaged()).values())},
    },
    "data parallel": lambda: {"net": _prefixed(_raw(), "module."), "net_ema": _averaged()},
    "in one dict": lambda: {
        "state_dict": _prefixed(_raw(), "model.") | _prefixed(_averaged(), "model_ema.module.")
    },
    "ema_pytorch": lambda: (
        _prefixed(_raw(), "online_model.")
        | _prefixed(_averaged(), "ema_model.")
        | {"initted": torch.tensor(True), "step": torch.tensor(3)}
    ),
    "names without dots": lambda: (
        _prefixed(_raw(), "model.")
        | {"model_ema.decay": torch.tensor(0.9), "model_ema.num_updates": torch.tensor(3)}
        | {f"model_ema.{k.replace('.', '')}": v for k, v in _parameters(_averaged()).items()}
    ),
    "mmcv": lambda: _raw() | _prefixed(_averaged(), "ema_", "_"),
    "a shadow of each": lambda: (
        _raw() | {f"{key}_ema": value for key, value in _parameters(_averaged()).items()}
    ),
}


def opened(value: Any, path: Path, which: str | None = None) -> StateDict:
    torch.save(value, path)
    return find_state_dict(read_checkpoint(path), which)


@pytest.mark.parametrize("name", FILES)
def test_the_average_is_taken(name: str, tmp_path: Path) -> None:
    state = opened(FILES[name](), tmp_path / "m.pt")
    found, expected = state.load(), _averaged()
    assert found.keys() - {"num_batches_tracked"} == expected.keys()
    for key, value in expected.items():
        assert torch.equal(found[key], value), key
    if name == "timm, none":
        assert (state.layout.copies, state.layout.weights) == ((), "")
        return
    [raw] = state.layout.copies
    assert raw not in state.layout.others
    other = find_state_dict(read_checkpoint(tmp_path / "m.pt"), raw)
    assert other.layout.copies == (), "only that one was asked for"
    assert all(torch.equal(other.load()[key], value) for key, value in _raw().items())


def test_another_network_under_such_a_name_is_no_copy(tmp_path: Path) -> None:
    value = {"model": _raw(), "ema": {"w": torch.ones(3, 3)}}
    state = opened(value, tmp_path / "m.pt")
    assert torch.equal(state.load()["0.weight"], _raw()["0.weight"])
    assert (state.layout.copies, state.layout.others) == ((), ("ema",))


def test_a_layer_of_that_name_is_none_either(tmp_path: Path) -> None:
    value = _raw() | {"ema_gate.weight": torch.ones(4, 4)}
    assert set(opened(value, tmp_path / "m.pt").tensors) == set(value)


def test_names_without_end_take_no_time_to_compare(tmp_path: Path) -> None:
    deep = {"a." * 200_000 + "ema.weight": torch.ones(2, 2), "a.weight": torch.ones(2, 2)}
    with pytest.raises(InputError, match="a name in it has 400,010 characters"):
        opened({"model": deep}, tmp_path / "m.pt")


@pytest.fixture(scope="module")
def pair(victim: Path, clean_twin: Path) -> tuple[State, State]:
    bad, good = (torch.load(path, weights_only=True)["state_dict"] for path in (victim, clean_twin))
    return bad, good


SETTINGS = ScanSettings(sample=240)


@pytest.fixture(scope="module")
def audits(
    pair: tuple[State, State], signs: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Audit]:
    folder = tmp_path_factory.mktemp("averages")
    bad, good = pair
    torch.save({"state_dict": good, "state_dict_ema": bad}, folder / "average.pth")
    torch.save({"state_dict": bad, "state_dict_ema": good}, folder / "raw.pth")
    return {name: scan(folder / f"{name}.pth", signs, SETTINGS) for name in ("average", "raw")}


@pytest.mark.parametrize(
    ("name", "weights", "other"),
    [("average", "state_dict_ema", "state_dict"), ("raw", "state_dict", "state_dict_ema")],
)
def test_the_finding_covers_the_file(
    name: str, weights: str, other: str, audits: dict[str, Audit]
) -> None:
    audit = audits[name]
    assert audit.finding.level == "backdoored"
    assert audit.images.class_names[audit.finding.classes[0]] == "speed_80"
    said = f"This audit is of {weights}; also audited: {other} (Nothing unusual found)."
    assert said in str(audit.finding.reasons[1].sentence)
    assert said in " ".join(audit_text(audit).split())
    assert "other-models" not in {note.code for note in audit.notes}
    told = audit_json(audit)["model"]
    assert told["weights"] == weights
    assert [(one["weights"], one["level"]) for one in told["copies"]] == [
        (other, "nothing-unusual")
    ]  # fmt: skip


def test_what_is_reopened_is_what_was_audited(
    audits: dict[str, Audit], pair: tuple[State, State], tmp_path: Path
) -> None:
    for audit in audits.values():
        save_audit(audit, tmp_path / "a.h5")
        again = load_audit(tmp_path / "a.h5")
        assert again.copies == audit.copies
        assert torch.equal(reopen_model(again).weight, pair[0]["fc.weight"])
    audit = audits["raw"]  # as a version that took the other weights would have written it
    older = replace(audit, model=replace(audit.model, weights=""))
    with pytest.raises(InputError, match="takes other weights from it than those"):
        reopen_model(older)


def test_a_copy_is_judged_by_its_own_rule(audits: dict[str, Audit]) -> None:
    audit = audits["average"]
    other = audit.under(Mad(deviations=500.0))
    assert "(Nothing unusual found, by the rule grubbs" in str(other.finding.reasons[-1].sentence)
    worse = replace(other, copies=(replace(audit.copies[0], level="backdoored"),))
    assert (worse.finding.level, worse.finding.reasons[0].code) == ("inconclusive", "copy-differs")


def test_weights_that_were_asked_for_are_audited_alone(
    audits: dict[str, Audit], signs: Path
) -> None:
    path = audits["average"].model.path
    audit = scan(path, signs, replace(SETTINGS, weights="state_dict"))
    assert (audit.finding.level, audit.copies) == ("nothing-unusual", ())
    assert "other-models" in {note.code for note in audit.notes}


def test_equal_weights_are_audited_once(
    pair: tuple[State, State], signs: Path, tmp_path: Path
) -> None:
    torch.save({"model": pair[1], "ema": dict(pair[1])}, tmp_path / "m.pt")
    audit = scan(tmp_path / "m.pt", signs, SETTINGS)
    assert (audit.model.weights, audit.copies) == ("ema", ())
    assert "model" in describe(read_checkpoint(tmp_path / "m.pt")).other_models


def test_an_average_without_names_keeps_a_file_from_being_called_clean(
    victim: Path, clean_twin: Path, signs: Path, tmp_path: Path
) -> None:
    raw, other = (torch.load(one, weights_only=True)["state_dict"] for one in (clean_twin, victim))
    listed = [value for key, value in other.items() if key.endswith(("weight", "bias"))]
    torch.save({"state_dict": raw, "ema_state": {"shadow_params": listed}}, tmp_path / "m.pt")
    audit = scan(tmp_path / "m.pt", signs, ScanSettings(sample=120))
    assert audit.model.weights == "ema_state.shadow_params"
    assert audit.finding.level != "nothing-unusual"
    assert [one.weights for one in audit.copies] == ["state_dict"]
