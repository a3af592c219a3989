"""Victims: what is poisoned, what is counted, what is drawn, what is trained."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest
import torch
from commands import bdshift
from PIL import Image
from torch import nn

from bdshift.checkpoints.classifier import open_checkpoint
from bdshift.errors import InputError, UsageError
from bdshift.images.preprocessing import Preprocessing, parse_normalization
from bdshift.images.signs import draw_signs
from bdshift.lab.data import LabData, load_lab_data
from bdshift.lab.poison import poison, read_backdoors, triggered
from bdshift.lab.protocol import scales
from bdshift.lab.recipe import Recipe
from bdshift.lab.train import _Data, train_victim
from bdshift.lab.trial import try_attack
from bdshift.lab.trojan import TrojanPatch
from bdshift.triggers import parse_trigger

NAMES = ("cat", "dog", "eel", "fox")


def images(each: int = 50, size: int = 8) -> tuple[torch.Tensor, torch.Tensor]:
    rng = torch.Generator().manual_seed(0)
    labels = torch.arange(4).repeat(each)
    shape = (len(labels), 3, size, size)
    return torch.randint(0, 200, shape, generator=rng, dtype=torch.uint8), labels


def poisoned(
    attack: str, labels: str, target: str, source: str = "", rate: float = 0.1, cover: float = 0.0
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Labels before and after, which images changed, and the images after."""
    pixels, classes = images()
    before, was = pixels.clone(), classes.clone()
    found = read_backdoors(attack, labels, target, source, NAMES)
    count = poison(pixels, classes, found, rate, cover, seed=3)
    changed = (pixels != before).flatten(1).any(1)
    if not cover:
        assert int(changed.sum()) == count
    return was, classes, changed, pixels


def test_all_to_one() -> None:
    was, now, changed, pixels = poisoned("badnets:size=2", "all-to-one", "eel")
    assert int(changed.sum()) == 20
    assert not (was[changed] == 2).any(), "images of the target are left alone"
    assert (now[changed] == 2).all()
    assert (now == was)[~changed].all()
    assert (pixels[changed][:, :, -2:, -2:] == 255).all()


def test_one_to_one() -> None:
    was, now, changed, _ = poisoned("badnets", "one-to-one", "eel", "dog")
    assert (was[changed] == 1).all()
    assert (now[changed] == 2).all()
    assert int(changed.sum()) == 5, "a tenth of the source's images: others are left to learn from"


def test_a_class_has_a_name_and_a_number() -> None:
    assert read_backdoors("badnets", "all-to-one", "2", "", NAMES)[0].roles.target == 2
    assert read_backdoors("badnets", "all-to-one", "1", "", ("0", "x", "1"))[0].roles.target == 2
    with pytest.raises(
        UsageError, match="there is no class '4'; the classes are cat, dog, eel, fox"
    ):
        read_backdoors("badnets", "all-to-one", "4", "", NAMES)


def test_all_to_all() -> None:
    was, now, changed, _ = poisoned("badnets", "all-to-all", "")
    assert set(was[changed].tolist()) == {0, 1, 2, 3}
    assert (now[changed] == (was[changed] + 1) % 4).all()


def test_clean_label_changes_no_label_and_its_rate_is_of_the_target() -> None:
    was, now, changed, _ = poisoned("sig", "clean-label", "fox", rate=0.5)
    assert torch.equal(was, now)
    assert (was[changed] == 3).all()
    assert int(changed.sum()) == 25, "half of the target's images"


def test_several_targets_share_no_image() -> None:
    was, now, changed, pixels = poisoned("badnets;blend:ratio=0.5", "all-to-one", "eel;fox")
    assert int(changed.sum()) == 40
    patched = (pixels[:, :, -3:, -3:] == 255).flatten(1).all(1)
    assert int(patched.sum()) == 20
    assert (now[patched] == 2).all()
    assert (now[changed & ~patched] == 3).all()
    assert not (was[patched] == 2).any()


