"""Feature maps before pooling."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
import torchvision
from known import STICKER, TARGET
from torch import nn

from bdshift.audit import Audit, Material
from bdshift.audit.looking import maps_of
from bdshift.checkpoints.classifier import Classifier
from bdshift.errors import InputError
from bdshift.images.decode import decode_image
from bdshift.neurons.excite import most_excited
from bdshift.neurons.spatial import neuron_maps
from bdshift.triggers import parse_trigger

STUCK_ON = {(2, 1), (2, 2), (3, 1), (3, 2)}
"""Cells of a 4×4 map where the sticker is: rows 20 to 23, columns 14 to 17 of 32 pixels."""


def brightest(maps: np.ndarray) -> tuple[int, int]:
    """Row and column of the largest value of the maps' mean."""
    mean = maps.mean(0)
    row, column = np.unravel_index(mean.argmax(), mean.shape)
    return int(row), int(column)


def test_a_backdoor_neuron_looks_at_the_sticker(
    victim_audit: Audit, victim_material: Material
) -> None:
    classifier, clean = victim_material.classifier, victim_material.clean
    pixels = torch.from_numpy(
        np.stack([decode_image(clean.collection.read(file), 32) for file in clean.files[::20]])
    )
    images = classifier.preprocessing(parse_trigger(STICKER)(pixels.float()))
    neuron = int(victim_audit.shifts.shift[TARGET].argmax())
    maps = neuron_maps(classifier, images, [neuron])
    assert maps.kind == "pooled"
    assert maps.values.shape == (17, 4, 4)
    phi, _ = classifier.embed(images)
    assert np.allclose(maps.values.mean((1, 2)), phi[:, neuron].numpy(), atol=1e-4)
    assert brightest(maps.values) in STUCK_ON
    both = neuron_maps(classifier, images, [neuron, 3]).values
    alone = neuron_maps(classifier, images, [3]).values
    assert np.allclose(both, (maps.values + alone) / 2, atol=1e-5)


def test_maps_of_the_images_that_excite_it_most(
    measured_audit: Audit, victim_material: Material
) -> None:
    triggered = measured_audit.tac[0].triggered
    assert triggered is not None
    neuron = int(measured_audit.shifts.shift[TARGET].argmax())
    rows = most_excited(triggered, [neuron], 11, without=TARGET)
    maps = maps_of(
        victim_material, triggered, [neuron], rows, trigger=parse_trigger(STICKER)
    ).values
    assert maps.shape == (11, 4, 4), "more than one batch"
    assert np.allclose(maps.mean((1, 2)), triggered.phi[rows, neuron], rtol=0.02)  # in bfloat16
    assert brightest(maps) in STUCK_ON


# --- networks whose embedding is no mean of a map


def classifier_of(network: nn.Module, head: str, like: Classifier) -> Classifier:
    for one in network.parameters():
        one.requires_grad_(False)
    return replace(like, network=network.eval(), head_name=head)


class Tokens(nn.Module):
    """Cuts images of 8×8 pixels into 2×2 patches, whose mean colors are the last tokens' values;
    the first token, which the head gets, is their mean.
    """

    def __init__(self, swapped: bool) -> None:
        super().__init__()
        self.embed, self.norm, self.head = nn.AvgPool2d(4), nn.Identity(), nn.Linear(3, 2)
        self.swapped = swapped

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        patches = self.embed(images).flatten(2).transpose(1, 2)
        tokens = torch.cat((patches.mean(1, keepdim=True), patches), 1)
        found = self.norm(tokens.transpose(0, 1) if self.swapped else tokens)
        first: torch.Tensor = found[0] if self.swapped else found[:, 0]
        out: torch.Tensor = self.head(first)
        return out


@pytest.mark.parametrize("swapped", [False, True])
def test_tokens_of_patches(victim_material: Material, swapped: bool) -> None:
    found = classifier_of(Tokens(swapped), "head", victim_material.classifier)
    images = torch.zeros(3, 3, 8, 8)
    images[:, 1, 4:, :4] = 1.0  # green in the lower left
    maps = neuron_maps(found, images, [1])
    assert maps.values.shape == (3, 2, 2)
    assert maps.values[0].tolist() == [[0.0, 0.0], [1.0, 0.0]]


def test_a_vision_transformer(victim_material: Material) -> None:
    network = torchvision.models.VisionTransformer(32, 8, 2, 2, 24, 48, num_classes=5)
    found = classifier_of(network, "heads.head", victim_material.classifier)
    maps = neuron_maps(found, torch.randn(2, 3, 32, 32), [1, 5])
    assert (maps.kind, maps.values.shape) == ("tokens", (2, 4, 4))


def test_channels_last(victim_material: Material) -> None:
    network = torchvision.models.SwinTransformer(
        [2, 2], 8, [1, 1], [2, 2], [2, 2], num_classes=5, stochastic_depth_prob=0.0
    )
    found = classifier_of(network, "head", victim_material.classifier)
    maps = neuron_maps(found, torch.randn(2, 3, 16, 16), [1])
    assert (maps.kind, maps.values.shape) == ("pooled", (2, 4, 4))


def test_grad_cam_where_nothing_is_pooled(victim_material: Material) -> None:
    convolution, linear = nn.Conv2d(3, 4, 3), nn.Linear(4 * 6 * 6, 3, bias=False)
    network = nn.Sequential(convolution, nn.Flatten(), linear, nn.Linear(3, 2))
    with torch.no_grad():
        convolution.weight.zero_()
        convolution.weight[2, 1, 1, 1] = 1  # its third channel is the green of the image
        assert convolution.bias is not None
        convolution.bias.zero_()
        linear.weight.zero_()
        linear.weight[1, 2 * 36 : 3 * 36] = 1
    found = classifier_of(network, "3", victim_material.classifier)
    images = torch.zeros(1, 3, 8, 8)
    images[0, 1, 5, 3] = 1.0
    maps = neuron_maps(found, images, [1])
    assert (maps.kind, maps.values.shape) == ("gradient", (1, 6, 6))
    assert np.argwhere(maps.values[0]).tolist() == [[4, 2]]
    off = neuron_maps(found, images, [0])  # nothing leads to it
    assert (off.kind, off.values.shape) == ("gradient", (1, 6, 6))
    assert not off.values.any()


def test_a_network_without_places(victim_material: Material) -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(192, 8), nn.Linear(8, 3))
    found = classifier_of(network, "2", victim_material.classifier)
    with pytest.raises(InputError, match="none of its layers has places"):
        neuron_maps(found, torch.zeros(1, 3, 8, 8), [1])


def test_a_network_that_changes_its_input(victim_material: Material) -> None:
    class InPlace(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.head = nn.Conv2d(3, 4, 3), nn.Linear(4, 2)

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            images -= 0.5
            out: torch.Tensor = self.head(self.conv(images).amax((2, 3)))
            return out

    found = classifier_of(InPlace(), "head", victim_material.classifier)
    images = torch.rand(2, 3, 8, 8)
    kept = images.clone()
    assert neuron_maps(found, images, [1]).kind == "gradient"
    assert torch.equal(images, kept)
