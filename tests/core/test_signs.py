"""The drawn data set: the same from the same seed, and hard enough to mean something."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from bdshift.checkpoints.classifier import open_checkpoint
from bdshift.errors import UsageError
from bdshift.images.preprocessing import Preprocessing, parse_normalization
from bdshift.images.sign_faces import FACES, SIZE, Face
from bdshift.images.signs import CLASSES, draw_signs, sign_classes
from bdshift.jobs import Canceled, JobContext


def test_classes_are_in_folder_order() -> None:
    assert len(CLASSES) == 12
    assert list(CLASSES) == sorted(CLASSES)


def test_there_are_a_thousand_classes_that_look_different() -> None:
    """Without a background or light, no two faces are the same picture."""
    names = sign_classes(1000)
    assert len(set(names)) == 1000
    assert set(sign_classes(100)) < set(names)
    pictures = set()
    for name in names:
        face = Face(lambda color: color)
        FACES[name](face)
        pictures.add(face.image.tobytes())
    assert len(pictures) == 1000
    with pytest.raises(UsageError, match="2 to 1,052 classes, not 1,053"):
        sign_classes(1053)


def test_the_same_seed_draws_the_same_signs() -> None:
    images, labels = draw_signs(3, seed=7)
    assert images.shape == (36, 3, SIZE, SIZE)
    assert images.dtype == np.uint8
    assert labels.tolist() == np.repeat(np.arange(12), 3).tolist()
    assert np.array_equal(images, draw_signs(3, seed=7)[0])
    more = draw_signs(5, seed=7)[0].reshape(12, 5, 3, SIZE, SIZE)
    assert np.array_equal(images.reshape(12, 3, 3, SIZE, SIZE), more[:, :3])
    assert not np.array_equal(images, draw_signs(3, seed=8)[0])


def test_the_splits_share_nothing() -> None:
    splits = [draw_signs(4, seed=0, split=split)[0] for split in ("train", "test", "clean")]
    everything = np.concatenate(splits).reshape(3 * 48, -1)
    assert len(np.unique(everything, axis=0)) == len(everything)


def test_drawing_can_be_canceled() -> None:
    job = JobContext()
    job.cancel()
    with pytest.raises(Canceled):
        draw_signs(1, job=job)


@pytest.mark.slow
def test_a_linear_model_stays_well_below_the_demo_network(clean_twin: Path) -> None:
    x, y = draw_signs(150, seed=0)
    x_test, y_test = draw_signs(25, seed=0, split="test")
    flat, flat_test = (v.reshape(len(v), -1) / 255.0 for v in (x, x_test))
    mean, std = flat.mean(0), flat.std(0)
    flat, flat_test = (flat - mean) / std, (flat_test - mean) / std
    best = 0.0
    for ridge in (1e2, 1e3, 1e4):  # the best of them, chosen on the test images: to its advantage
        dual = np.linalg.solve(flat @ flat.T + ridge * np.eye(len(flat)), np.eye(12)[y])
        best = max(best, float(((flat_test @ (flat.T @ dual)).argmax(1) == y_test).mean()))
    opened = open_checkpoint(clean_twin)
    network = opened.load(opened.candidates[0]).network
    with torch.inference_mode():
        images = Preprocessing(32, parse_normalization("half"))(torch.from_numpy(x_test))
        cnn = float((network(images).argmax(1).numpy() == y_test).mean())
    assert cnn > 0.97
    assert best < 0.75