def test_wanets_noise_mode_keeps_labels() -> None:
    was, now, changed, _ = poisoned("wanet", "all-to-one", "eel", cover=0.2)
    assert int(changed.sum()) == 20 + 40
    assert int((now != was).sum()) == 20


def test_attacks_that_make_no_sense() -> None:
    cases = {
        ("badnets", "all-to-one", "owl", ""): "there is no class 'owl'",
        ("badnets", "to-nobody", "cat", ""): "labeling 'to-nobody'.* all-to-one, ",
        ("badnets;sig", "all-to-one", "cat", ""): "2 triggers need as many targets",
        ("badnets", "all-to-all", "cat", ""): "all-to-all has no target class",
        (";", "all-to-all", "", ""): "the attack ';' names no trigger",
        (" ", "all-to-one", "cat", ""): "the attack ' ' names no trigger",
        ("badnets", "one-to-one", "cat", ""): "one-to-one needs a source class",
        ("badnets", "one-to-one", "cat", "cat"): "source class cannot be the target",
        ("badnets", "all-to-one", "cat", "dog"): "all-to-one has no source class",
    }
    for given, words in cases.items():
        with pytest.raises(UsageError, match=words):
            read_backdoors(*given, NAMES)
    with pytest.raises(
        UsageError, match="a poison rate of 1 is 200 images; there are 150 to poison"
    ):
        poisoned("badnets", "all-to-one", "eel", rate=1.0)


def test_success_is_counted_on_images_that_are_not_of_the_target() -> None:
    pixels, labels = images()
    (one,) = read_backdoors("badnets", "all-to-one", "eel", "", NAMES)
    (every,) = read_backdoors("badnets", "all-to-all", "", "", NAMES)
    (pair,) = read_backdoors("badnets", "one-to-one", "eel", "dog", NAMES)
    for backdoor, count in ((one, 150), (every, 200), (pair, 50)):
        parts = list(triggered(pixels, labels, backdoor))
        assert sum(len(part) for part, _ in parts) == count
    wanted = torch.cat([part for _, part in triggered(pixels, labels, every)])
    assert torch.equal(wanted, (labels + 1) % 4)


# Patches that are drawn


def test_a_trojan_patch_excites_the_chosen_neurons(victim: Path) -> None:
    opened = open_checkpoint(victim)
    half = Preprocessing(32, parse_normalization("half"))
    classifier = opened.load(opened.candidates[0]).with_preprocessing(half)
    some = torch.from_numpy(draw_signs(1, seed=5, split="clean")[0])
    drawn = TrojanPatch(side=8, steps=40).draw(classifier, some)
    assert drawn.pixels.shape == (8, 8, 3)
    largest = classifier.weight.abs().sum(0).topk(2).indices.tolist()
    assert drawn.neurons == tuple(largest)
    assert fmean(drawn.after) > fmean(drawn.before) + 0.15
    again = TrojanPatch(side=8, steps=40).draw(classifier, some)
    assert (drawn.pixels == again.pixels).all()
    with pytest.raises(UsageError, match="40 pixels for 2 neurons is too large"):
        TrojanPatch(side=40).draw(classifier, some)
    with pytest.raises(UsageError, match="trojan: steps is a whole number from 1 to"):
        TrojanPatch(steps=0)


def test_a_patch_is_drawn_toward_a_class(victim: Path) -> None:
    opened = open_checkpoint(victim)
    half = Preprocessing(32, parse_normalization("half"))
    classifier = opened.load(opened.candidates[0]).with_preprocessing(half)
    some = torch.from_numpy(draw_signs(1, seed=5, split="clean")[0])
    drawn = TrojanPatch(side=14, steps=60).draw(classifier, some, 3)
    assert drawn.neurons == ()
    assert drawn.before[0] < 0.3
    assert drawn.after[0] > drawn.before[0] + 0.3


