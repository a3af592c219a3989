"""A CLIP model as a network of open_clip, with its tensors under the names of the file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from bdshift.checkpoints.clip.sizes import ClipForm, ImageTower, TextTower
from bdshift.checkpoints.clip.tensor_names import from_hugging_face, to_hugging_face


class _NamedAsInFile(nn.Module):
    """Its state dict has the names and forms that Hugging Face gives them, if ``hugging_face``."""

    def __init__(self, hugging_face: bool) -> None:
        super().__init__()
        self.hugging_face = hugging_face

    def state_dict(self, *args: Any, **kwargs: Any) -> Any:
        own = super().state_dict(*args, **kwargs)
        if not self.hugging_face:
            return own
        named = to_hugging_face(own)
        return type(own)(named)

    def load_state_dict(self, state_dict: Mapping[str, Any], *args: Any, **kwargs: Any) -> Any:
        if self.hugging_face:
            state_dict = from_hugging_face(state_dict)
        return super().load_state_dict(state_dict, *args, **kwargs)


class ClipTowers(_NamedAsInFile):
    """Both towers and the scale of the logits, as stored."""

    def __init__(
        self, image: ImageTower, text: TextTower, form: ClipForm, d: int, hf: bool
    ) -> None:
        super().__init__(hf)
        from open_clip.model import CLIP, CLIPTextCfg

        cfg = CLIPTextCfg(
            context_length=text.context, vocab_size=text.vocabulary, width=text.width,
            heads=text.width // form.text_head, layers=text.layers,
            mlp_ratio=text.mlp / text.width,
        )  # fmt: skip
        made = CLIP(d, _vision_config(image, form), cfg, quick_gelu=form.quick_gelu)
        for name, part in made.named_children():
            self.add_module(name, part)
        for name, own in made.named_parameters(recurse=False):
            self.register_parameter(name, own)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Features (n, d) of images, of length 1."""
        return functional.normalize(self.get_submodule("visual")(images), dim=-1)

    def encode_text(self, tokens: torch.Tensor) -> torch.Tensor:
        """Features (n, d), of length 1, of texts as int64 tokens (n, length), each of which ends in
        the token with the highest number. What is behind it is not looked at, so texts may be cut
        to the longest of them.
        """
        length = tokens.shape[1]
        mask = torch.full((length, length), float("-inf")).triu_(1)
        parts: Any = self
        x = parts.token_embedding(tokens) + parts.positional_embedding[:length]
        x = parts.ln_final(parts.transformer(x, attn_mask=mask))
        ends = x[torch.arange(len(tokens)), tokens.argmax(1)]
        return functional.normalize(ends @ parts.text_projection, dim=-1)


class NamedHead(nn.Linear):
    """A head made of the names of the classes: ``weight`` (C, d). It is no parameter, so that
    nothing learns another one, and the image tower stays that of a CLIP model for any classes.
    """

    def __init__(self, weight: torch.Tensor) -> None:
        with torch.device("meta"):
            super().__init__(weight.shape[1], len(weight), bias=False)
        del self.weight
        self.register_buffer("weight", weight)


class ZeroShot(_NamedAsInFile):
    """An image tower whose feature, at length 1, goes to a linear ``head``."""

    def __init__(self, visual: nn.Module, head: nn.Linear, hugging_face: bool) -> None:
        super().__init__(hugging_face)
        self.visual = visual
        self.head = head

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Logits (n, C) of normalized images (n, 3, H, W)."""
        features = functional.normalize(self.visual(images), dim=-1)
        logits: torch.Tensor = self.head(features)
        return logits


def build_with_head(
    image: ImageTower, form: ClipForm, d: int, classes: int, bias: bool, hf: bool
) -> ZeroShot:
    """An image tower with the head of a file that has one."""
    from open_clip.model import _build_vision_tower

    visual = _build_vision_tower(d, _vision_config(image, form), form.quick_gelu, None)
    return ZeroShot(visual, nn.Linear(d, classes, bias=bias), hf)


def with_rows(towers: nn.Module, rows: torch.Tensor) -> ZeroShot:
    """The classifier whose head has the text features ``rows`` (C, d), of length 1, as its rows,
    times the scale of the logits. It has no text tower.
    """
    assert isinstance(towers, ClipTowers)
    scale = towers.get_parameter("logit_scale").detach().float().exp()
    made = ZeroShot(towers.get_submodule("visual"), NamedHead(rows * scale), towers.hugging_face)
    return made.eval()


def _vision_config(image: ImageTower, form: ClipForm) -> Any:
    from open_clip.model import CLIPVisionCfg

    options: dict[str, Any] = {"patch_size": image.patch, "mlp_ratio": image.mlp / image.width}
    if image.layer_scale:
        options["ls_init_value"] = 1.0
    return CLIPVisionCfg(
        layers=image.layers, width=image.width, head_width=form.image_head,
        image_size=image.image, **(options if image.patch else {}),
    )  # fmt: skip
