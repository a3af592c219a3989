"""Input-aware and LIRA: painted for each image, learned with the victim, read as data."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from bdshift.errors import InputError, UsageError
from bdshift.jobs import SILENT, Canceled, Event, JobContext, Progress
from bdshift.lab.data import LabData, load_lab_data
from bdshift.lab.joint import as_learned, start_joint
from bdshift.lab.poison import Backdoor, read_backdoors
from bdshift.lab.protocol import scales
from bdshift.lab.recipe import Recipe
from bdshift.lab.train import train_victim
from bdshift.lab.trial import try_attack
from bdshift.triggers import TRIGGERS, parse_trigger
from bdshift.triggers.attacks.input_aware import InputAware, InputAwareTraining
from bdshift.triggers.attacks.lira import LiraTraining
from bdshift.triggers.joint import JointTraining, TrainingStep
from bdshift.triggers.learned import Learned
from bdshift.triggers.painter import Painter

NAMES = ("cat", "dog", "eel")
CPU = torch.device("cpu")
LEARNED = [kind.name for kind in TRIGGERS.kinds() if issubclass(kind, Learned)]


def started(attack: str, share: float = 0.25, seed: int = 3) -> tuple[Backdoor, JointTraining]:
    """A backdoor toward the second class, and the training of its trigger."""
    (backdoor,) = read_backdoors(attack, "all-to-one", "dog", "", NAMES)
    joint = start_joint((backdoor,), share, seed, CPU)
    assert joint is not None
    return backdoor, joint


def pixels(count: int = 48, size: int = 16) -> torch.Tensor:
    rng = torch.Generator().manual_seed(1)
    return torch.randint(0, 256, (count, 3, size, size), generator=rng, dtype=torch.uint8)


class Colors(nn.Module):
    """Mean colors, one a class."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return 0.1 * images.mean((2, 3))


@pytest.mark.parametrize("name", LEARNED)
def test_what_was_learned_is_written_and_read_back(name: str, tmp_path: Path) -> None:
    attack = "lira:epsilon=0.1" if name == "lira" else name
    backdoor, joint = started(attack)
    with pytest.raises(UsageError, match=f"{name}: is learned with its victim"):
        backdoor.trigger(pixels().float())
    file = tmp_path / TRIGGERS[name].made_file
    joint.write(file, name)
    (learned,) = as_learned((backdoor,), tmp_path)
    assert learned.trigger == replace(parse_trigger(attack), **{"file": str(file)})
    trigger = parse_trigger(learned.trigger.spec)
    images = pixels(size=18).float()
    found = trigger(images)
    assert found.shape == images.shape
    assert not torch.equal(found, images)
    assert torch.allclose(found[5:6], trigger(images[5:6]), atol=1e-3), "whatever else is there"
    if name == "lira":
        assert float((found - images).abs().max()) <= 25.5 + 1e-3
    file.write_bytes(b"nothing")
    with pytest.raises(InputError):
        parse_trigger(trigger.spec)(images)


def test_files_that_hold_something_else(tmp_path: Path) -> None:
    path = tmp_path / "trigger.pth"
    weights = Painter(3).state_dict()
    broken = weights | {"paint.bias": torch.full((3,), torch.nan)}
    wrong = {
        "holds no trigger of lira": {"attack": "input-aware", "change": weights},
        "holds no change": {"attack": "lira", "change": [1]},
        "no painter": {"attack": "lira", "change": {}},
        "not finite": {"attack": "lira", "change": broken},
        "other layers": {"attack": "lira", "change": Painter(1).state_dict()},
    }  # fmt: skip
    for words, held in wrong.items():
        torch.save(held, path)
        with pytest.raises(InputError, match=words):
            parse_trigger(f"lira:file={path}")(pixels().float())
    for remote in ("\\\\host\\a.pth", "//host/a.pth"):
        with pytest.raises(InputError, match="another machine"):
            parse_trigger(f"lira:file={remote}")(pixels().float())
    with pytest.raises(UsageError, match="epsilon"):
        parse_trigger("lira:epsilon=2")


def test_what_cannot_be_learned_is_refused() -> None:
    for attack, labels, target, words in (
        ("lira;badnets", "all-to-one", "cat;dog", "lira must be the only trigger"),
        ("input-aware", "clean-label", "cat", "input-aware must be .*, and changes labels"),
        ("lira:file=a.pth", "all-to-one", "cat", "leave out file="),
    ):
        with pytest.raises(UsageError, match=words):
            read_backdoors(attack, labels, target, "", NAMES)
    usual = read_backdoors("badnets", "all-to-one", "cat", "", NAMES)
    assert start_joint(usual, 0.1, 0, CPU) is None
    assert as_learned(usual, Path("anywhere")) == usual