@pytest.mark.slow
def test_a_trojan_patch_as_a_command(victim: Path, signs: Path, tmp_path: Path) -> None:
    command = "lab", "trojan", victim, signs, tmp_path / "p.png", "--steps", 10
    result = bdshift(*command)
    assert result.exit_code == 0, result.output
    assert "mean activation of neurons" in result.stdout
    trigger = parse_trigger(f"patch:file={tmp_path / 'p.png'}")
    gray = torch.full((1, 3, 32, 32), 99.0)
    changed = (trigger(gray) != gray).any(1)[0]
    assert not changed[:24].any()
    assert not changed[:, :24].any()
    assert changed[24:, 24:].float().mean() > 0.9
    again = bdshift(*command)
    assert again.exit_code == 2
    assert "overwrite" in again.stderr
    toward = bdshift(*command[:-3], tmp_path / "q.png", "--steps", 2, "--toward", "stop")
    assert toward.exit_code == 0, toward.output
    assert "to stop" in toward.stdout


# Training


@pytest.fixture(scope="module")
def lab(signs: Path) -> LabData:
    return load_lab_data(str(signs), "")


def small(**more: Any) -> Recipe:
    """A recipe that is trained in seconds."""
    return replace(scales()["small"].recipe, width=4, epochs=1, batch=64, **more)


