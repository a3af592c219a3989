"""The commands as a user and a script meet them: output, JSON, exit codes, one-line errors."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import Result
from commands import bdshift, one_line
from known import SIGNS, STICKER, TARGET

from bdshift.changes import CHANGES
from bdshift.detect.detector import DETECTORS
from bdshift.detect.rule import RULES
from bdshift.store import load_audit


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def test_scan_prints_the_finding_and_writes_the_audit(
    victim: Path, signs: Path, tmp_path: Path
) -> None:
    result = bdshift("scan", "--quick", victim, signs, "--out", tmp_path / "a.h5")
    assert result.exit_code == 0
    assert result.stdout.startswith("PROBABLY BACKDOORED\nClass 9 “speed_80”")
    assert "ResNet-18, width 8, CIFAR stem, 12 classes, 64-d embedding" in result.stdout
    assert f"Embedding clean images: {SIGNS} images" in result.stderr
    assert (
        "Rule: Grubbs test, threshold p = 0.05. A finding is evidence, not proof." in result.stdout
    )
    found = load_audit(tmp_path / "a.h5").finding
    assert (found.level, found.classes) == ("backdoored", (TARGET,))


def test_scan_json_has_what_scripts_rely_on(victim: Path, signs: Path) -> None:
    result = bdshift("scan", "--quick", victim, signs, "--json")
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
    assert images["count"] == SIGNS
    assert len(images["candidates"]) >= 11
    assert found["clean_accuracy"] > 0.97
    assert {"solver", "alpha", "kkt_residual_max", "seconds_embed", "seconds_solve"} <= set(
        found["shift"]
    )
    assert found["shift"]["kkt_residual_max"] < 1e-8
    assert [c["index"] for c in found["classes"]] == list(range(12))
    assert {"index", "name", "l2", "status", "z", "flagged", "cosine_data_free"} <= set(
        found["classes"][0]
    )
    assert [c["index"] for c in found["classes"] if c["flagged"]] == [TARGET]
    finding = found["finding"]
    assert finding["level"] == "backdoored"
    assert finding["headline"] == "Probably backdoored"
    assert finding["classes"] == [TARGET]
    assert [one["code"] for one in finding["cautions"]] == ["second-stage-not-run"]
    [reason] = finding["reasons"]
    assert reason["code"] == "shift-stands-out"
    assert reason["values"]["name"] == "speed_80"
    assert reason["text"].startswith("Class 9 “speed_80” is reached by")
    assert found["rule"] == "grubbs:significance=0.05"
    [evidence] = found["evidence"]
    assert evidence["detector"] == "shift:alpha=0.1,solver=exact"
    assert evidence["scores"] == [c["l2"] for c in found["classes"]]
    assert evidence["flagged"] == [TARGET]
    assert evidence["p"] < 0.01
    assert set(evidence["statistics"]) == {"grubbs", "mad", "paper"}
    assert {len(values) for values in evidence["statistics"].values()} == {12}
    assert evidence["statistics"]["grubbs"][TARGET] == evidence["p"]
    assert evidence["statistics"]["paper"] == [c["z"] for c in found["classes"]]
    assert {"pairs", "seconds", "forward_images", "backward_images", "seed"} <= set(evidence)


def test_it_says_what_to_do_next(
    victim: Path, clean_twin: Path, signs: Path, tmp_path: Path
) -> None:
    for model, said in (
        (victim, "bdshift recover "),
        (clean_twin, "this command without --quick"),
    ):
        out = tmp_path / f"{model.stem} of mine.h5"
        found = bdshift("scan", "--quick", model, signs, "--normalize", "half", "--out", out)
        last = found.stdout.splitlines()[-1]
        assert last.startswith("Next: ")
        assert said in last
        assert (f"'{out}'" in last) == (model is victim)


def test_fail_on(victim: Path, clean_twin: Path, signs: Path) -> None:
    def scan(model: Path, *options: object) -> Result:
        few = ("--sample", 144, "--normalize", "half")
        return bdshift("scan", "--quick", model, signs, *few, *options)

    assert scan(victim).exit_code == 0
    for least in ("suspicious", "inconclusive"):
        assert scan(victim, "--fail-on", least).exit_code == 1
        assert scan(clean_twin, "--fail-on", least).exit_code == 0
    few = scan(clean_twin, "--sample", 12, "--fail-on", "inconclusive")
    assert few.exit_code == 1
    assert few.stdout.startswith("INCONCLUSIVE\n12 images are too few to judge 12 classes.")
    assert scan(clean_twin, "--sample", 12, "--fail-on", "suspicious").exit_code == 0


def test_detectors_and_rules_are_chosen_by_their_texts(victim: Path, signs: Path) -> None:
    few = ("scan", "--quick", victim, signs, "--sample", 120, "--normalize", "half", "--json")
    longer = json.loads(
        bdshift(*few, "--detector", "shift:alpha=0.2", "--rule", "paper:beta=1.5").stdout
    )
    assert [one["detector"] for one in longer["evidence"]] == ["shift:alpha=0.2,solver=exact"]
    assert (longer["rule"], longer["shift"]["alpha"]) == ("paper:beta=1.5", 0.2)
    both = json.loads(
        bdshift(*few, "--detector", "shift:alpha=0.2", "--solver", "adam", "--rule", "mad").stdout
    )
    assert [one["detector"] for one in both["evidence"]] == ["shift:alpha=0.2,solver=adam"]
    assert (both["rule"], both["shift"]["solver"]) == ("mad:deviations=3.5", "adam")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--alpha", "-1"], "shift: alpha is a number above 0, up to 1,000,000, not -1.0"),
        (["--rule", "guess"], "unknown rule 'guess'; choose one of grubbs, mad, paper"),
        (["--rule", "paper:gamma=1"], "unknown option 'gamma'; the options are beta"),
        (["--rule", "paper:beta=much"], "beta cannot be 'much'"),
        (["--detector", "guess"], "unknown detector 'guess'; choose one of shift"),
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
    one_line(bdshift("scan", "--quick", victim, signs, *options), 2, words)


def test_clicks_own_usage_errors_are_2_too(victim: Path) -> None:
    assert bdshift("scan", victim).exit_code == 2
    assert bdshift("scan", "--nonsense").exit_code == 2
    assert bdshift("nonsense").exit_code == 2
    other = bdshift("scan", victim, victim, "--solver", "magic")
    assert other.exit_code == 2
    assert "'magic' is not one of 'exact', 'adam'" in other.stderr


def test_unusable_input_is_3(victim: Path, signs: Path, tmp_path: Path) -> None:
    one_line(
        bdshift("scan", "--quick", tmp_path / "none.pth", signs), 3, "none.pth", "cannot be read"
    )
    one_line(bdshift("scan", "--quick", victim, tmp_path / "none"), 3, "no such folder")
    (tmp_path / "empty.pth").touch()
    one_line(bdshift("scan", "--quick", tmp_path / "empty.pth", signs), 3, "is empty")
    torch.save(torch.nn.Linear(2, 2), tmp_path / "module.pth")
    one_line(
        bdshift("scan", "--quick", tmp_path / "module.pth", signs), 3, "architecture is not known"
    )
    torch.save({"w.weight": torch.ones(3, 3)}, tmp_path / "unknown.pth")
    one_line(
        bdshift("scan", "--quick", tmp_path / "unknown.pth", signs), 3, "architecture is not known"
    )
    one_line(bdshift("neurons", tmp_path / "none.h5"), 3, "no such file")
    one_line(bdshift("info", signs), 3, "is a folder")


@pytest.mark.slow
def test_the_users_own_network(
    victim: Path, signs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "own_nets.py").write_text(
        "from bdshift.checkpoints.families.resnet import resnet18\n"
        "def good(num_classes):\n    return resnet18(8, num_classes)\n"
        "class Softmaxed(type(resnet18(8, 12))):\n"
        "    def forward(self, x):\n        return super().forward(x).softmax(1)\n"
        "def bad(num_classes):\n"
        "    net = resnet18(8, num_classes)\n    net.__class__ = Softmaxed\n    return net\n"
    )
    monkeypatch.chdir(tmp_path)
    few = "scan", "--quick", victim, signs, "--sample", 144, "--json", "--arch"
    result = bdshift(*few, "own_nets:good")
    assert json.loads(result.stdout)["finding"]["classes"] == [TARGET]
    softmaxed = json.loads(bdshift(*few, "own_nets:bad").stdout)
    assert softmaxed["finding"]["classes"] == [TARGET]
    _, caution = softmaxed["finding"]["cautions"]
    assert caution["code"] == "softmax-inside"
    assert "ends in a softmax" in caution["text"]


def test_an_audit_file_cannot_name_code_to_run(
    victim: Path, signs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who hands over an audit file, with a module beside it, must not get that module imported."""
    (tmp_path / "theirs.py").write_text(
        "from pathlib import Path\n"
        "from bdshift.checkpoints.families.resnet import resnet18\n"
        "Path('imported').touch()\n"
        "def net(num_classes):\n    return resnet18(8, num_classes)\n"
    )
    monkeypatch.chdir(tmp_path)
    ask = ("neurons", "a.h5", "--trigger", STICKER)
    assert (
        bdshift("scan", "--quick", victim, signs, "--arch", "theirs:net", "--out", "a.h5").exit_code
        == 0
    )
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
    result = bdshift("scan", "--quick", wild, signs)
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
    one_line(
        bdshift("scan", "--quick", victim, signs), 70, "internal error: ZeroDivisionError: oops",
        "(--debug shows the traceback)",
    )  # fmt: skip

    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("bdshift.audit.scan", interrupted)
    one_line(bdshift("scan", "--quick", victim, signs), 130, "interrupted")


