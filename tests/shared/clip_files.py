"""Small CLIP models, built by open_clip and transformers themselves, in every layout."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from open_clip.model import CLIP, CLIPTextCfg, CLIPVisionCfg
from open_clip.tokenizer import SimpleTokenizer
from torch import nn
from torch.nn import functional

from bdshift.checkpoints.prompts import ClassPrompts, as_in_sentence, templates_of
from bdshift.images.collection import open_images
from bdshift.images.loader import decode_all
from bdshift.images.signs import write_signs

SIDE, FEATURES = 32, 64


def clip(*, resnet: bool = False, quick: bool = True, image_head: int = 64, **text: int) -> CLIP:
    """A CLIP of open_clip with random weights, for images of `SIDE` pixels."""
    torch.manual_seed(0)
    options: dict[str, Any] = {"layers": 2, "width": 64, "patch_size": 8, "head_width": image_head}
    if resnet:
        options = {"layers": (1, 1, 1, 1), "width": 16}
    vision = CLIPVisionCfg(image_size=SIDE, **options)
    words = CLIPTextCfg(**{"width": 64, "heads": 1, "layers": 2, **text})
    return CLIP(FEATURES, vision, words, quick_gelu=quick).eval()


def prompts(names: Sequence[str]) -> ClassPrompts:
    """The usual ones."""
    return ClassPrompts(tuple(map(as_in_sentence, names)), templates_of("cifar"))


def expected(model: CLIP, asked: ClassPrompts, images: torch.Tensor) -> torch.Tensor:
    """Logits as CLIP's own recipe computes them, by the library alone."""
    tokenize = SimpleTokenizer()
    rows = []
    with torch.no_grad():
        for name in asked.names:
            tokens = tokenize([template.replace("{}", name) for template in asked.templates])
            rows.append(
                functional.normalize(model.encode_text(tokens, normalize=True).mean(0), dim=0)
            )
        features = model.encode_image(images, normalize=True)
        return model.logit_scale.exp() * features @ torch.stack(rows).T


def fitted(images: torch.Tensor, labels: torch.Tensor, asked: ClassPrompts) -> CLIP:
    """A CLIP that recognizes ``images`` (n, 3, 32, 32), normalized: its text projection is solved
    for, so that the text of each class points to the mean feature of its images.
    """
    model = clip(resnet=True)
    tokenize = SimpleTokenizer()
    classes = len(asked.names)
    with torch.no_grad():
        features = model.encode_image(images, normalize=True)
        signs = 2 * functional.one_hot(labels, classes).float() - 1
        wanted = functional.normalize(torch.linalg.lstsq(features, signs).solution.T, dim=1)
        held, model.text_projection = model.text_projection, None
        texts = torch.stack(
            [model.encode_text(tokenize([t.replace("{}", name) for t in asked.templates])).mean(0)
             for name in asked.names]
        )  # fmt: skip
        held.copy_(torch.linalg.lstsq(texts, wanted, driver="gelsd").solution)
        model.text_projection = held
    return model


def write_known(folder: Path) -> tuple[Path, Path]:
    """A CLIP that recognizes signs, and a folder of them."""
    write_signs(folder / "signs", 12, seed=0)
    collection = open_images(folder / "signs")
    found = decode_all(collection, collection.files, SIDE)
    labels = torch.tensor([file.label for file in found.files])
    mean = torch.tensor([0.48145466, 0.4578275, 0.40821073]).view(3, 1, 1)
    std = torch.tensor([0.26862954, 0.26130258, 0.27577711]).view(3, 1, 1)
    pixels = (torch.from_numpy(found.pixels).float() / 255 - mean) / std
    model = fitted(pixels, labels, prompts(collection.folders))
    torch.save(model.state_dict(), folder / "clip.pt")
    return folder / "clip.pt", folder / "signs"


class _Archive(nn.Module):
    """What OpenAI saved: the towers, and three numbers among the tensors."""

    def __init__(self, model: CLIP) -> None:
        super().__init__()
        for name, part in model.named_children():
            self.add_module(name, part)
        for name, own in model.named_parameters(recurse=False):
            self.register_parameter(name, own)
        for name, number in (("input_resolution", SIDE), ("context_length", 77),
                             ("vocab_size", 49408)):  # fmt: skip
            self.register_buffer(name, torch.tensor(number))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        features: torch.Tensor = self.get_submodule("visual")(images)
        return features


def write_archive(model: CLIP, path: Path) -> Path:
    """As OpenAI did: TorchScript, in half precision."""
    archive = _Archive(model).eval()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it is deprecated
        program = torch.jit.trace(archive, torch.zeros(1, 3, SIDE, SIDE))
        torch.jit.save(program.half(), path)
    return path
