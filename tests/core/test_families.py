"""Networks of public projects, held to what their own code computes.

``data/families.json`` holds facts only: for each network its tensors' shapes, and the logits that
the project's own class gives for weights and images made by the formula here. Our network, built
from the shapes alone, must give the same.
"""

from __future__ import annotations

import base64
import copy
import gzip
import json
import random
import zlib
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from bdshift.checkpoints.compare import compare
from bdshift.checkpoints.families import (
    FAMILIES,
    Candidate,
    aggregated,
    dense,
    inception,
    mobile,
    residual,
    resnet,
    shuffle,
    small,
    vgg,
    wide_resnet,
)
from bdshift.checkpoints.families.network import PointwiseHead

FIXTURE = Path(__file__).parent / "data" / "families.json"
PERIOD = 4099
"""Length of the pseudo-random sequence that a tensor repeats; a prime, so that rows differ."""
OURS = (
    aggregated, dense, inception, mobile, residual, resnet, shuffle, small, vgg, wide_resnet
)  # fmt: skip


def uniform(seed: str) -> NDArray[np.float64]:
    """`PERIOD` numbers in [−1, 1) that only depend on ``seed``: SplitMix64, exact everywhere."""
    with np.errstate(over="ignore"):
        state = np.arange(1, PERIOD + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        state += np.uint64(zlib.crc32(seed.encode())) * np.uint64(0xBF58476D1CE4E5B9)
        state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        state ^= state >> np.uint64(31)
    numbers: NDArray[np.float64] = (state >> np.uint64(11)).astype(np.float64) / 2**52 - 1
    return numbers


def tensor(key: str, shape: tuple[int, ...]) -> torch.Tensor:
    """What the tensor ``key`` holds: scaled so that activations neither vanish nor explode."""
    if key.endswith("num_batches_tracked"):
        return torch.zeros(shape, dtype=torch.int64)
    values = uniform(key)
    if key.endswith("running_var"):
        values = 1 + 0.3 * values
    elif len(shape) > 1:
        values = values * np.sqrt(6 / np.prod(shape[1:]))
    elif key.endswith("weight"):
        values = 1 + 0.2 * values
    else:
        values = 0.1 * values
    return torch.from_numpy(np.resize(values.astype(np.float32), shape))


def images(channels: int, size: int) -> torch.Tensor:
    """Two images of smooth blobs and noise, so that position and stride matter."""
    y, x = np.mgrid[:size, :size] / size
    noise = np.resize(uniform("images"), (2, channels, size, size))
    waves = np.stack([np.sin(7 * x + 3 * y), np.cos(5 * x * y + 2 * x)])[:, None]
    return torch.from_numpy((waves + 0.5 * noise).astype(np.float32))


def filled(candidate: Candidate, shapes: dict[str, tuple[int, ...]]) -> torch.nn.Module:
    """The candidate's network with the weights of the formula, in eval mode."""
    with torch.device("meta"):
        network = candidate.build()
    state = {key: tensor(key, shape) for key, shape in shapes.items()}
    network.load_state_dict(state, assign=True)
    return network.eval()


@cache
def networks() -> dict[str, dict[str, Any]]:
    """The fixture, with shapes unpacked."""
    entries = json.loads(FIXTURE.read_text(encoding="utf-8"))
    for entry in entries.values():
        lines = gzip.decompress(base64.b64decode(entry["shapes"])).decode().splitlines()
        pairs = [line.split(" ") for line in lines]
        entry["shapes"] = {key: tuple(map(int, rest)) for key, *rest in pairs}
    return dict(entries)


def fitting(shapes: dict[str, tuple[int, ...]]) -> list[Candidate]:
    """Every candidate with exactly these tensors, and the rare ones behind it."""
    candidates = [candidate for family in OURS for candidate in family.propose(shapes)]
    found = [candidate for candidate in candidates if compare(candidate, shapes).fits]
    return [one for candidate in found for one in (candidate, *candidate.rare)]


@pytest.mark.parametrize("name", networks())
def test_a_published_network_is_recognized_and_computes_the_same(name: str) -> None:
    entry = networks()[name]
    found = {candidate.name: candidate for candidate in fitting(entry["shapes"])}
    assert entry["name"] in found
    candidate = found[entry["name"]]
    dtype = getattr(torch, entry["dtype"])
    network = filled(candidate, entry["shapes"]).to(dtype)
    caught: list[torch.Tensor] = []
    head = network.get_submodule(candidate.head)
    assert isinstance(head, torch.nn.Linear)
    hook = head.register_forward_pre_hook(lambda _, inputs: caught.append(inputs[0]))
    with torch.no_grad():
        logits = network(images(entry["channels"], entry["size"]).to(dtype))
        hook.remove()
        torch.testing.assert_close(head(caught[0]), logits)
    assert len(caught) == 1
    expected = torch.tensor(entry["logits"], dtype=dtype)
    error = (logits[:, : expected.shape[1]] - expected).abs().max()
    assert error <= 2e-5 * expected.abs().max()
    assert network.state_dict().keys() == entry["shapes"].keys()


def damaged(shapes: dict[str, tuple[int, ...]], seed: int) -> dict[str, tuple[int, ...]]:
    """The shapes with one tensor missing, empty, of another rank or of another width."""
    draw = random.Random(seed)
    key = draw.choice(list(shapes))
    old = shapes[key] or (1,)
    at = draw.randrange(len(old))
    others: list[tuple[int, ...]] = [
        (*old[:at], draw.choice((0, 1, 3, 7, 2 * old[at], 2**20)), *old[at + 1 :]),
        (),
        (0,),
        (5, 5, 5),
        (*old, 1, 1, 1, 1),
    ]
    rest = {k: s for k, s in shapes.items() if k != key}
    return draw.choice([rest, *({**shapes, key: other} for other in others)])


@pytest.mark.parametrize("name", networks())
def test_damaged_shapes_are_not_taken_for_the_network_and_break_nothing(name: str) -> None:
    shapes = networks()[name]["shapes"]
    for seed in range(2):
        wrong = damaged(shapes, seed)
        for family in OURS:
            for candidate in family.propose(wrong):
                assert compare(candidate, wrong).same <= len(wrong)


def test_every_family_is_asked() -> None:
    assert {family.propose for family in OURS} <= set(FAMILIES)


@pytest.mark.parametrize(
    "shapes",
    [
        {},
        {"conv1.weight": (64, 3, 3, 3), "linear.weight": (10, 64)},
        {"features.0.weight": (8, 3, 3, 3), "classifier.weight": (10, 9)},
        {"fc.weight": (10, 512), "fc.bias": (10,)},
        {"layer1.0.conv1.weight": (), "conv1.weight": (), "linear.weight": ()},
    ],
)
def test_a_few_tensors_are_no_network(shapes: dict[str, tuple[int, ...]]) -> None:
    assert not [candidate for family in OURS for candidate in family.propose(shapes)]


def test_a_vgg_for_larger_images_takes_one_size() -> None:
    shapes = dict(networks()["pytorch-cifar: VGG16"]["shapes"])
    assert [c.any_size for c in vgg.propose(shapes)] == [True]
    shapes |= {"classifier.weight": (200, 2048), "classifier.bias": (200,)}
    (candidate,) = vgg.propose(shapes)
    assert candidate.sizes == (64,)
    assert not candidate.any_size
    assert not any(rare.any_size for rare in candidate.rare)
    assert filled(candidate, shapes)(images(3, 64)).shape == (2, 200)


def test_a_head_that_is_a_convolution_in_the_file_is_linear_in_use() -> None:
    weight, bias = tensor("weight", (5, 8, 1, 1)), tensor("bias", (5,))
    head = PointwiseHead(8, 5)
    head.load_state_dict({"weight": weight, "bias": bias})
    x = tensor("x.weight", (3, 8))
    expected = torch.nn.functional.conv2d(x[:, :, None, None], weight, bias).flatten(1)
    torch.testing.assert_close(head(x), expected)
    again = copy.deepcopy(head)
    again.load_state_dict(head.state_dict())
    torch.testing.assert_close(again.state_dict()["weight"], weight)