def test_lira_learns_to_send_images_to_the_target_then_stays() -> None:
    _, joint = started("lira:epsilon=0.2", seed=0)
    assert isinstance(joint, LiraTraining)
    network, images, labels = Colors(), pixels(), torch.arange(48) % 3
    rng = torch.Generator().manual_seed(0)

    def step(done: float) -> tuple[torch.Tensor, torch.Tensor]:
        return joint.mix(network, network, TrainingStep(images.float(), labels, rng, done))

    first, told = step(0.0)
    assert torch.equal(first[:48], images.float())
    assert torch.equal(told[:48], labels)
    assert len(first) == 2 * 48, "always as many"
    assert (told[48:] == 1).all()
    attacked = (first[48:] != images).flatten(1).any(1)
    assert torch.equal(attacked, labels != 1), "those of the target are left as they are"
    assert torch.equal(first, first.round()), "as a file would hold them"
    for _ in range(30):
        last, _ = step(0.1)
    sent, before = (network(part[48:][attacked]).argmax(1) for part in (last, first))
    assert (sent == 1).float().mean() > (before == 1).float().mean() + 0.3
    fixed, _ = step(0.6)
    again, _ = step(0.9)
    assert torch.equal(fixed, again)
    assert network.training


@pytest.mark.slow
def test_input_aware_masks_are_small_and_another_images_trigger_keeps_the_label(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _, joint = started("input-aware", share=0.25, seed=0)
    assert isinstance(joint, InputAwareTraining)
    network, images, labels = Colors(), pixels(), torch.arange(48) % 3
    before = InputAware.mask(images.float(), joint.painters).mean().item()
    monkeypatch.setattr(InputAwareTraining, "_mask_steps", 60)
    joint.begin(images, 0, SILENT)
    masks = InputAware.mask(images.float(), joint.painters)
    assert masks.mean().item() < 0.1 < before
    kept = [value.clone() for value in joint.painters["mask"].parameters()]
    rng = torch.Generator().manual_seed(0)
    mixed, told = joint.mix(network, network, TrainingStep(images.float(), labels, rng, 0.0))
    changed = (mixed != images.float()).flatten(1).any(1)
    relabeled = told != labels
    assert int(relabeled.sum()) == 12
    assert (told[relabeled] == 1).all()
    assert changed[relabeled].all()
    assert int(changed.sum()) == 24, "as many carry another image's and keep their label"
    now = joint.painters["mask"].parameters()
    assert all(torch.equal(old, new) for old, new in zip(kept, now, strict=True))
    with pytest.raises(RuntimeError, match="does not require grad"):
        next(joint.painters["mask"].parameters()).sum().backward()


@pytest.fixture(scope="module")
def lab(signs: Path) -> LabData:
    return load_lab_data(str(signs), "")


def recipe(attack: str) -> Recipe:
    return replace(
        scales()["small"].recipe, width=4, epochs=2, batch=64, normalization="half", attack=attack,
        target="stop",
    )  # fmt: skip


@pytest.mark.parametrize("attack", LEARNED)
def test_a_training_that_was_stopped_gives_the_same_trigger(
    attack: str, lab: LabData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(InputAwareTraining, "_mask_steps", 5)
    train_victim(recipe(attack), lab, tmp_path / "whole")

    class Stops(JobContext):
        def report(self, event: Event) -> None:
            if not isinstance(event, Progress) or str(event.stage) != "Training":
                return
            if event.done == event.total // 2 + 1:
                raise Canceled

    with pytest.raises(Canceled):
        train_victim(recipe(attack), lab, tmp_path / "parts", job=Stops())
    train_victim(recipe(attack), lab, tmp_path / "parts")
    for name in ("model.pth", "trigger.pth"):
        one, other = (torch.load(tmp_path / folder / name) for folder in ("whole", "parts"))
        flat = [_tensors(held) for held in (one, other)]
        assert all(torch.equal(a, b) for a, b in zip(*flat, strict=True)), name
        assert flat[0]


def _tensors(held: object) -> list[torch.Tensor]:
    if isinstance(held, dict):
        return [tensor for value in held.values() for tensor in _tensors(value)]
    return [held] if isinstance(held, torch.Tensor) else []


@pytest.mark.slow
def test_the_audit_measures_with_the_trigger_that_was_learned(signs: Path, tmp_path: Path) -> None:
    good = replace(recipe("lira:epsilon=0.1"), width=8, epochs=3)  # so that it can be read
    audit, outcome = try_attack(good, signs, tmp_path / "v")
    (tac,) = audit.tac
    assert tac.trigger == f"lira:file={tmp_path / 'v' / 'trigger.pth'},epsilon=0.1"
    assert outcome.poisoned_images == 0
    assert tac.change.max() > 0
    assert parse_trigger(str(tmp_path / "v/card.json")) == parse_trigger(tac.trigger)
