"""What a search in input space works on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from checker_network import planted_subject
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from bdshift.checkpoints.classifier import Classifier
from bdshift.detect.detector import Subject
from bdshift.recovery.scene import scene_of

WIDTH = 8


class _Attention(nn.Module):
    """Attention over the columns of a picture, as torchvision's ViT has it."""

    def __init__(self, side: int) -> None:
        super().__init__()
        self.columns = nn.Conv2d(3, WIDTH, (side, 1))
        self.attention = nn.MultiheadAttention(WIDTH, 2, batch_first=True)
        self.head = nn.Linear(WIDTH, 4)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        tokens = self.columns(images)[:, :, 0].transpose(1, 2)
        return self.head(self.attention(tokens, tokens, tokens, need_weights=False)[0].mean(1))


class _Products(TorchDispatchMode):
    """Remembers the shapes of batches of products."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.shapes: set[tuple[int, ...]] = set()

    def __torch_dispatch__(
        self, function: Callable[..., Any], _types: object, args: Any = (), kwargs: Any = None
    ) -> Any:
        if function is torch.ops.aten.bmm.default:
            self.shapes.add(tuple(args[1].shape[1:]))
        return function(*args, **(kwargs or {}))


def _with_attention(subject: Subject) -> Classifier:
    torch.manual_seed(0)
    assert subject.classifier is not None
    network = _Attention(subject.classifier.preprocessing.size).requires_grad_(False).eval()
    return replace(subject.classifier, network=network, head_name="head")


def test_weights_of_attention_are_not_copied_for_every_token(tmp_path: Path) -> None:
    subject = planted_subject(tmp_path)
    classifier = _with_attention(subject)
    attention = classifier.network.get_submodule("attention")
    projection = (WIDTH, 3 * WIDTH)

    def products(images: torch.Tensor) -> set[tuple[int, ...]]:
        with _Products() as seen:
            classifier.network(images.clone().requires_grad_())
        return seen.shapes

    with scene_of(
        classifier, subject.collection, subject.embedding, 8, seed=0, device=torch.device("cpu")
    ) as scene:
        assert projection not in products(scene.pixels)
        images = scene.pixels.clone().requires_grad_()
        logits, _ = scene.run(images)
        (gradient,) = torch.autograd.grad(logits.sum(), images)
        assert gradient.abs().sum() > 0
        assert all(one.grad is None for one in attention.parameters())
        pixels = scene.pixels
    assert projection in products(pixels), "torch needs no such help any more"
    assert not any(one.requires_grad for one in attention.parameters())
