"""The commands as a user and a script meet them: output, JSON, exit codes, one-line errors."""

from __future__ import annotations

import csv
import json
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner, Result

from bdshift.cli import lab, main
from bdshift.store import load_audit

STICKER = "badnets:size=4,color=ffd800,row=20,column=14"


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def bdshift(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(a) for a in arguments])


def one_line(result: Result, code: int, *words: str) -> None:
    assert result.exit_code == code, result.output
    assert result.stdout == ""
    last = result.stderr.strip().splitlines()[-1]
    assert last.startswith("bdshift: ")
    for word in words:
        assert word in last, last
    assert "Traceback" not in result.stderr


def test_scan_prints_the_verdict_and_writes_the_audit(
    victim: Path, signs: Path, tmp_path: Path
) -> None:
    result = bdshift("scan", victim, signs, "--out", tmp_path / "a.h5")
    assert result.exit_code == 0
    assert result.stdout.startswith("PROBABLY BACKDOORED\nClass 9 “speed_80”")
    assert "ResNet-18, width 16, CIFAR stem, 12 classes, 128-d embedding" in result.stdout
    assert "Embedding clean images: 480 images" in result.stderr
    assert load_audit(tmp_path / "a.h5").verdict.poisoned == (9,)


def test_scan_json_has_what_scripts_rely_on(victim: Path, signs: Path) -> None:
    result = bdshift("scan", victim, signs, "--json")
    assert result.exit_code == 0
    found: dict[str, Any] = json.loads(result.stdout)
    assert {"path", "sha256", "format", "architecture", "classes", "embedding_dim", "head"} <= set(
        found["model"]
    )
    assert found["model"]["classes"] == 12
    images = found["images"]
    assert {"path", "count", "skipped", "class_names", "normalization", "candidates"} <= set(images)
    assert images["normalization"]["name"] == "half"
    assert images["normalization"]["mean"] == [0.5, 0.5, 0.5]
    assert images["count"] == 480
    assert len(images["candidates"]) >= 11
    assert found["clean_accuracy"] > 0.97
    assert {"solver", "alpha", "kkt_residual_max", "seconds_embed", "seconds_solve"} <= set(
        found["shift"]
    )
    assert found["shift"]["kkt_residual_max"] < 1e-8
    assert [c["index"] for c in found["classes"]] == list(range(12))
    assert {"name", "l2", "z", "mad", "grubbs_p"} <= set(found["classes"][0])
    assert found["verdict"]["suspicious"] is True
    assert found["verdict"]["poisoned"] == [9]
    assert {"p_value", "rule", "reason"} <= set(found["verdict"])


def test_fail_on(victim: Path, clean_twin: Path, signs: Path) -> None:
    assert bdshift("scan", victim, signs, "--fail-on", "suspicious").exit_code == 1
    assert bdshift("scan", clean_twin, signs, "--fail-on", "suspicious").exit_code == 0
    assert bdshift("scan", victim, signs).exit_code == 0


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--alpha", "-1"], "alpha"),
        (["--rule", "guess"], "rule 'guess'"),
        (["--solver", "magic"], "solver 'magic'"),
        (["--sample", "lots"], "--sample"),
        (["--sample", "0"], "sample"),
        (["--normalize", "nothing"], "normalization 'nothing'"),
        (["--device", "toaster"], "device 'toaster'"),
        (["--arch", "x"], "package.module:callable"),
        (["--out", "/no/such/folder/a.h5"], "/no/such/folder"),
        (["--batch", "0"], "batch"),
    ],
)
def test_wrong_usage_is_2(victim: Path, signs: Path, options: list[str], words: str) -> None:
    one_line(bdshift("scan", victim, signs, *options), 2, words)


def test_clicks_own_usage_errors_are_2_too(victim: Path) -> None:
    assert bdshift("scan", victim).exit_code == 2
    assert bdshift("scan", "--nonsense").exit_code == 2
    assert bdshift("nonsense").exit_code == 2


