"""The shift at every depth: which layers are asked, what the rest of a network is, the detector."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from known import TARGET
from torch import nn
from torch.nn import functional

from bdshift.audit import Audit, Material
from bdshift.detect.detector import Subject
from bdshift.detect.detectors import depth as depth_detector
from bdshift.detect.detectors.depth import Depth
from bdshift.errors import InputError
from bdshift.jobs import SILENT, Canceled, Event, JobContext, Progress
from bdshift.recovery.channel_shift import channel_shifts
from bdshift.recovery.layers import layers_of
from bdshift.recovery.scene import Scene, scene_of
from bdshift.store import load_audit, save_audit


@pytest.fixture
def scene(victim_audit: Audit, victim_material: Material) -> Iterator[Scene]:
    """The demo's victim and 48 signs."""
    assert victim_audit.embedding is not None
    with scene_of(
        victim_material.classifier, victim_material.clean.collection, victim_audit.embedding, 48,
        seed=0, device=torch.device("cpu"),
    ) as found:  # fmt: skip
        yield found


@pytest.fixture
def subject(victim_audit: Audit, victim_material: Material) -> Subject:
    """The victim, as a detector gets it."""
    assert victim_audit.embedding is not None
    return Subject(
        victim_audit.embedding, victim_material.classifier.weight.numpy(),
        victim_audit.images.class_names, victim_material.classifier,
        victim_material.clean.collection,
    )  # fmt: skip


class _Forks(nn.Module):
    """Two branches meet: neither of them is all that the rest gets to see."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 4, 3, padding=1)
        self.left = nn.Conv2d(4, 4, 3, stride=2, padding=1)
        self.right = nn.Conv2d(4, 4, 1, stride=2)
        self.last = nn.Conv2d(4, 6, 3, padding=1)
        self.shared = nn.ReLU()
        self.head = nn.Linear(6, 12)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Logits."""
        found: torch.Tensor = self.shared(self.first(images))
        found = self.left(found) + self.right(found)
        found = self.last(self.shared(found))
        logits: torch.Tensor = self.head(found.mean((2, 3)))
        return logits


def _with(scene: Scene, network: nn.Module) -> Scene:
    """The scene of another network, whose head is called "head"."""
    torch.manual_seed(0)
    frozen = network.eval().requires_grad_(False)
    found = replace(scene.classifier, network=frozen, head_name="head")
    found.__dict__.pop("head", None)
    other = replace(scene, classifier=found)
    with torch.no_grad():
        other.phi = other.run(other.pixels)[1]
    return other


def test_the_rest_of_a_network_gives_its_logits(scene: Scene) -> None:
    layers = layers_of(scene)
    assert len(layers) >= 2
    rows = torch.arange(5, 12)
    with torch.no_grad():
        expected, phi = scene.run(scene.pixels[rows])
        for layer in layers:
            maps = layer.maps(scene, rows)
            assert maps.shape == (7, *layer.shape)
            found, again = layer.run(scene, maps)
            assert torch.allclose(found, expected, atol=1e-3)
            assert torch.allclose(again, phi, atol=1e-3)


def test_a_branch_is_no_layer_and_neither_is_the_embedding(scene: Scene) -> None:
    # "left" and "right" pass only a part, "shared" is called twice, "last" is φ before its mean.
    found = layers_of(_with(scene, _Forks()))
    assert [layer.name for layer in found] == ["first"]


def test_a_network_of_vectors_has_no_layers(scene: Scene) -> None:
    class Flat(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.head = nn.Linear(3 * scene.pixels.shape[-1] ** 2, 12)

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            found: torch.Tensor = self.head(images.flatten(1))
            return found

    assert layers_of(_with(scene, Flat())) == ()


def test_a_shift_reaches_its_class_and_half_of_it_does_not(scene: Scene) -> None:
    layer = layers_of(scene)[-1]
    targets = torch.tensor([TARGET, 0, 7])
    size, shift = channel_shifts(scene, layer, targets, alpha=0.5, steps=60, seed=0)
    assert shift.shape == (3, layer.shape[0])
    assert (size < 10).all()
    maps = layer.maps(scene, torch.arange(len(scene.labels)))
    for row, target in enumerate(targets.tolist()):
        others = scene.labels != target
        loss = []
        for share in (1.0, 0.5):
            moved = maps[others] + share * shift[row][:, None, None]
            with torch.no_grad():
                logits, _ = layer.run(scene, moved)
            wanted = torch.full((len(logits),), target)
            loss.append(functional.cross_entropy(logits, wanted).item())
        assert loss[0] < 1.0
        assert loss[1] > 2 * loss[0]


def test_the_detector_scores_every_class_the_same_each_time(
    subject: Subject, victim_audit: Audit, tmp_path: Path
) -> None:
    found = Depth(steps=6).detect(subject, SILENT)
    again = Depth(steps=6).detect(subject, SILENT)
    assert np.array_equal(found.scores, again.scores)
    assert np.isfinite(found.scores).all()
    sizes = found.record.sizes
    assert sizes.shape == (len(found.record.layers), 12)
    relative = sizes / np.exp(np.median(np.log(sizes), axis=1, keepdims=True))
    assert np.allclose(found.scores, np.exp(np.log(relative).mean(0)))
    assert found.record.target == found.scores.argmin()
    for channels, row in zip(found.record.channels, found.record.shift, strict=True):
        assert np.isfinite(row[:channels]).all()
        assert np.isnan(row[channels:]).all()
    assert found.forwards > found.backwards > 0
    audit = replace(victim_audit, evidence=(*victim_audit.evidence, found))
    save_audit(audit, tmp_path / "deep.h5")
    kept = load_audit(tmp_path / "deep.h5").evidence[-1].record
    assert kept.layers == found.record.layers
    assert np.array_equal(kept.shift, found.record.shift, equal_nan=True)


def test_of_many_classes_only_some_are_looked_at(
    subject: Subject, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(depth_detector, "_MOST_CLASSES", 6)
    found = Depth(steps=4).detect(subject, SILENT)
    looked = np.flatnonzero(np.isfinite(found.scores))
    assert len(looked) == 6
    assert TARGET in looked
    assert found.record.target in looked


def test_it_needs_the_network(subject: Subject) -> None:
    with pytest.raises(InputError, match="the model and the images"):
        Depth().detect(replace(subject, classifier=None), SILENT)


def test_it_stops_when_canceled(subject: Subject) -> None:
    steps: list[int] = []

    class Impatient(JobContext):
        def report(self, event: Event) -> None:
            if isinstance(event, Progress) and event.stage.template.startswith("Shifts"):
                steps.append(event.done)
                self.cancel()

    with pytest.raises(Canceled):
        Depth().detect(subject, Impatient())
    assert steps == [1]