def test_neurons_with_and_without_a_trigger(victim: Path, signs: Path, tmp_path: Path) -> None:
    audit = tmp_path / "a.h5"
    bdshift("scan", "--quick", victim, signs, "--out", audit)
    plain = bdshift("neurons", audit, "--top", "3")
    assert plain.exit_code == 0
    assert "TAC needs a trigger: --trigger" in plain.stdout
    shown = bdshift("neurons", audit, "--trigger", STICKER)
    assert shown.exit_code == 0
    assert "are sent to “speed_80”" in shown.stdout
    assert "w − μ" in shown.stdout
    assert load_audit(audit).tac[0].trigger == STICKER
    found = json.loads(bdshift("neurons", audit, "--json").stdout)
    assert found["trigger"]["asr"] > 0.99
    assert len(found["neurons"]) == 64
    assert len(found["trigger"]["agreement_with_tac"]["shift"]["overlap_curve"]) == 64
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
    assert "ResNet-18, width 8, CIFAR stem" in result.stdout
    assert "clean accuracy decides" in result.stdout
    found = json.loads(bdshift("info", victim, "--json").stdout)
    assert list(found) == [
        "schema", "path", "sha256", "bytes", "format", "wrapper", "prefix", "saved_class",
        "has_program", "beside", "other_models", "folded", "tensors", "numbers", "dtypes",
        "names_in_pickle", "foreign_names", "layers", "architectures", "ignored", "recognized_by",
        "head", "classes", "embedding_dim", "input_sizes", "normalizations_declared",
        "class_names",
    ]  # fmt: skip
    assert set(found["layers"][0]) == {"path", "kind", "shape", "numbers"}
    assert (found["bytes"], found["format"]) == (victim.stat().st_size, "torch zip")
    assert "clean accuracy decides" in found["recognized_by"]
    assert (found["classes"], found["embedding_dim"], found["head"]) == (12, 64, "fc")
    assert "torch._utils._rebuild_tensor_v2" in found["names_in_pickle"]
    torch.save({"state_dict": {"module.w.weight": torch.ones(3, 3)}}, tmp_path / "unknown.pth")
    unknown = bdshift("info", tmp_path / "unknown.pth")
    assert unknown.exit_code == 3
    assert "module." in unknown.stdout  # what can be said is said
    assert "architecture is not known" in unknown.stderr


