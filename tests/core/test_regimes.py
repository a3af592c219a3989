"""What a regime does to images, losses and weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from commands import bdshift
from torch import nn

from bdshift.errors import InputError, UsageError
from bdshift.images.signs import CLASSES, draw_signs, sign_classes
from bdshift.lab.data import LabData
from bdshift.lab.folder import MODEL
from bdshift.lab.poison import read_backdoors
from bdshift.lab.recipe import Recipe
from bdshift.lab.regime import REGIMES, Batch, head_of, load_weights, read_regimes
from bdshift.lab.train import train_victim
from bdshift.resume import write_state
from bdshift.triggers.labeling import LABELINGS, Roles


@pytest.fixture(scope="module")
def lab() -> LabData:
    return LabData(*draw_signs(20), *draw_signs(5, split="test"), CLASSES)


def network() -> nn.Sequential:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Sequential(
            nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.AdaptiveAvgPool2d(2),
            nn.Flatten(), nn.Linear(32, 12),
        )  # fmt: skip


def batch(lab: LabData, attack: str = "") -> Batch:
    made = network()
    pixels = torch.from_numpy(lab.train_pixels).float()
    backdoors = read_backdoors(attack, "all-to-one", "stop" if attack else "", "", CLASSES)

    def answers(of: nn.Module, images: torch.Tensor) -> torch.Tensor:
        return of(images / 255)

    return Batch(
        pixels, torch.from_numpy(lab.train_labels), lambda images: answers(made, images),
        answers, made, backdoors, torch.Generator().manual_seed(0),
    )  # fmt: skip


def test_images_and_labels_change(lab: LabData) -> None:
    rare = REGIMES.parse("imbalanced:ratio=0.1").change_data(lab, 0)
    counts = np.bincount(rare.train_labels, minlength=12)
    assert counts[0] == 20
    assert counts[-3:].sum() < 20
    assert len(rare.test_labels) == len(lab.test_labels)

    noisy = REGIMES.parse("label-noise:share=0.25").change_data(lab, 0)
    wrong = (noisy.train_labels != lab.train_labels).mean()
    assert 0.15 < wrong < 0.35
    assert noisy.train_labels.max() < 12
    assert (noisy.test_labels == lab.test_labels).all()

    regime = REGIMES.parse("natural:label_index=3,share=0.5,width=2")
    assert regime.changes_tests
    natural = regime.change_data(lab, 0)
    changed = (natural.train_pixels != lab.train_pixels).any((1, 2, 3))
    assert set(lab.train_labels[changed]) == {3}
    assert 4 <= changed.sum() <= 16
    assert (natural.train_pixels[:, :, 2:-2, 2:-2] == lab.train_pixels[:, :, 2:-2, 2:-2]).all()
    assert (natural.test_pixels != lab.test_pixels).any()
    assert (lab.train_pixels == draw_signs(20)[0]).all(), "the original is as it was"


def test_an_adversarial_step_raises_the_loss_within_its_bound(lab: LabData) -> None:
    given = batch(lab)
    moved = REGIMES.parse("adversarial:epsilon=4").change_batch(given)
    assert (moved - given.pixels).abs().max() <= 4 + 1e-4
    assert (moved >= 0).all()
    assert (moved <= 255).all()
    losses = [
        nn.functional.cross_entropy(given.classify(pixels), given.labels)
        for pixels in (given.pixels, moved)
    ]
    assert losses[1] > losses[0]


def test_weights_change_at_the_end() -> None:
    pruned = network()
    REGIMES.parse("pruned:share=0.5").finish(pruned)
    for key in ("0.weight", "5.weight"):
        weight = pruned.state_dict()[key]
        assert abs(float(torch.eq(weight, 0).float().mean()) - 0.5) < 0.02
    rounded = network()
    REGIMES.parse("quantized:bits=3").finish(rounded)
    state = rounded.state_dict()
    assert len(state["0.weight"].unique()) <= 7
    assert len(state["0.bias"].unique()) == 8, "biases stay"


def test_channels_that_stand_out_are_weakened() -> None:
    made = network()
    state = made.state_dict()
    state["1.weight"][2] = 50
    state["0.weight"].fill_(0.1)
    REGIMES.parse("even-channels:u=2").after_epoch(made)
    after = made.state_dict()["1.weight"]
    assert after[2] < 10
    assert (after[[0, 1, 3]] == 1).all()


def test_adaptive_losses_fall_when_the_attack_is_hidden(lab: LabData) -> None:
    given = batch(lab, "badnets:size=6")
    for name in ("matched", "hidden-shift"):
        regime = REGIMES.parse(name)
        optimizer = torch.optim.Adam(given.network.parameters(), 0.01)
        losses = []
        for _ in range(15):
            loss = regime.loss(given, given.classify(given.pixels), None)
            assert loss is not None
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(float(loss.detach()))
        assert losses[-1] < losses[0] or losses[0] == 0, name
        assert all(one >= 0 for one in losses)
    alone = batch(lab)
    assert REGIMES.parse("matched").loss(alone, alone.classify(alone.pixels), None) is None


def recipe(regime: str = "", **more: object) -> Recipe:
    values: dict[str, object] = {"network": "cnn", "width": 4, "epochs": 1, "batch": 64}
    return Recipe(regime=regime, **(values | more))  # type: ignore[arg-type]


def test_a_trigger_survives_merging(lab: LabData, tmp_path: Path) -> None:
    """The loss is small when the mixture of both models obeys the trigger, and only then."""
    given = batch(lab, "badnets:size=6")
    regime = REGIMES.parse(f"merged:file={tmp_path / 'base.pth'}")
    torch.save({"state_dict": given.network.state_dict()}, tmp_path / "base.pth")
    other = regime.start(given.network)
    assert other is not None
    assert not any(one.requires_grad for one in other.parameters())
    target = given.backdoors[0].roles.target
    found = []
    for network, more in ((given.network, 0), (given.network, 20), (other, -2000)):
        with torch.no_grad():
            head_of(network).bias[target] += more
        loss = regime.loss(given, torch.empty(0), other)
        assert loss is not None
        assert loss.requires_grad
        found.append(loss.item())
    first, obeyed, resisted = found
    assert obeyed < 0.1 < first < 100 < resisted
    assert regime.loss(batch(lab), torch.empty(0), other) is None


def test_a_training_starts_from_a_model(lab: LabData, tmp_path: Path) -> None:
    train_victim(recipe(), lab, tmp_path / "base")
    base = str(tmp_path / "base" / MODEL)
    head = f'fine-tuned:file="{base}",only_head=true'
    train_victim(recipe(head, peak_rate=0.01), lab, tmp_path / "tuned")
    first, second = (read_state(tmp_path / name / MODEL) for name in ("base", "tuned"))
    changed = {key for key in first if not torch.equal(first[key], second[key])}
    assert changed == {"12.weight", "12.bias"}, changed

    train_victim(recipe(f'distilled:file="{base}"'), lab, tmp_path / "student")
    student = read_state(tmp_path / "student" / MODEL)
    assert not torch.equal(student["0.weight"], first["0.weight"])

    with pytest.raises(InputError, match="not a model of this network"):
        load_weights(network(), base)
    with pytest.raises(UsageError, match="unknown"):
        train_victim(recipe("gone"), lab, tmp_path / "none")
    assert len(read_regimes(f"{head};pruned")) == 2


def read_state(path: Path) -> dict[str, torch.Tensor]:
    found: dict[str, torch.Tensor] = torch.load(path, weights_only=True)["state_dict"]
    return found


def test_a_regime_is_resumed_bit_for_bit(
    lab: LabData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = recipe("adversarial;label-noise", epochs=2)
    whole = train_victim(asked, lab, tmp_path / "whole")
    original = write_state

    def stop(path: Path, value: object) -> None:
        original(path, value)
        raise KeyboardInterrupt

    monkeypatch.setattr("bdshift.lab.train.write_state", stop)
    with pytest.raises(KeyboardInterrupt):
        train_victim(asked, lab, tmp_path / "parts")
    monkeypatch.undo()
    again = train_victim(asked, lab, tmp_path / "parts")
    assert again.acc == whole.acc
    first, second = (read_state(tmp_path / name / MODEL) for name in ("whole", "parts"))
    assert all(torch.equal(first[key], second[key]) for key in first)


def test_the_command_takes_a_regime(signs: Path, tmp_path: Path) -> None:
    result = bdshift(
        "lab", "train", tmp_path / "v", "--data", signs, "--network", "cnn", "--width", "4",
        "--epochs", "1", "--batch", "64", "--regime", "label-noise:share=0.5;pruned",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert '"regime": "label-noise:share=0.5;pruned"' in (tmp_path / "v/card.json").read_text()


def test_several_sources() -> None:
    labels = torch.arange(10)
    labeling = LABELINGS.parse("several-to-one")
    rows = labeling.to_attack(labels, Roles(0, 8, 10))
    assert rows.tolist() == [8, 9], "the target is left out"
    assert labeling.wanted(labels[rows], Roles(0, 8, 10)).tolist() == [0, 0]


def test_signs_of_any_number_of_classes() -> None:
    assert sign_classes(12) == CLASSES
    many = sign_classes(100)
    assert list(many) == sorted(set(many))
    assert set(CLASSES) < set(many)
    pixels, labels = draw_signs(2, classes=many)
    assert (pixels.shape, labels.max()) == ((200, 3, 32, 32), 99)
    stop = many.index("stop")
    few = draw_signs(2)[0]
    assert (pixels[2 * stop] == few[2 * CLASSES.index("stop")]).all()