def test_unusable_input_is_3(victim: Path, signs: Path, tmp_path: Path) -> None:
    one_line(bdshift("scan", tmp_path / "none.pth", signs), 3, "none.pth", "cannot be read")
    one_line(bdshift("scan", victim, tmp_path / "none"), 3, "no such folder")
    (tmp_path / "empty.pth").touch()
    one_line(bdshift("scan", tmp_path / "empty.pth", signs), 3, "is empty")
    torch.save(torch.nn.Linear(2, 2), tmp_path / "module.pth")
    one_line(bdshift("scan", tmp_path / "module.pth", signs), 3, "architecture is not known")
    torch.save({"w.weight": torch.ones(3, 3)}, tmp_path / "unknown.pth")
    one_line(bdshift("scan", tmp_path / "unknown.pth", signs), 3, "architecture is not known")
    one_line(bdshift("neurons", tmp_path / "none.h5"), 3, "no such file")
    one_line(bdshift("info", signs), 3, "is a folder")


def test_the_users_own_network(
    victim: Path, signs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "own_nets.py").write_text(
        "from bdshift.checkpoints.families.resnet import resnet18\n"
        "def good(num_classes):\n    return resnet18(16, num_classes)\n"
        "class Softmaxed(type(resnet18(16, 12))):\n"
        "    def forward(self, x):\n        return super().forward(x).softmax(1)\n"
        "def bad(num_classes):\n"
        "    net = resnet18(16, num_classes)\n    net.__class__ = Softmaxed\n    return net\n"
    )
    monkeypatch.chdir(tmp_path)
    result = bdshift("scan", victim, signs, "--arch", "own_nets:good", "--json")
    assert json.loads(result.stdout)["verdict"]["poisoned"] == [9]
    softmaxed = json.loads(
        bdshift("scan", victim, signs, "--arch", "own_nets:bad", "--json").stdout
    )
    assert softmaxed["verdict"]["poisoned"] == [9]
    assert any("ends in a softmax" in text for text in softmaxed["warnings"])


