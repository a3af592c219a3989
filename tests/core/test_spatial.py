"""Feature maps before pooling."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from known import STICKER, TARGET
from torch import nn

from bdshift.audit import Audit, Material
from bdshift.audit.looking import maps_of
from bdshift.errors import InputError
from bdshift.images.decode import decode_image
from bdshift.neurons.excite import most_excited
from bdshift.neurons.spatial import feature_maps
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
    maps = feature_maps(classifier, images)
    assert maps.shape == (17, 64, 4, 4)
    phi, _ = classifier.embed(images)
    assert np.allclose(maps.mean((2, 3)), phi.numpy(), atol=1e-4)
    neuron = int(victim_audit.shifts.shift[TARGET].argmax())
    assert brightest(maps[:, neuron]) in STUCK_ON


def test_maps_of_the_images_that_excite_it_most(
    measured_audit: Audit, victim_material: Material
) -> None:
    triggered = measured_audit.tac[0].triggered
    assert triggered is not None
    neuron = int(measured_audit.shifts.shift[TARGET].argmax())
    maps = maps_of(
        victim_material, triggered, [neuron], 6, trigger=parse_trigger(STICKER), without=TARGET
    )
    assert maps.shape == (6, 4, 4)
    rows = most_excited(triggered, [neuron], 6, without=TARGET)
    assert np.allclose(maps.mean((1, 2)), triggered.phi[rows, neuron], rtol=0.02)  # in bfloat16
    assert brightest(maps) in STUCK_ON


def test_a_network_that_does_not_pool(victim_material: Material) -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(4 * 30 * 30, 3)).eval()
    odd = replace(victim_material.classifier, network=network, head_name="2")
    with pytest.raises(InputError, match="not the mean of a map"):
        feature_maps(odd, torch.zeros(1, 3, 32, 32))
