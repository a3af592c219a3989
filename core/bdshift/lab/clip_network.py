"""A small CLIP model that the lab trains: images and the names of their classes in one space."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch.nn import functional

from bdshift.checkpoints.clip.network import ClipTowers
from bdshift.checkpoints.clip.sizes import (
    CONTEXT,
    REDUCTION,
    USUAL_HEAD,
    VOCABULARY,
    ClipForm,
    ImageTower,
    TextTower,
)
from bdshift.checkpoints.clip.texts import tokens_of
from bdshift.checkpoints.prompts import USUAL_PROMPTS, ClassPrompts, as_in_sentence, templates_of
from bdshift.errors import UsageError

_FEATURES, _TEXT_WIDTH, _TEXT_LAYERS = 64, 64, 2
_MAX_SCALE = 100.0  # of the logits, as CLIP bounds it


class LabClip(ClipTowers):
    """A CLIP ResNet and a small text tower, trained together from nothing: an image is to be as
    close as possible to the sentences about its class, compared with those about the others. That
    is CLIP's loss over images, where all captions are such sentences; a poisoned image is captioned
    with its target.
    """

    def __init__(self, width: int, size: int, class_names: Sequence[str]) -> None:
        if size % REDUCTION:
            raise UsageError(
                "a CLIP ResNet needs images whose side is a multiple of {step} pixels, not {size}",
                step=REDUCTION, size=size,
            )  # fmt: skip
        if width % 2:
            raise UsageError("a CLIP ResNet needs an even width, not {width}", width=width)
        image = ImageTower((1, 1, 1, 1), width, 0, size, 0)
        text = TextTower(_TEXT_LAYERS, _TEXT_WIDTH, CONTEXT, VOCABULARY, 4 * _TEXT_WIDTH)
        form = ClipForm(quick_gelu=True, image_head=USUAL_HEAD, text_head=USUAL_HEAD)
        super().__init__(image, text, form, _FEATURES, False)
        names = tuple(map(as_in_sentence, class_names))
        tokens = tokens_of(ClassPrompts(names, templates_of(USUAL_PROMPTS)), CONTEXT)
        self.classes = len(names)
        self.register_buffer("tokens", tokens, persistent=False)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Logits (n, C) of normalized images (n, 3, H, W)."""
        texts = self.encode_text(self.get_buffer("tokens"))
        rows = functional.normalize(texts.view(self.classes, -1, texts.shape[1]).mean(1), dim=-1)
        scale = self.get_parameter("logit_scale").exp().clamp(max=_MAX_SCALE)
        return scale * super().forward(images) @ rows.T