def test_an_audit_file_cannot_name_code_to_run(
    victim: Path, signs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who hands over an audit file, with a module beside it, must not get that module imported."""
    (tmp_path / "theirs.py").write_text(
        "from pathlib import Path\n"
        "from bdshift.checkpoints.families.resnet import resnet18\n"
        "Path('imported').touch()\n"
        "def net(num_classes):\n    return resnet18(16, num_classes)\n"
    )
    monkeypatch.chdir(tmp_path)
    ask = ("neurons", "a.h5", "--trigger", STICKER)
    assert bdshift("scan", victim, signs, "--arch", "theirs:net", "--out", "a.h5").exit_code == 0
    monkeypatch.delitem(sys.modules, "theirs")
    (tmp_path / "imported").unlink()
    one_line(bdshift(*ask), 2, "theirs:net", "name it again with --arch")
    assert not (tmp_path / "imported").exists()
    result = bdshift(*ask, "--arch", "theirs:net")
    assert result.exit_code == 0, result.stderr
    assert "are sent to “speed_80”" in result.stdout


def test_names_from_files_do_nothing_to_the_terminal(signs: Path, tmp_path: Path) -> None:
    wild = tmp_path / "x\nNOTHING UNUSUAL FOUND\x1b[2J\u202e.pth"
    wild.write_bytes(b"not a checkpoint")
    result = bdshift("scan", wild, signs)
    one_line(result, 3, "x\\nNOTHING UNUSUAL FOUND\\x1b[2J\\u202e.pth")
    assert not set(result.stderr) & {"\x1b", "\u202e"}


def test_debug_shows_where(tmp_path: Path) -> None:
    result = bdshift("info", tmp_path / "none.pth", "--debug")
    assert result.exception is not None
    assert "none.pth" in str(result.exception)


def test_a_fault_of_our_own_is_neither_1_nor_a_traceback(
    victim: Path, signs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("oops")

    monkeypatch.setattr("bdshift.audit.scan", broken)
    one_line(bdshift("scan", victim, signs), 70, "fault of its own", "ZeroDivisionError")

    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("bdshift.audit.scan", interrupted)
    one_line(bdshift("scan", victim, signs), 130, "interrupted")


def test_neurons_with_and_without_a_trigger(victim: Path, signs: Path, tmp_path: Path) -> None:
    audit = tmp_path / "a.h5"
    bdshift("scan", victim, signs, "--out", audit)
    plain = bdshift("neurons", audit, "--top", "3")
    assert plain.exit_code == 0
    assert "Without a trigger there is no TAC" in plain.stdout
    shown = bdshift("neurons", audit, "--trigger", STICKER)
    assert shown.exit_code == 0
    assert "are sent to “speed_80”" in shown.stdout
    assert "w − w̄" in shown.stdout
    assert load_audit(audit).tac[0].trigger == STICKER
    found = json.loads(bdshift("neurons", audit, "--json").stdout)
    assert found["trigger"]["asr"] > 0.99
    assert len(found["neurons"]) == 128
    assert len(found["trigger"]["agreement_with_tac"]["shift"]["overlap_curve"]) == 128
    shifts = [row["shift"] for row in found["neurons"]]
    assert shifts == sorted(shifts, reverse=True)
    other = json.loads(bdshift("neurons", audit, "--json", "--target", "stop").stdout)
    assert other["target"] == {"index": 10, "name": "stop"}
    assert other["trigger"] is None
    one_line(bdshift("neurons", audit, "--target", "car"), 2, "'car'")
    one_line(bdshift("neurons", audit, "--trigger", "magic"), 2, "'magic'")
    shutil.rmtree(signs.parent / "gone", ignore_errors=True)
    one_line(
        bdshift("neurons", audit, "--trigger", STICKER, "--images", signs.parent / "gone"),
        3, "no such folder",
    )  # fmt: skip


def test_info(victim: Path, tmp_path: Path) -> None:
    result = bdshift("info", victim)
    assert result.exit_code == 0
    assert "state_dict" in result.stdout
    assert "ResNet-18, width 16, CIFAR stem" in result.stdout
    assert "clean accuracy decides" in result.stdout
    found = json.loads(bdshift("info", victim, "--json").stdout)
    assert (found["classes"], found["embedding_dim"], found["head"]) == (12, 128, "fc")
    assert "torch._utils._rebuild_tensor_v2" in found["names_in_pickle"]
    torch.save({"state_dict": {"module.w.weight": torch.ones(3, 3)}}, tmp_path / "unknown.pth")
    unknown = bdshift("info", tmp_path / "unknown.pth")
    assert unknown.exit_code == 3
    assert "module." in unknown.stdout  # what can be said is said
    assert "architecture is not known" in unknown.stderr


def test_demo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bdshift.demo.IMAGES_PER_CLASS", 12)
    result = bdshift("demo", "--out", tmp_path / "demo")
    assert result.exit_code == 0, result.stderr
    assert "PROBABLY BACKDOORED" in result.stdout
    assert "“speed_80”" in result.stdout
    assert "TAC" in result.stdout
    assert str(tmp_path / "demo" / "victim.h5") in result.stdout
    before = (tmp_path / "demo" / "clean" / "stop" / "0000.png").stat().st_mtime_ns
    assert bdshift("demo", "--out", tmp_path / "demo").exit_code == 0
    assert (tmp_path / "demo" / "clean" / "stop" / "0000.png").stat().st_mtime_ns == before


def test_lab_signs(tmp_path: Path) -> None:
    assert bdshift("lab", "signs", tmp_path / "s", "--per-class", 2).exit_code == 0
    assert len(list((tmp_path / "s").glob("*/*.png"))) == 24


def test_the_command_runs_without_torch_until_it_needs_it() -> None:
    code = (
        "import sys\n"
        "from bdshift.cli import main\n"
        "try:\n    main(['--help'])\n"
        "except SystemExit:\n    pass\n"
        "print('torch' in sys.modules, 'numpy' in sys.modules, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "False False"
    assert "scan" in done.stdout


def test_importing_costs_no_torch() -> None:
    code = (
        "import sys, bdshift; assert 'torch' not in sys.modules; assert 'numpy' not in sys.modules;"
        "bdshift.judge; bdshift.solve_exact; assert 'torch' in sys.modules;"
        "assert all(hasattr(bdshift, name) for name in bdshift.__all__);"
        "assert not any(m.startswith(('PySide', 'torchvision')) for m in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_reading_a_checkpoint_costs_no_torch(victim: Path) -> None:
    code = (
        "import sys; from bdshift.checkpoints.reader import read_checkpoint;"
        f"read_checkpoint({str(victim)!r}); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


# --- the lab


def train(folder: Path, *options: object) -> Result:
    return bdshift("lab", "train", folder, "--width", 4, "--epochs", 2, *options)


@pytest.fixture
def tiny_lab(monkeypatch: pytest.MonkeyPatch) -> None:
    """A few signs, drawn in this process."""
    import bdshift.lab.data as data
    from bdshift.images.signs import CLASSES, draw_signs

    def few(seed: int, job: object) -> data.LabData:
        train = draw_signs(24, seed=seed, split="train")
        return data.LabData(*train, *draw_signs(6, seed=seed, split="test"), CLASSES)

    monkeypatch.setattr(data, "_load_signs", few)


@pytest.mark.usefixtures("tiny_lab")
def test_training_is_resumable_and_reproducible(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    attack = ("--attack", STICKER, "--target", "speed_80")
    whole = train(tmp_path / "whole", *attack)
    assert whole.exit_code == 0, whole.output
    assert "ACC" in whole.stdout
    assert "ASR" in whole.stdout

    import bdshift.lab.train as lab

    save, calls = lab._save, []

    def stop_after_one(path: Path, value: object) -> None:
        save(path, value)
        calls.append(path.name)
        if len(calls) == 1:
            raise KeyboardInterrupt

    monkeypatch.setattr(lab, "_save", stop_after_one)
    assert train(tmp_path / "parts", *attack).exit_code == 130
    monkeypatch.setattr(lab, "_save", save)
    resumed = train(tmp_path / "parts", *attack)
    assert resumed.exit_code == 0
    assert "Going on after epoch 1" in resumed.stderr
    weights = [
        torch.load(tmp_path / name / "model.pth", weights_only=True)["state_dict"]
        for name in ("whole", "parts")
    ]
    assert all(torch.equal(weights[0][key], weights[1][key]) for key in weights[0])
    card = json.loads((tmp_path / "parts" / "card.json").read_text())
    assert card["command"].startswith("bdshift lab train parts --attack badnets")
    assert card["recipe"]["attack"] == STICKER
    assert card["outcome"]["poisoned_images"] == round(0.1 * 12 * 24)
    assert card["versions"]["torch"] == torch.__version__
    rows = list(csv.reader((tmp_path / "parts" / "log.csv").read_text().splitlines()))
    assert [row[0] for row in rows] == ["epoch", "1", "2"]
    assert not (tmp_path / "parts" / "resume.pt").exists()
    again = train(tmp_path / "parts", *attack)
    assert "is finished already" in again.stderr
    one_line(train(tmp_path / "parts"), 3, "another recipe")


@pytest.mark.usefixtures("tiny_lab")
def test_training_with_nonsense(tmp_path: Path) -> None:
    one_line(train(tmp_path / "a", "--attack", "magic", "--target", "stop"), 2, "'magic'")
    one_line(train(tmp_path / "b", "--attack", STICKER, "--target", "car"), 2, "'car'")
    one_line(
        train(tmp_path / "c", "--attack", STICKER, "--target", "stop", "--rate", "0.99"), 2, "rate"
    )
    clean = train(tmp_path / "d")
    assert clean.exit_code == 0
    assert "ASR" not in clean.stdout


def test_training_on_folders(signs: Path, tmp_path: Path) -> None:
    result = train(tmp_path / "f", "--data", signs, "--test", signs, "--flip")
    assert result.exit_code == 0, result.output
    card = json.loads((tmp_path / "f" / "card.json").read_text())
    assert str(tmp_path) not in card["command"]
    assert "--data clean --test clean" in card["command"]
    assert "--flip" in card["command"]
    given = lab.train.make_context("train", shlex.split(card["command"])[3:])
    assert given.params["flip"] is True
    assert str(given.params["folder"]) == "f"
    assert given.params["compiled"] is False
    shutil.copytree(signs / "stop", tmp_path / "other" / "halt")
    one_line(
        train(tmp_path / "g", "--data", signs, "--test", tmp_path / "other"),
        3,
        "same class folders",
    )
