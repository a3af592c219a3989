"""Purification: what a method may see, what it keeps, and that no kill loses anything."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from bdshift.audit import Audit, ScanSettings, reopen, scan
from bdshift.audit.cleaning import clean_model
from bdshift.checkpoints.classifier import Classifier, open_checkpoint
from bdshift.checkpoints.export import FORMS, Form, write_checkpoint
from bdshift.checkpoints.reader import read_checkpoint
from bdshift.cli import main
from bdshift.cli.export import FORM_NAMES
from bdshift.errors import InputError, UsageError
from bdshift.images.preprocessing import Preprocessing, parse_normalisation
from bdshift.jobs import Cancelled, Event, Figures, JobContext
from bdshift.purify import (
    METHODS,
    PAPER,
    CleanData,
    Cut,
    FineTuning,
    Method,
    Part,
    ShiftTuning,
    Step,
    parse_method,
    purify,
    read_clean,
    split_clean,
)
from bdshift.purify.measure import Measured, der, measure
from bdshift.purify.workbench import Workbench
from bdshift.triggers import parse_trigger

STICKER = "badnets:size=4,colour=ffd800,row=20,column=14"
TARGET = 9


@pytest.fixture(scope="module")
def audit(victim: Path, signs: Path) -> Audit:
    return scan(victim, signs, ScanSettings(sample=480))


@pytest.fixture(scope="module")
def opened(audit: Audit) -> tuple[Classifier, CleanData, torch.Tensor]:
    classifier, found = reopen(audit)
    assert classifier.preprocessing is not None
    data = read_clean(
        found.collection, found.files, found.class_map.of_folder, classifier.preprocessing
    )
    return classifier, data, torch.from_numpy(audit.shifts.shift[TARGET].copy())


def weights(classifier: Classifier) -> dict[str, torch.Tensor]:
    return classifier.network.state_dict()


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(a[key], b[key]) for key in a)


# --- the clean data


def test_every_class_is_held_out_in_its_share() -> None:
    labels = torch.tensor([0] * 50 + [1] * 10 + [2] * 2 + [3])
    pixels = torch.arange(63, dtype=torch.uint8).view(63, 1, 1, 1).expand(63, 3, 2, 2)
    half = Preprocessing(2, parse_normalisation("half"))
    found = split_clean(pixels, labels, half, held=0.2, seed=1)
    assert torch.bincount(found.held.labels, minlength=4).tolist() == [10, 2, 1, 0]
    seen = torch.cat([found.tune.pixels, found.held.pixels])[:, 0, 0, 0]
    assert sorted(seen.tolist()) == list(range(63)), "each image in one part"
    again = split_clean(pixels, labels, half, held=0.2, seed=1)
    assert torch.equal(found.held.pixels, again.held.pixels)
    other = split_clean(pixels, labels, half, held=0.2, seed=2)
    assert not torch.equal(found.held.pixels, other.held.pixels)


def test_too_few_images_to_hold_out_are_refused() -> None:
    half = Preprocessing(2, parse_normalisation("half"))
    with pytest.raises(InputError, match="too few"):
        split_clean(torch.zeros(1, 3, 2, 2, dtype=torch.uint8), torch.zeros(1).long(), half)
    with pytest.raises(UsageError, match="between 0 and 1"):
        split_clean(torch.zeros(9, 3, 2, 2, dtype=torch.uint8), torch.zeros(9).long(), half, held=1)


# --- methods


@pytest.mark.parametrize("name", METHODS)
def test_every_method_gives_a_new_model_and_leaves_the_old_one(
    opened: tuple[Classifier, CleanData, torch.Tensor], name: str
) -> None:
    classifier, data, shift = opened
    before = {key: value.clone() for key, value in weights(classifier).items()}
    method = parse_method(name)
    if "epochs" in {field.name for field in dataclasses.fields(method)}:
        method = dataclasses.replace(method, epochs=2)  # type: ignore[call-arg]
    found = purify(classifier, data, method, TARGET, shift)
    assert same(before, weights(classifier)), "the source was touched"
    assert not same(before, weights(found.classifier))
    assert found.complete
    assert len(found.rows) == method.total
    assert found.kept in {row.step.number for row in found.rows}
    assert parse_method(found.method) == method
    assert classifier.preprocessing is not None
    assert measure(found.classifier.network, classifier.preprocessing, data.held).acc > 0.9
    assert not any(p.requires_grad for p in found.classifier.network.parameters())


def test_the_same_seed_gives_the_same_weights(
    opened: tuple[Classifier, CleanData, torch.Tensor],
) -> None:
    classifier, data, shift = opened
    method = ShiftTuning(epochs=1)
    first, second, other = (
        purify(classifier, data, method, TARGET, shift, seed=seed) for seed in (0, 0, 1)
    )
    assert same(weights(first.classifier), weights(second.classifier))
    assert not same(weights(first.classifier), weights(other.classifier))


def test_the_shift_no_longer_reaches_the_target(
    opened: tuple[Classifier, CleanData, torch.Tensor],
) -> None:
    classifier, data, shift = opened
    found = purify(classifier, data, ShiftTuning(epochs=4), TARGET, shift)
    figures = [row.step.figures for row in found.rows]
    assert figures[-1]["target_norm"] > 1.1 * float(shift.norm())
    assert figures[-1]["held_out_accuracy"] > 0.85
    assert figures[-1]["target_norm"] > figures[-1]["other_norms"]


def test_the_head_alone_is_solved_without_touching_the_backbone(
    opened: tuple[Classifier, CleanData, torch.Tensor],
) -> None:
    classifier, data, shift = opened
    found = purify(classifier, data, ShiftTuning(epochs=0, head_first=True), TARGET, shift)
    before, after = weights(classifier), weights(found.classifier)
    changed = {key for key in before if not torch.equal(before[key], after[key])}
    assert changed == {"fc.weight", "fc.bias"}
    assert found.backwards == 0


def test_a_cut_sets_columns_of_the_head_to_zero(
    opened: tuple[Classifier, CleanData, torch.Tensor],
) -> None:
    classifier, data, shift = opened
    found = purify(classifier, data, Cut(neurons="3+17"), TARGET, shift)
    columns = found.classifier.weight.abs().sum(0)
    assert torch.nonzero(columns == 0)[:, 0].tolist() == [3, 17]
    with pytest.raises(UsageError, match="there is no neuron 4000"):
        purify(classifier, data, Cut(neurons="4000"), TARGET, shift)


def test_what_is_watched_changes_nothing(
    opened: tuple[Classifier, CleanData, torch.Tensor],
) -> None:
    """Attack success is reported between steps; the run must not depend on it."""
    classifier, data, shift = opened
    seen = iter(range(100))

    def watch(network: torch.nn.Module) -> dict[str, float]:
        torch.manual_seed(next(seen))
        return {"asr": float(next(seen))}

    plain = purify(classifier, data, ShiftTuning(epochs=2), TARGET, shift)
    watched = purify(classifier, data, ShiftTuning(epochs=2), TARGET, shift, watch=watch)
    assert same(weights(plain.classifier), weights(watched.classifier))
    assert [row.watched["asr"] for row in watched.rows] == [1.0, 3.0]


def test_methods_cannot_see_triggers_or_test_images() -> None:
    """All that goes into a method is a `Workbench`; it holds no trigger and no test image."""
    assert {field.name for field in dataclasses.fields(Workbench)} == {
        "network", "head_name", "clean", "target", "shift", "seed", "job", "state", "forwards",
        "backwards",
    }  # fmt: skip
    assert {field.name for field in dataclasses.fields(CleanData)} == {
        "tune", "held", "preprocess",
    }  # fmt: skip
    folder = Path(sys.modules[Method.__module__].__file__ or "").parent
    for name in ("shift_tuning", "fine_tuning", "pruning", "tuning", "workbench", "run"):
        text = (folder / f"{name}.py").read_text()
        assert "bdshift.triggers" not in text
        assert "purify.measure" not in text


# --- choosing, cancelling, resuming


@dataclasses.dataclass(frozen=True)
class Scripted(Method):
    """Sets the head's bias to each step's number, with given scores."""

    name = "scripted"

    scores: tuple[float, ...] = ()
    final: int = -1

    @property
    def total(self) -> int:
        return len(self.scores)

    def steps(self, bench: Workbench) -> Iterator[Step]:
        for number in range(bench.state.get("done", 0), len(self.scores)):
            bench.job.raise_if_cancelled()
            with torch.no_grad():
                bench.head.bias.fill_(number)
            bench.state["done"] = number + 1
            yield Step(number, self.scores[number], {}, final=number == self.final)


def test_the_best_on_held_out_images_is_kept(
    opened: tuple[Classifier, CleanData, torch.Tensor],
) -> None:
    classifier, data, shift = opened
    found = purify(classifier, data, Scripted((1, 3, 2)), TARGET, shift)
    assert found.kept == 1
    assert found.classifier.bias.unique().tolist() == [1]
    found = purify(classifier, data, Scripted((1, 3, 2), final=2), TARGET, shift)
    assert found.classifier.bias.unique().tolist() == [2]


def test_cancelled_it_keeps_the_best_until_then(
    opened: tuple[Classifier, CleanData, torch.Tensor],
) -> None:
    classifier, data, shift = opened

    class Stopping(JobContext):
        def report(self, event: Event) -> None:
            if isinstance(event, Figures) and event.number == 1:
                self.cancel()

    found = purify(classifier, data, Scripted((1, 3, 9)), TARGET, shift, job=Stopping())
    assert not found.complete
    assert found.kept == 1
    at_once = JobContext()
    at_once.cancel()
    with pytest.raises(Cancelled):
        purify(classifier, data, Scripted((1,)), TARGET, shift, job=at_once)


@pytest.mark.parametrize("name", ["shift-tuning:epochs=2,head_first=true", "fine-pruning:epochs=2"])
def test_stopped_after_any_step_it_ends_with_the_same_weights(
    opened: tuple[Classifier, CleanData, torch.Tensor], name: str, tmp_path: Path
) -> None:
    classifier, data, shift = opened
    method = parse_method(name)
    whole = purify(classifier, data, method, TARGET, shift)

    class After(JobContext):
        def __init__(self, steps: int) -> None:
            super().__init__()
            self.left = steps

        def report(self, event: Event) -> None:
            if isinstance(event, Figures):
                self.left -= 1
                if self.left == 0:
                    self.cancel()

    for stop in (1, 2):
        file = tmp_path / f"{stop}.state"
        cut = purify(classifier, data, method, TARGET, shift, resume=file, job=After(stop))
        assert not cut.complete
        found = purify(classifier, data, method, TARGET, shift, resume=file)
        assert same(weights(found.classifier), weights(whole.classifier))
        assert [row.step for row in found.rows] == [row.step for row in whole.rows]
        assert found.forwards == whole.forwards


def test_a_state_of_another_run_is_refused(
    opened: tuple[Classifier, CleanData, torch.Tensor], tmp_path: Path
) -> None:
    classifier, data, shift = opened
    file = tmp_path / "a.state"
    purify(classifier, data, Cut(neurons="3"), TARGET, shift, resume=file)
    with pytest.raises(InputError, match="state of another run"):
        purify(classifier, data, Cut(neurons="4"), TARGET, shift, resume=file)
    file.write_bytes(b"no state")
    with pytest.raises(InputError, match="holds no state"):
        purify(classifier, data, Cut(neurons="4"), TARGET, shift, resume=file)


def test_killed_at_any_moment_nothing_is_lost(
    audit: Audit, victim: Path, signs: Path, tmp_path: Path
) -> None:
    """SIGKILL the command three times, then let it end: as if nothing had been."""
    command = [
        sys.executable, "-m", "bdshift", "purify", str(victim), str(signs), "--method",
        "fine-tuning:epochs=3", "--target", str(TARGET), "--out",
    ]  # fmt: skip
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path / "cache")}
    done = subprocess.run(
        [*command, str(tmp_path / "whole.pth")], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    killed = tmp_path / "killed.pth"
    state = tmp_path / "killed.pth.state"
    for wait in (0.0, 0.6):
        running = subprocess.Popen([*command, str(killed)], env=environment,
                                   stdout=-3, stderr=-3)  # fmt: skip  # DEVNULL
        end = time.monotonic() + 60
        while not state.exists() and running.poll() is None and time.monotonic() < end:
            time.sleep(0.02)
        time.sleep(wait)
        running.send_signal(signal.SIGKILL)
        running.wait()
    assert not killed.exists()
    done = subprocess.run([*command, str(killed)], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "Going on after step" in done.stderr
    assert not state.exists()
    a, b = (open_checkpoint(tmp_path / f"{name}.pth") for name in ("whole", "killed"))
    assert same(a.state.load(), b.state.load())


# --- measuring


def test_der_gives_the_papers_table() -> None:
    def at(acc: float, asr: float) -> Measured:
        return Measured(acc, asr, None, np.zeros(1), np.zeros(1, np.int64))

    assert der(at(0.9381, 1.0), at(0.9255, 0.0573)) == pytest.approx(0.9650, abs=1e-4)
    assert der(at(0.9341, 0.9959), at(0.1023, 1.0)) == pytest.approx(0.0841, abs=1e-4)
    assert der(at(0.9381, 1.0), at(0.9364, 1.0)) == pytest.approx(0.4992, abs=1e-4)


def test_asr_leaves_out_the_target_class(
    opened: tuple[Classifier, CleanData, torch.Tensor],
) -> None:
    classifier, data, _ = opened
    assert classifier.preprocessing is not None
    only = data.held.labels == TARGET
    part = Part(data.held.pixels[only], data.held.labels[only])
    trigger = parse_trigger(STICKER)
    found = measure(classifier.network, classifier.preprocessing, part, trigger, TARGET)
    assert found.asr is None
    found = measure(classifier.network, classifier.preprocessing, data.held, trigger, TARGET)
    assert found.asr is not None
    assert found.asr > 0.99
    assert found.by_class.shape == (12,)


# --- export


def test_the_command_knows_every_form() -> None:
    assert tuple(FORMS) == FORM_NAMES


@pytest.mark.parametrize("form", ["torchscript", "onnx"])
def test_a_graph_needs_no_class_and_takes_any_number_of_images(
    audit: Audit, form: str, tmp_path: Path
) -> None:
    classifier, _ = reopen(audit)
    path = tmp_path / "out"
    told = write_checkpoint(classifier, path, form, metadata={"bdshift": "{}"})
    assert told["logit_difference"] < 1e-4
    images = torch.randn(5, 3, 32, 32)
    with torch.inference_mode():
        theirs = FORMS[form].read(classifier, path)(images)
        assert torch.allclose(theirs, classifier.network(images), atol=1e-3)
    if form == "onnx":
        import onnxruntime

        about = onnxruntime.InferenceSession(str(path)).get_modelmeta().custom_metadata_map
        assert json.loads(about["preprocessing"])["mean"] == [0.5, 0.5, 0.5]
        assert about["bdshift"] == "{}"


def test_an_export_that_gives_other_logits_is_not_kept(
    audit: Audit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    classifier, _ = reopen(audit)
    right = FORMS["safetensors"]
    wrong = Form(right.write, lambda given, path: lambda x: right.read(given, path)(x) + 1e-2)
    monkeypatch.setitem(FORMS, "safetensors", wrong)
    with pytest.raises(InputError, match="gives other logits"):
        write_checkpoint(classifier, tmp_path / "out.safetensors", "safetensors")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("form", ["as-it-came", "state-dict", "safetensors"])
def test_an_export_reads_back_as_the_same_network(audit: Audit, form: str, tmp_path: Path) -> None:
    classifier, _ = reopen(audit)
    path = tmp_path / "out.pth"
    told = write_checkpoint(classifier, path, form)
    assert told["logit_difference"] < 1e-5
    again = open_checkpoint(path)
    assert same(again.state.load(), weights(classifier))
    before, after = read_checkpoint(audit.model.path), again.file
    layout = classifier.layout
    if form == "as-it-came":
        assert again.state.layout.wrapper == layout.wrapper == ("state_dict",)
        assert after.container == before.container
    else:
        assert again.state.layout.wrapper == ()
    with pytest.raises(UsageError, match="exists"):
        write_checkpoint(classifier, path, form)
    write_checkpoint(classifier, path, form, overwrite=True)
    assert [one.name for one in tmp_path.iterdir()] == ["out.pth"], "nothing is left beside it"


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64"])
@pytest.mark.parametrize("legacy", [False, True])
def test_keys_prefix_dtype_and_container_stay(
    audit: Audit, tmp_path: Path, dtype: str, legacy: bool
) -> None:
    classifier, _ = reopen(audit)
    kind = getattr(torch, dtype)
    state = {
        f"module.{key}": value.to(kind) if value.is_floating_point() else value
        for key, value in weights(classifier).items()
    }
    source = tmp_path / "in.pth"
    torch.save({"net": state, "acc": 1}, source, _use_new_zipfile_serialization=not legacy)
    found = open_checkpoint(source, arch=audit.model.architecture)
    given = found.classifier(found.candidates[0]).with_preprocessing(
        audit.preprocessing.preprocessing
    )
    write_checkpoint(given, tmp_path / "out.pth")
    out = torch.load(tmp_path / "out.pth", weights_only=True)["net"]
    assert list(out) == list(state)
    assert {key: value.dtype for key, value in out.items()} == {
        key: value.dtype for key, value in state.items()
    }
    assert same(out, state)
    assert read_checkpoint(tmp_path / "out.pth").container == read_checkpoint(source).container


def test_the_source_is_never_written(audit: Audit, victim: Path, tmp_path: Path) -> None:
    source = tmp_path / "model.pth"
    source.write_bytes(victim.read_bytes())
    found = open_checkpoint(source)
    classifier = found.classifier(found.candidates[0]).with_preprocessing(
        audit.preprocessing.preprocessing
    )
    with pytest.raises(UsageError, match="never written"):
        write_checkpoint(classifier, source, overwrite=True)
    assert source.read_bytes() == victim.read_bytes()


# --- the command


def test_the_command_cleans_reports_and_says_where_it_came_from(
    audit: Audit, tmp_path: Path
) -> None:
    from bdshift.store import save_audit

    save_audit(audit, tmp_path / "a.h5")
    out = tmp_path / "cleaned.pth"
    given = ["purify", str(tmp_path / "a.h5"), "--out", str(out), "--method",
             "shift-tuning:epochs=1", "--trigger", STICKER]  # fmt: skip
    found = CliRunner().invoke(main, [*given, "--json"])
    assert found.exit_code == 0, found.output
    told = json.loads(out.with_name("cleaned.pth.json").read_text())
    assert told["source"]["sha256"] == audit.model.sha256
    assert told["target"] == {"index": TARGET, "name": "speed_80"}
    assert told["before"]["asr"] > 0.99
    assert told["der"] == pytest.approx(
        (max(0, told["before"]["asr"] - told["after"]["asr"])
         - max(0, told["before"]["acc"] - told["after"]["acc"]) + 1) / 2
    )  # fmt: skip
    assert "asr" in told["steps"][0]
    assert open_checkpoint(out).file.sha256 == told["export"]["sha256"]
    again = CliRunner().invoke(main, given)
    assert again.exit_code == 2
    assert "--overwrite" in again.output


@pytest.mark.parametrize("source", ["audit", "model"])
def test_export_as_a_command(audit: Audit, victim: Path, tmp_path: Path, source: str) -> None:
    from bdshift.store import save_audit

    save_audit(audit, tmp_path / "a.h5")
    given = tmp_path / "a.h5" if source == "audit" else victim
    out = tmp_path / "out.onnx"
    call = ["export", str(given), "--out", str(out), "--format", "onnx"]
    found = CliRunner().invoke(main, [*call, "--json"])
    assert found.exit_code == 0, found.output
    assert out.exists()
    assert CliRunner().invoke(main, call).exit_code == 2, "an existing file is kept"
    assert CliRunner().invoke(main, [*call, "--overwrite"]).exit_code == 0
    call[1] = str(tmp_path / "missing.pth")
    assert CliRunner().invoke(main, [*call, "--overwrite"]).exit_code == 3


def test_wrong_use_is_said(audit: Audit, tmp_path: Path, clean_twin: Path, signs: Path) -> None:
    def run(*given: str) -> tuple[int, str]:
        found = CliRunner().invoke(main, ["purify", *given, "--out", str(tmp_path / "o.pth")])
        return found.exit_code, found.output

    code, said = run(str(clean_twin), str(signs))
    assert code == 2
    assert "no class is flagged" in said
    assert run("a", "b", "c")[0] == 2
    code, said = run("a.h5", "--method", "magic")
    assert (code, "method 'magic' is not known" in said) == (2, True)
    code, said = run("a.h5", "--method", "cut:ranking=tac")
    assert (code, "ranking is one of" in said) == (2, True)
    assert run("nowhere.h5")[0] == 3


def test_test_images_are_only_reported_on(audit: Audit, signs: Path) -> None:
    method = FineTuning(epochs=1)
    plain = clean_model(audit, method, TARGET)
    other = clean_model(audit, method, TARGET, test=signs, trigger=parse_trigger(STICKER))
    assert same(weights(plain.run.classifier), weights(other.run.classifier))
    assert "held-out" in plain.reported_on
    assert other.reported_on.startswith("480 images of")
    assert plain.after.asr is None
    assert other.after.asr is not None


def test_the_papers_settings() -> None:
    assert parse_method("paper") is PAPER
    assert (PAPER.epochs, PAPER.rate, PAPER.cosine, PAPER.scale) == (50, 0.01, False, 1.0)
