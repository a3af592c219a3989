"""The whole story on the demo's models: what is found, what is settled, what is said."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from known import STICKER, TARGET
from PIL import Image
from remarks import other_cautions

from bdshift.audit import Audit, Material, ScanSettings, add_tac, reopen, scan
from bdshift.audit.stages import native_size
from bdshift.checkpoints.classifier import open_checkpoint
from bdshift.detect.detectors.embedding_shift import EmbeddingShift
from bdshift.detect.rule import RULES, Rule
from bdshift.detect.rules.mad import Mad
from bdshift.detect.rules.paper import Paper
from bdshift.errors import InputError, UsageError
from bdshift.images.collection import open_images
from bdshift.triggers import parse_trigger

FEW = ScanSettings(sample=144)


def test_the_victim_is_named(victim: Path, signs: Path) -> None:
    audit = scan(victim, signs)
    assert audit.finding.level == "backdoored"
    assert audit.finding.classes == (TARGET,)
    assert [reason.code for reason in audit.finding.reasons] == ["shift-stands-out"]
    assert str(audit.finding).startswith("Probably backdoored: Class 9 “speed_80” is reached by")
    assert audit.images.class_names[TARGET] == "speed_80"
    assert audit.judgment.flagged == (TARGET,)
    assert audit.judgment.p < 0.01
    assert audit.accuracy > 0.97
    assert audit.shifts.kkt_max < 1e-8
    assert audit.model.architecture == "ResNet-18, width 8, CIFAR stem"
    assert audit.preprocessing.normalization.name == "half"
    assert audit.preprocessing.order == "rgb"
    assert other_cautions(audit.finding) == []


def test_its_clean_twin_is_not(clean_twin: Path, signs: Path) -> None:
    audit = scan(clean_twin, signs)
    assert audit.finding.level == "nothing-unusual"
    assert audit.finding.classes == ()
    assert audit.judgment.p > 0.05
    assert audit.accuracy > 0.97


def test_logits_are_those_of_the_cached_embedding(victim_audit: Audit) -> None:
    audit = victim_audit
    assert audit.embedding is not None
    z = audit.embedding.phi @ audit.model.weight.T + audit.model.bias
    assert np.allclose(z, audit.embedding.logits, atol=1e-3)
    with pytest.raises(ValueError, match="read-only"):
        audit.embedding.phi[0, 0] = 1


def test_tac_finds_the_neurons_that_the_shift_points_at(
    victim_audit: Audit, victim_material: Material
) -> None:
    found = add_tac(victim_audit, victim_material, parse_trigger(STICKER), TARGET)
    tac = found.tac[-1]
    assert tac.asr > 0.99
    assert (tac.change >= np.abs(tac.signed) - 1e-12).all()
    shift = victim_audit.shifts.shift[TARGET]
    top = set(np.argsort(-shift)[:13]) & set(np.argsort(-tac.change)[:13])
    assert len(top) >= 6  # of a tenth of the neurons, half at least are common
    assert np.corrcoef(shift, tac.signed)[0, 1] > 0.6
    again = add_tac(found, victim_material, parse_trigger(STICKER), TARGET)
    assert len(again.tac) == 1  # renewed, not doubled
    other = add_tac(again, victim_material, parse_trigger("badnets:size=2"), TARGET)
    assert other.tac[-1].asr < 0.2  # another patch is no key
    assert len(other.tac) == 2


def test_reopening_needs_the_same_model_and_images(
    victim_audit: Audit, clean_twin: Path, signs: Path, tmp_path: Path
) -> None:
    audit = victim_audit
    with pytest.raises(InputError, match="not the model that was audited"):
        reopen(audit, model=clean_twin)
    shutil.copytree(signs, tmp_path / "clean")
    moved = shutil.copy(audit.model.path, tmp_path / "moved.pth")
    material = reopen(audit, model=moved, images=tmp_path / "clean")
    add_tac(audit, material, parse_trigger(STICKER), TARGET)
    (tmp_path / "clean" / "stop" / "0000.png").unlink()
    material = reopen(audit, model=moved, images=tmp_path / "clean")
    with pytest.raises(InputError, match="not the set that was audited"):
        add_tac(audit, material, parse_trigger(STICKER), TARGET)


def test_an_audit_file_cannot_name_code_to_run(
    victim_audit: Audit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "evil_arch.py").write_text("open('ran', 'w')\nNet = None\n")
    monkeypatch.chdir(tmp_path)
    usual = victim_audit.model.architecture
    model = replace(victim_audit.model, architecture="evil_arch:Net")
    settings = replace(victim_audit.settings, arch="evil_arch:Net")
    own = replace(victim_audit, model=replace(model, users_own=True), settings=settings)
    for arch in (None, usual):
        with pytest.raises(UsageError, match=r"evil_arch:Net, whose code would be run"):
            reopen(own, arch=arch)
        with pytest.raises(InputError, match="no longer recognized as evil_arch:Net"):
            reopen(replace(victim_audit, model=model), arch=arch)
        again = reopen(replace(victim_audit, settings=settings), arch=arch)
        assert again.classifier.architecture == usual
    assert "evil_arch" not in sys.modules
    assert not (tmp_path / "ran").exists()


def test_an_audit_of_a_seldom_activation_is_reopened(victim_audit: Audit) -> None:
    model = victim_audit.model
    name = f"{model.architecture}, LeakyReLU(0.1)"
    material = reopen(replace(victim_audit, model=replace(model, architecture=name)))
    assert material.classifier.architecture == name
    with pytest.raises(InputError, match="no longer recognized as ResNet-5"):
        reopen(replace(victim_audit, model=replace(model, architecture="ResNet-5")))


def test_a_class_file_may_be_gone_when_an_audit_is_reopened(
    victim: Path, signs: Path, tmp_path: Path
) -> None:
    names = sorted(folder.name for folder in signs.iterdir())
    names[0], names[1] = names[1], names[0]
    (tmp_path / "names").write_text("\n".join(names))
    audit = scan(victim, signs, ScanSettings(sample=120, labels=tmp_path / "names"))
    (tmp_path / "names").unlink()
    clean = reopen(audit).clean
    assert clean.class_map.names == tuple(names)
    assert clean.class_map.of_folder[:3] == (1, 0, 2)


def test_an_architecture_is_chosen_by_name(victim: Path) -> None:
    every = open_checkpoint(victim).candidates
    assert len(every) > 1
    (only,) = open_checkpoint(victim, arch=every[1].name).candidates
    assert only.name == every[1].name
    assert only.rare == ()
    with pytest.raises(UsageError, match="what fits is ResNet-18, width 8, CIFAR stem; "):
        open_checkpoint(victim, arch="VGG-19")


# --- what the weights do not say


def resaved(victim: Path, path: Path, change: Callable[[dict[str, torch.Tensor]], None]) -> Path:
    state = torch.load(victim, weights_only=True)["state_dict"]
    change(state)
    torch.save(state, path)
    return path


def test_a_network_that_wants_bgr(victim: Path, signs: Path, tmp_path: Path) -> None:
    def swap(state: dict[str, torch.Tensor]) -> None:
        state["conv1.weight"] = state["conv1.weight"].flip(1)

    audit = scan(resaved(victim, tmp_path / "bgr.pth", swap), signs, FEW)
    assert audit.preprocessing.order == "bgr"
    assert audit.accuracy > 0.97
    assert audit.finding.classes == (TARGET,)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_weights(
    victim: Path, signs: Path, tmp_path: Path, dtype: torch.dtype
) -> None:
    def halve(state: dict[str, torch.Tensor]) -> None:
        for key, value in state.items():
            state[key] = value.to(dtype) if value.is_floating_point() else value

    audit = scan(resaved(victim, tmp_path / "half.pth", halve), signs, FEW)
    assert audit.finding.classes == (TARGET,)
    assert audit.model.weight.dtype == np.float32


@pytest.mark.slow
def test_another_order_of_the_folders_is_proposed(
    victim: Path, signs: Path, tmp_path: Path
) -> None:
    names = sorted(path.name for path in signs.iterdir())
    order = np.random.default_rng(0).permutation(len(names))
    for position, label in enumerate(order):
        shutil.copytree(signs / names[label], tmp_path / "clean" / f"{position:02d}_folder")
    audit = scan(victim, tmp_path / "clean", FEW)
    assert audit.proposal is not None
    assert audit.proposal.accuracy > 0.95
    assert [audit.proposal.of_folder[f"{i:02d}_folder"] for i in range(12)] == order.tolist()
    assert audit.finding.level == "inconclusive"
    assert audit.finding.reasons[0].code == "label-order"
    assert "another order" in str(audit.finding.statement)
    assert audit.preprocessing.normalization.name == "half"
    # Applied as a class-name file it is right, and the finding names the same class.
    by_class = sorted(audit.proposal.of_folder, key=audit.proposal.of_folder.__getitem__)
    (tmp_path / "names.txt").write_text("\n".join(by_class))
    given = replace(FEW, labels=tmp_path / "names.txt", normalize="half")
    right = scan(victim, tmp_path / "clean", given)
    assert right.proposal is None
    assert right.accuracy > 0.97
    assert right.finding.level == "backdoored"
    assert right.finding.classes == (TARGET,)


@pytest.mark.slow
def test_images_of_something_else_are_said_to_mean_little(
    victim: Path, signs: Path, tmp_path: Path
) -> None:
    rng = np.random.default_rng(0)
    for name in sorted(path.name for path in signs.iterdir()):
        (tmp_path / "noise" / name).mkdir(parents=True)
        for i in range(6):
            pixels = rng.integers(0, 256, (32, 32, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "noise" / name / f"{i}.png")
    audit = scan(victim, tmp_path / "noise")
    assert audit.proposal is None
    assert audit.finding.level == "inconclusive"
    assert audit.finding.reasons[0].code == "poor-accuracy"
    assert "Clean accuracy is only 8.3% over 12 classes" in str(audit.finding.statement)


def test_few_images_are_said_to_be_few(victim: Path, signs: Path) -> None:
    few = scan(victim, signs, ScanSettings(sample=36, normalize="half"))
    assert sum(few.images.counts) == 36
    assert few.finding.level != "inconclusive"
    [caution] = other_cautions(few.finding)
    assert caution.code == "few-of-the-images"
    said = str(caution.sentence)
    assert f"36 of the {few.images.available} images are few for 12 classes" in said
    assert "--sample 60 takes more" in said
    alone = replace(few.images, available=36)
    [caution] = other_cautions(replace(few, images=alone).finding)
    assert (caution.code, caution.values) == ("few-images", {"images": 36, "classes": 12})
    too_few = scan(victim, signs, ScanSettings(sample=24, normalize="half"))
    assert sum(too_few.images.counts) == 24
    assert too_few.finding.level == "inconclusive"
    assert too_few.finding.reasons[0].code == "too-few-images"
    assert "24 images are too few" in str(too_few.finding.statement)


def test_normalize_overrides(victim: Path, signs: Path) -> None:
    audit = scan(victim, signs, replace(FEW, normalize="0.5/0.5"))
    assert {trial.preprocessing.normalization.name for trial in audit.trials} == {"0.5/0.5"}
    assert audit.accuracy > 0.97


def test_the_rules_and_solvers(victim: Path, signs: Path) -> None:
    few = ScanSettings(sample=120, normalize="half")
    rules: tuple[Rule, ...] = (Paper(), Mad())
    for rule in rules:
        assert scan(victim, signs, replace(few, rule=rule)).judgment.rule == rule
    adam = scan(victim, signs, replace(few, detectors=(EmbeddingShift(solver="adam"),)))
    assert adam.shifts.solver == "adam"
    assert adam.evidence[0].detector == "shift:alpha=0.1,solver=adam"
    assert adam.shifts.l2.argmin() == TARGET


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (lambda: EmbeddingShift(alpha=0), r"alpha is a number above 0, up to 1,000,000, not 0"),
        (lambda: EmbeddingShift(alpha=float("nan")), "alpha is a number .*, not nan"),
        (lambda: EmbeddingShift(solver="x"), "solver is one of exact, adam, not 'x'"),  # type: ignore[arg-type]
        (lambda: Paper(beta=-1), "beta is a number above 0, up to 1,000,000, not -1"),
        (lambda: RULES.parse("x"), "unknown rule 'x'; choose one of grubbs, mad, paper"),
        (lambda: ScanSettings(batch=0), r"batch .*\b1, not 0"),
        (lambda: ScanSettings(seed=-1), r"seed .* negative.* -1"),
        (lambda: ScanSettings(normalize="x"), "normalization 'x'"),
        (lambda: ScanSettings(detectors=()), "the first detector is the embedding shift"),
        (lambda: ScanSettings(detectors=(EmbeddingShift(),) * 2), "named twice: shift, shift"),
    ],
)
def test_settings_are_checked_at_once(wrong: Callable[[], object], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        wrong()


def test_wrong_device_and_sample(victim: Path, signs: Path) -> None:
    with pytest.raises(UsageError, match="device 'nonsense'"):
        scan(victim, signs, ScanSettings(device="nonsense"))
    with pytest.raises(UsageError, match="sample"):
        scan(victim, signs, ScanSettings(sample=2.0))


def test_native_size(signs: Path, tmp_path: Path) -> None:
    found = open_images(signs)
    assert native_size(found, found.files) == 32
    (tmp_path / "a").mkdir()
    Image.new("RGB", (40, 30)).save(tmp_path / "a" / "1.png")
    found = open_images(tmp_path)
    assert native_size(found, found.files) is None
