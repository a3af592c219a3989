"""What a file holds beside the network that is audited."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from reference_networks import randomize
from renamed_networks import DETACHED, State, resnet, same_logits, saved, state_of

from bdshift.checkpoints.classifier import open_checkpoint
from bdshift.checkpoints.export import write_checkpoint
from bdshift.checkpoints.export.forms.original import OriginalForm
from bdshift.checkpoints.recognize import recognize
from bdshift.errors import InputError
from bdshift.images.preprocessing import NORMALIZATIONS, Preprocessing


@pytest.mark.parametrize(
    "beside",
    [
        {"ema_decay": torch.tensor(0.99)},
        {"criterion.weight": torch.rand(7)},
        {"queue": torch.rand(128, 512), "queue_ptr": torch.tensor([3])},
        {"mean": torch.rand(1, 3, 1, 1), "std": torch.rand(1, 3, 1, 1)},
        {"fc_old.weight": torch.rand(100, 64), "fc_old.bias": torch.rand(100)},
        {"projection.0.weight": torch.rand(32, 64), "projection.2.weight": torch.rand(16, 32)},
        {"g.0.weight": torch.rand(20, 32, 4, 4), "g.2.weight": torch.rand(3, 20, 4, 4)},
    ],
    ids=[
        "a scalar", "class weights", "a queue", "mean and std", "an old head", "a projection",
        "a generator",
    ],
)  # fmt: skip
@pytest.mark.parametrize("rename", [str, DETACHED["deeper"]], ids=["known", "detached"])
def test_what_is_beside_a_network_removes_no_candidate(
    beside: State, rename: Callable[[str], str], tmp_path: Path
) -> None:
    network = randomize(resnet())
    alone = open_checkpoint(saved(state_of(network, rename), tmp_path))
    opened = open_checkpoint(saved({**state_of(network, rename), **beside}, tmp_path))
    assert set(opened.ignored) == set(beside)
    assert [one.name for one in opened.candidates] == [one.name for one in alone.candidates]
    assert len(opened.candidates) == 3
    assert same_logits(opened, network)[0]


@pytest.mark.parametrize(
    "more",
    [
        {"layer2.0.se.weight": (4, 16)},
        {"layer2.0.alpha": (1,)},
        {"neck.0.weight": (64, 64, 3, 3), "neck.2.weight": (64, 64, 3, 3)},
        {"last.weight": (5, 7)},
        {"norm.weight": (64,), "norm.bias": (64,)},
        {"norm.weight": (64,)},
    ],
    ids=[
        "a gate in a block",
        "a number in a block",
        "a neck",
        "after the head",
        "a norm",
        "its scale",
    ],
)
def test_half_a_network_is_never_ignored(more: dict[str, tuple[int, ...]]) -> None:
    shapes = {key: tuple(value.shape) for key, value in resnet().state_dict().items()}
    assert recognize(shapes).candidates
    try:
        found = recognize(shapes | more)
    except InputError:
        return
    assert not found.ignored


def test_a_stage_whose_keys_differ_is_not_left_out() -> None:
    shapes = {key: tuple(value.shape) for key, value in resnet().state_dict().items()}
    moved = {k.replace("layer4.", "extra.stage."): s for k, s in shapes.items()}
    candidates = recognize(moved).candidates
    with torch.device("meta"):
        assert all(set(moved) == set(one.build().state_dict()) for one in candidates)


def test_a_network_registered_twice_is_written_twice(tmp_path: Path) -> None:
    network = randomize(resnet())
    state = {f"{top}.{key}": value.clone() for top in ("net", "again")
             for key, value in state_of(network).items()}  # fmt: skip
    opened = open_checkpoint(saved(state, tmp_path))
    assert not opened.ignored
    loaded = opened.load(opened.candidates[0])
    loaded.head.bias.data += 1
    classifier = loaded.with_preprocessing(Preprocessing(32, NORMALIZATIONS["none"], "rgb"))
    write_checkpoint(classifier, tmp_path / "out.pt", OriginalForm())
    found = torch.load(tmp_path / "out.pt", weights_only=True)
    for top in ("net", "again"):
        assert torch.equal(found[f"{top}.linear.bias"], state[f"{top}.linear.bias"] + 1)


def test_a_teacher_beside_the_network_is_not_taken_for_it(tmp_path: Path) -> None:
    network, average = randomize(resnet()), randomize(resnet())
    for parameter in average.parameters():
        parameter.data *= 1.1
    state = {f"{top}.{key}": value for top, net in (("teacher", average), ("student", network))
             for key, value in state_of(net).items()}  # fmt: skip
    opened = open_checkpoint(saved(state, tmp_path))
    assert same_logits(opened, network)[0]
    assert all(key.startswith("teacher.") for key in opened.ignored)
    assert {"teacher.linear.weight", "teacher.conv1.weight"} <= set(opened.ignored)


def test_the_modules_beside_are_named(tmp_path: Path) -> None:
    state = state_of(randomize(resnet()), DETACHED["deeper"])
    beside = {"g.a.weight": torch.rand(20, 32, 4, 4), "g.b.weight": torch.rand(3, 20, 4, 4)}
    more = {"encoder.proj.0.weight": torch.rand(8, 64), "margin": torch.tensor(0.1)}
    opened = open_checkpoint(saved({**state, **beside, **more}, tmp_path))
    assert set(opened.beside) == {"g", "encoder.proj", "margin"}
