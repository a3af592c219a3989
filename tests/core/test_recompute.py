"""Networks that are run again on the way back: less memory, the same numbers."""

from __future__ import annotations

import copy
import gc
import weakref
from contextlib import AbstractContextManager

import pytest
import torch
from purified import same_weights, weights_of
from torch import nn
from torchvision.models import resnet18
from workbenches import given_by

from bdshift.audit import Audit, Material
from bdshift.checkpoints import recompute as recompute_module
from bdshift.checkpoints.recompute import blocks_of, kept_for_gradients, recompute
from bdshift.purification import METHODS
from bdshift.purification.methods.fine_tuning import FineTuning
from bdshift.recovery.scene import scene_of


def _network() -> nn.Module:
    torch.manual_seed(0)
    return resnet18(num_classes=4)


def _train(network: nn.Module, steps: int = 2) -> dict[str, torch.Tensor]:
    """Some steps of training, batch norms included, with the same images each time."""
    rng = torch.Generator().manual_seed(1)
    optimizer = torch.optim.SGD(network.parameters(), 0.1)
    for _ in range(steps):
        images = torch.randn(4, 3, 32, 32, generator=rng)
        optimizer.zero_grad()
        nn.functional.cross_entropy(network(images), torch.arange(4)).backward()
        optimizer.step()
    return network.state_dict()


@pytest.mark.parametrize("momentum", [0.1, None])
def test_it_changes_no_weight_and_no_statistic(momentum: float | None) -> None:
    network = _network()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = momentum
    lighter = copy.deepcopy(network)
    recompute(lighter)
    usual, found = _train(network), _train(lighter)
    assert usual["layer4.1.bn2.num_batches_tracked"] == 2
    for name, value in usual.items():
        assert torch.equal(found[name], value), name


def test_only_the_maps_between_blocks_are_kept() -> None:
    network = _network()
    images = torch.randn(4, 3, 64, 64)
    usual = kept_for_gradients(network, lambda: network(images))
    end = recompute(network)
    lighter = kept_for_gradients(network, lambda: network(images))
    end()
    assert lighter < 0.6 * usual
    assert kept_for_gradients(network, lambda: network(images)) == usual
    # Of a convolution, a norm and a ReLU that works in place: the input, what the norm was given
    # and its two statistics, and the output.
    chain = nn.Sequential(nn.Conv2d(3, 5, 1), nn.BatchNorm2d(5), nn.ReLU(True)).train()
    values = 4 * 64 * 64 * (3 + 5 + 5) + 5 + 5
    assert kept_for_gradients(chain, lambda: chain(images)) == 4 * values


def test_counting_leaves_nothing_behind() -> None:
    """Found by soaking: each count once kept the network and all its activations for ever."""
    chain = nn.Sequential(nn.Linear(3, 5), nn.ReLU(), nn.Sigmoid(), nn.Linear(5, 2))
    kept = []
    chain[1].register_forward_hook(lambda _, __, output: kept.append(weakref.ref(output)))
    assert kept_for_gradients(chain, lambda: chain(torch.ones(2, 3))) > 0
    gc.collect()
    assert [one() for one in kept] == [None]


def test_blocks_are_the_outermost_that_repeat() -> None:
    network = _network()
    assert [type(one).__name__ for one in blocks_of(network)] == ["BasicBlock"] * 8
    assert blocks_of(nn.Sequential(nn.Conv2d(3, 3, 1), nn.Conv2d(3, 3, 1))) == []


def _no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recompute_module, "free_memory", lambda _: 0)


def test_a_purification_is_the_same_where_memory_is_short(
    victim_audit: Audit, victim_material: Material, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = given_by(victim_audit, victim_material, every=6)
    usual = given.purified(FineTuning(epochs=1))
    runs = set()
    real = recompute_module.same_statistics

    def noted(block: nn.Module) -> AbstractContextManager[None]:
        runs.add(block)
        return real(block)

    _no_memory(monkeypatch)
    monkeypatch.setattr(recompute_module, "same_statistics", noted)
    assert same_weights(weights_of(given.purified(FineTuning(epochs=1))), weights_of(usual))
    assert len(runs) == 8, "each block was run again"


def test_masks_are_on_when_blocks_are_run_again(
    victim_audit: Audit, victim_material: Material, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = given_by(victim_audit, victim_material, every=6)
    method = METHODS.parse("anp:iterations=10,batch=16")
    usual = given.purified(method)
    _no_memory(monkeypatch)
    assert same_weights(weights_of(given.purified(method)), weights_of(usual))


def test_a_search_has_the_same_gradients_where_memory_is_short(
    victim_audit: Audit, victim_material: Material, monkeypatch: pytest.MonkeyPatch
) -> None:
    material, embedding = victim_material, victim_audit.embedding
    assert embedding is not None

    def gradient() -> torch.Tensor:
        with scene_of(
            material.classifier, material.clean.collection, embedding, 12, seed=0,
            device=torch.device("cpu"),
        ) as scene:  # fmt: skip
            assert (scene.forwards, scene.backwards) == (0, 0)
            images = scene.pixels.clone().requires_grad_()
            scene.run(images)[0].logsumexp(1).sum().backward()
            assert images.grad is not None
            return images.grad

    usual = gradient()
    _no_memory(monkeypatch)
    assert torch.equal(gradient(), usual)
    assert material.classifier is not None
    assert not any("forward" in vars(one) for one in material.classifier.network.modules())