def test_demo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bdshift.demo.IMAGES_PER_CLASS", 8)
    monkeypatch.setattr(CHANGES["mask"], "steps", 30)  # a third of the usual, and nothing else
    monkeypatch.setattr("bdshift.demo.SEARCH_SECONDS", 12.0)
    result = bdshift("demo", "--out", tmp_path / "demo")
    assert result.exit_code == 0, result.stderr
    assert "PROBABLY BACKDOORED" in result.stdout
    assert "“speed_80”" in result.stdout
    assert "Mask and pattern: class 9" in result.stdout
    assert "TAC" in result.stdout
    assert str(tmp_path / "demo" / "victim.h5") in result.stdout
    before = (tmp_path / "demo" / "clean" / "stop" / "0000.png").stat().st_mtime_ns
    assert bdshift("demo", "--quick", "--out", tmp_path / "demo").exit_code == 0
    assert (tmp_path / "demo" / "clean" / "stop" / "0000.png").stat().st_mtime_ns == before


def test_settings_lists_everything_that_can_be_chosen() -> None:
    result = bdshift("settings")
    assert result.exit_code == 0
    for registry in (DETECTORS, RULES):
        assert all(name in result.stdout for name in registry)
    assert "shift-tuning" in result.stdout
    assert "badnets" in result.stdout
    only = json.loads(bdshift("settings", "rules", "--json").stdout)
    assert set(only) == {"rules"}
    assert list(only["rules"]) == list(RULES)
    assert [one["name"] for one in only["rules"]["paper"]["settings"]] == ["beta"]
    other = bdshift("settings", "colors")
    assert other.exit_code == 2
    assert "'colors' is not one of 'detectors', 'rules'" in other.stderr


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
        "bdshift.RULES; bdshift.solve_exact; assert 'torch' in sys.modules;"
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
