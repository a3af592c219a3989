"""Feature maps before pooling."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from bdshift.audit import ScanSettings, reopen, scan
from bdshift.errors import InputError
from bdshift.images.decode import decode_image
from bdshift.neurons.spatial import feature_maps
from bdshift.triggers import parse_trigger

STICKER = "badnets:size=4,color=ffd800,row=20,column=14"


def test_a_backdoor_neuron_looks_at_the_sticker(victim: Path, signs: Path) -> None:
    audit = scan(victim, signs, ScanSettings(sample=120))
    classifier, clean = reopen(audit)
    pixels = torch.from_numpy(
        np.stack([decode_image(clean.collection.read(file), 32) for file in clean.files[:24]])
    )
    preprocess = classifier.preprocessing
    assert preprocess is not None
    triggered = parse_trigger(STICKER)(pixels.float())
    maps = feature_maps(classifier, preprocess(triggered))
    assert maps.shape == (24, 128, 4, 4)
    phi, _ = classifier.embed(preprocess(triggered))
    assert np.allclose(maps.mean((2, 3)), phi.numpy(), atol=1e-4)
    neuron = int(audit.shifts.shift[9].argmax())
    mean = maps[:, neuron].mean(0)
    row, column = np.unravel_index(mean.argmax(), mean.shape)
    assert (int(row), int(column)) in {(2, 1), (2, 2), (3, 1), (3, 2)}  # rows 20–23, columns 14–17


def test_a_network_that_does_not_pool(victim: Path, signs: Path) -> None:
    classifier, _ = reopen(scan(victim, signs, ScanSettings(sample=60)))
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(4 * 30 * 30, 3)).eval()
    odd = replace(classifier, network=network, head_name="2")
    with pytest.raises(InputError, match="not the mean of a map"):
        feature_maps(odd, torch.zeros(1, 3, 32, 32))