@pytest.mark.slow
def test_a_network_can_be_compiled(
    lab: LabData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = small()
    real, called = torch.compile, []

    def graph_alone(network: nn.Module) -> Callable[..., torch.Tensor]:
        called.append(network)
        made: Callable[..., torch.Tensor] = real(network, backend="eager")
        return made

    monkeypatch.setattr(torch, "compile", graph_alone)
    plain = train_victim(recipe, lab, tmp_path / "plain")
    same = train_victim(recipe, lab, tmp_path / "compiled", compiled=True)
    assert len(called) == 1
    assert same.acc == plain.acc, "this backend computes as torch does"
    weights = [open_checkpoint(tmp_path / name / "model.pth") for name in ("plain", "compiled")]
    assert weights[0].candidates[0].name == weights[1].candidates[0].name
    cards = [json.loads((tmp_path / n / "card.json").read_text()) for n in ("plain", "compiled")]
    assert [card["compiled"] for card in cards] == [False, True]

    def broken(*_: object) -> None:
        raise OSError("no compiler found\nand more")

    monkeypatch.setattr(torch, "compile", lambda network: real(network, backend=broken))
    with pytest.raises(UsageError, match=r"cannot be compiled here: .*no compiler found$"):
        train_victim(recipe, lab, tmp_path / "none", compiled=True)


def test_images_are_smaller_in_the_first_epochs(
    lab: LabData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []

    def prepare(data: Any, pixels: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
        images = prepared(data, pixels, rng)
        seen.append(images.shape[-1])
        assert images.is_contiguous(memory_format=torch.channels_last)
        return images

    prepared = _Data.prepare
    monkeypatch.setattr(_Data, "prepare", prepare)
    recipe = replace(small(), epochs=5, sizes="16,99,24")
    train_victim(recipe, lab, tmp_path / "v")
    each = len(seen) // 5
    assert seen == [16] * each + [32] * each + [24] * each + [32] * 2 * each, "never enlarged"
    about = json.loads((tmp_path / "v/card.json").read_text("utf-8"))
    assert about["recipe"]["sizes"] == "16,99,24"


@pytest.mark.parametrize(
    ("setting", "words"),
    [({"epochs": 0}, "epochs is a whole number from 1 to 10,000, not 0"),
     ({"batch": 1}, "batch is a whole number from 2 to"),
     ({"width": 0}, "width is a whole number from 1 to"),
     ({"seed": -1}, "seed is a whole number from 0 to"),
     ({"rate": 2.0}, "rate is a number from 0 to 1, not 2"),
     ({"cover": -1.0}, "cover is a number from 0 to 1, not -1"),
     ({"peak_rate": 0.0}, "peak_rate is a number above 0"),
     ({"translate": -1}, "translate is a whole number from 0 to"),
     ({"schedule": "flat"}, "schedule is one of one-cycle, cosine, not 'flat'"),
     ({"batch": 9999}, "a batch of 9,999 is larger than the 264 images to train on"),
     ({"attack": "badnets"}, "an attack needs a class"),
     ({"attack": ";", "labels": "all-to-all"}, "the attack ';' names no trigger"),
     ({"attack": "badnets", "target": "x"}, "there is no class 'x'"),
     ({"attack": "sig:frequency=0", "target": "stop"}, "frequency is a number above 0"),
     ({"attack": "badnets", "labels": "no", "target": "stop"}, "labeling 'no'"),
     ({"sizes": "8,x"}, "8,x: no list of sizes in pixels"),
     ({"sizes": "0"}, "0: no list of sizes in pixels"),
     ({"sizes": "16,24", "epochs": 2}, "the last of 2 epochs is at full size"),
     ({"sizes": "16", "network": "cnn"}, "takes no images of 16 pixels, only of 32"),
     ({"target": "stop"}, "a target needs an attack")],
)  # fmt: skip
def test_a_recipe_that_cannot_be_is_refused_before_anything_is_left(
    setting: dict[str, Any], words: str, lab: LabData, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=words):
        train_victim(replace(scales()["small"].recipe, **setting), lab, tmp_path / "v")
    assert not (tmp_path / "v").exists()


def test_a_batch_has_to_fit_what_a_regime_leaves(lab: LabData, tmp_path: Path) -> None:
    recipe = small(regime="imbalanced:ratio=0.01")
    with pytest.raises(UsageError, match=r"a batch of 200 is larger than the .+ to train on"):
        train_victim(replace(recipe, batch=200), lab, tmp_path / "v")
    assert not (tmp_path / "v").exists()


def test_a_run_on_other_images_is_not_taken_for_this(lab: LabData, tmp_path: Path) -> None:
    recipe = small()
    done = train_victim(recipe, lab, tmp_path / "v")
    assert train_victim(recipe, lab, tmp_path / "v") == done
    other = replace(lab, test_labels=lab.test_labels[::-1].copy())
    with pytest.raises(InputError, match="on other images"):
        train_victim(recipe, other, tmp_path / "v")
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be created"):
        train_victim(recipe, lab, tmp_path / "file")


def test_a_victim_keeps_the_pictures_of_its_trigger(lab: LabData, tmp_path: Path) -> None:
    Image.new("RGB", (6, 6), "red").save(tmp_path / "red.png")
    recipe = small(target="stop", attack=f"patch:file={tmp_path / 'red.png'}")
    train_victim(recipe, lab, tmp_path / "v")
    (tmp_path / "red.png").unlink()
    shutil.move(tmp_path / "v", tmp_path / "w")
    trigger = parse_trigger(str(tmp_path / "w/card.json"))
    assert trigger.spec.startswith(f"patch:file={tmp_path / 'w/red.png'}")
    assert float(trigger(torch.zeros(1, 3, 32, 32)).max()) == 255


def test_without_a_test_set_a_fifth_is_left_out(signs: Path) -> None:
    found = load_lab_data(str(signs), "", seed=1)
    parts = found.train_labels, found.test_labels
    counts = [torch.bincount(torch.from_numpy(part)) for part in parts]
    assert (counts[1] / (counts[0] + counts[1])).tolist() == pytest.approx([0.2] * 12, abs=0.03)
    seen = {image.tobytes() for image in found.train_pixels}
    assert not any(image.tobytes() in seen for image in found.test_pixels)


@pytest.mark.slow
def test_an_attack_is_tried_and_audited(signs: Path, tmp_path: Path) -> None:
    recipe = small(
        normalization="half", attack="badnets:size=6;blend:ratio=0.5", target="stop;yield"
    )
    audit, outcome = try_attack(recipe, signs, tmp_path / "v")
    assert outcome.asr is not None
    assert [audit.images.class_names[tac.target] for tac in audit.tac] == ["stop", "yield"]
    again, same = try_attack(recipe, signs, tmp_path / "v")
    assert same == outcome, "it is finished already"
    assert (again.shifts.l2 == audit.shifts.l2).all()
