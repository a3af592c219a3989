"""What a search in input space works on: a frozen network, some clean images, and what is known of
them.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import nn

from bdshift.checkpoints.classifier import Classifier, to_head
from bdshift.checkpoints.footprint import interruptible, largest_batch
from bdshift.checkpoints.recompute import fits_with_gradients, kept_for_gradients, recompute
from bdshift.devices import autocast
from bdshift.errors import InputError
from bdshift.images.collection import ImageCollection
from bdshift.images.loader import decode_all
from bdshift.jobs import SILENT, JobContext
from bdshift.shift.embed import Embedding

# Images that go through the network at a time; more are slower on a CPU, by a tenth to a quarter.
_MAX_BATCH, _MAX_BATCH_OF_GPU = 256, 1024


@dataclass
class Scene:
    """The classifier as a differentiable function of images in [0, 1], and images for it.

    Attributes:
        classifier: it is not changed.
        pixels: float32 (N, 3, s, s) in [0, 1], RGB, on ``device``.
        labels: int64 (N,).
        phi: their clean embedding, float32 (N, d).
        predicted: class that each clean image is sent to, int64 (N,).
        precision: of the network's convolutions.
        batch: images at a time.
        job: progress and cancellation.
        forwards, backwards: images that have gone through the network in each direction.
    """

    classifier: Classifier
    pixels: torch.Tensor
    labels: torch.Tensor
    phi: torch.Tensor
    predicted: torch.Tensor
    precision: str
    batch: int
    job: JobContext = SILENT
    forwards: int = field(default=0)
    backwards: int = field(default=0)

    @property
    def classes(self) -> int:
        """Number of classes C."""
        return self.classifier.classes

    @property
    def device(self) -> torch.device:
        """Where everything is."""
        return self.pixels.device

    @property
    def side(self) -> int:
        """Height and width of the images."""
        return self.pixels.shape[-1]

    def run(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Logits (n, C) and φ (n, d), float32, of images (n, 3, s, s) in [0, 1], with gradients to
        the images if those are enabled.
        """
        one = self.classifier
        with autocast(self.device, self.precision):
            caught, _ = to_head(one.network, one.head, one.preprocessing(images * 255.0))
        phi = caught[0].float()
        self.count(len(images))
        return torch.addmm(one.bias.to(self.device), phi, one.weight.to(self.device).T), phi

    def count(self, images: int) -> None:
        """Note that so many images went through the network, or through its rest."""
        self.forwards += images
        self.backwards += images if torch.is_grad_enabled() else 0

    def rows(self, count: int, step: int, seed: int) -> torch.Tensor:
        """Rows of the ``count`` images of a step, int64: every image comes once before any comes
        again, in an order that the seed decides.
        """
        total = len(self.labels)
        place = step * count
        rows: list[int] = []
        while len(rows) < min(count, total):
            turn, offset = divmod(place + len(rows), total)
            rng = torch.Generator().manual_seed(seed * 1_000_003 + turn)
            order = torch.randperm(total, generator=rng)
            rows += order[offset : offset + count - len(rows)].tolist()
        return torch.tensor(rows, device=self.device)

    def part(self, rows: torch.Tensor) -> Scene:
        """The same with some of the images."""
        return Scene(
            self.classifier, self.pixels[rows], self.labels[rows], self.phi[rows],
            self.predicted[rows], self.precision, self.batch, self.job,
        )  # fmt: skip

    def halves(self) -> tuple[Scene, Scene]:
        """Every other image of each class, and the rest."""
        order = self.labels.argsort(stable=True)
        return self.part(order[::2].sort().values), self.part(order[1::2].sort().values)


@contextmanager
def scene_of(
    classifier: Classifier | None,
    collection: ImageCollection | None,
    embedding: Embedding,
    count: int,
    *,
    seed: int,
    device: torch.device,
    job: JobContext = SILENT,
) -> Iterator[Scene]:
    """A scene with ``count`` of the embedded images, as many of every class as there are, those
    first that the network classifies as labeled. Within it, the network can be interrupted.

    Raises `InputError` without the network or the images.
    """
    if classifier is None or collection is None:
        raise InputError("the model and the images themselves are needed, not only the audit")
    chosen = _stratified(embedding.logits.argmax(1), embedding.labels, count, seed)
    plain = classifier.preprocessing
    decoded = decode_all(
        collection, [embedding.files[row] for row in chosen], plain.size, framing=plain.framing,
        job=job,
    )  # fmt: skip
    there = set(decoded.files)
    rows = np.array([row for row in chosen if embedding.files[row] in there])
    most = _MAX_BATCH if device.type == "cpu" else _MAX_BATCH_OF_GPU
    network = classifier.network.to(device).to(memory_format=torch.channels_last)
    with interruptible(network, job), _quick_attention(network):
        scene = Scene(
            classifier,
            torch.from_numpy(decoded.pixels).to(device).float() / 255,
            torch.from_numpy(embedding.labels[rows]).to(device),
            torch.from_numpy(embedding.phi[rows]).to(device),
            torch.from_numpy(embedding.logits[rows].argmax(1)).to(device),
            embedding.precision,
            largest_batch(network, plain.size, device, most, plain.channels),
            job,
        )
        with _in_memory(scene, network):
            yield scene


@contextmanager
def _quick_attention(network: nn.Module) -> Iterator[None]:
    """Say that gradients of attention's projections are wanted, though nobody asks for them: else
    torch copies their weights for every token. ViT-B/16 in bfloat16, forward and back: 0.54 s of a
    core an image instead of 4.1.
    """
    projections = [
        one.in_proj_weight for one in network.modules()
        if isinstance(one, nn.MultiheadAttention) and one.in_proj_weight is not None
    ]  # fmt: skip
    before = [one.requires_grad for one in projections]
    for one in projections:
        one.requires_grad_(True)
    try:
        yield
    finally:
        for one, wanted in zip(projections, before, strict=True):
            one.requires_grad_(wanted)


@contextmanager
def _in_memory(scene: Scene, network: nn.Module) -> Iterator[None]:
    """Have the network's blocks computed again on the way back, if memory cannot hold them all."""
    one = scene.pixels[:1].clone().requires_grad_()
    kept = kept_for_gradients(network, lambda: scene.run(one)[0])
    scene.forwards = scene.backwards = 0  # this was no part of a search
    if fits_with_gradients(kept, scene.batch, scene.device):
        yield
        return
    end = recompute(network)
    try:
        yield
    finally:
        end()


def _stratified(predicted: np.ndarray, labels: np.ndarray, count: int, seed: int) -> np.ndarray:
    """``count`` rows, int64, as many of every class as there are: in turn one of each class."""
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(labels))
    order = order[np.argsort(predicted[order] != labels[order], kind="stable")]
    rank = np.empty(len(labels), dtype=np.int64)
    for one in np.unique(labels):
        rows = order[labels[order] == one]
        rank[rows] = np.arange(len(rows))
    return order[np.argsort(rank[order], kind="stable")][:count]
