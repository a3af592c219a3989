"""The sizes of a CLIP model, read from its tensors' shapes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from bdshift.checkpoints.families.base import Shapes, are_plausible, count_blocks
from bdshift.images.preprocessing import MAX_SIZE

_HEAD_WIDTHS = {1280: 80, 1408: 88, 1664: 104}
"""Numbers per head in published image towers of these widths; 64 in all others."""

USUAL_HEAD = 64
"""Numbers per attention head of most published models."""

CONTEXT, VOCABULARY = 77, 49408
"""Tokens of CLIP's texts, at most, and of its tokenizer."""

REDUCTION = 32
"""Pixels of an image for each point of a CLIP ResNet's grid, along one axis."""

_MAX_CONTEXT, _MAX_VOCABULARY = 1024, 1_000_000


@dataclass(frozen=True)
class ImageTower:
    """``layers`` is a number, or four for a CLIP ResNet, whose ``patch`` is 0; ``mlp`` is the
    width of the hidden layers, ``image`` the side of the images in pixels.
    """

    layers: int | tuple[int, int, int, int]
    width: int
    patch: int
    image: int
    mlp: int
    layer_scale: bool = False

    @property
    def attention_width(self) -> int:
        """Numbers that the attention heads share."""
        return self.width if self.patch else REDUCTION * self.width

    @property
    def head_width(self) -> int:
        """Numbers per attention head, as published models have them."""
        return _HEAD_WIDTHS.get(self.width, USUAL_HEAD)


@dataclass(frozen=True)
class TextTower:
    """Sizes of the text tower; ``context`` is in tokens."""

    layers: int
    width: int
    context: int
    vocabulary: int
    mlp: int

    @property
    def head_width(self) -> int:
        """Numbers per attention head, as published models have them."""
        return USUAL_HEAD


def image_tower(shapes: Shapes) -> ImageTower | None:
    """The image tower with these shapes, under our names; None if there is none."""
    return _vision_transformer(shapes) or _resnet(shapes)


def _vision_transformer(shapes: Shapes) -> ImageTower | None:
    conv = shapes.get("visual.conv1.weight", ())
    positions = shapes.get("visual.positional_embedding", ())
    block = "visual.transformer.resblocks.{}."
    layers = count_blocks(shapes, block)
    mlp = shapes.get(block.format(0) + "mlp.c_fc.weight", ())
    if len(conv) != 4 or len(positions) != 2 or len(mlp) != 2 or not are_plausible(layers, shapes):
        return None
    grid = math.isqrt(max(0, positions[0] - 1))
    image = grid * conv[2]
    if grid * grid + 1 != positions[0] or not 0 < image <= MAX_SIZE or conv[2] != conv[3]:
        return None
    scaled = block.format(0) + "ls_1.gamma" in shapes
    return ImageTower(layers, conv[0], conv[2], image, mlp[0], scaled)


def _resnet(shapes: Shapes) -> ImageTower | None:
    positions = shapes.get("visual.attnpool.positional_embedding", ())
    conv = shapes.get("visual.layer1.0.conv1.weight", ())
    one, two, three, four = (
        count_blocks(shapes, f"visual.layer{stage}.{{}}.") for stage in (1, 2, 3, 4)
    )
    layers = one, two, three, four
    if len(positions) != 2 or len(conv) != 4 or not all(are_plausible(n, shapes) for n in layers):
        return None
    grid = math.isqrt(max(0, positions[0] - 1))
    if grid * grid + 1 != positions[0] or not 0 < grid * REDUCTION <= MAX_SIZE:
        return None
    return ImageTower(layers, conv[0], 0, grid * REDUCTION, 0)


def text_tower(shapes: Shapes) -> TextTower | None:
    """The text tower with these shapes, under our names; None if there is none."""
    tokens = shapes.get("token_embedding.weight", ())
    positions = shapes.get("positional_embedding", ())
    layers = count_blocks(shapes, "transformer.resblocks.{}.")
    mlp = shapes.get("transformer.resblocks.0.mlp.c_fc.weight", ())
    if len(tokens) != 2 or len(positions) != 2 or len(mlp) != 2:
        return None
    if not are_plausible(layers, shapes) or tokens[1] != positions[1]:
        return None
    if not 0 < positions[0] <= _MAX_CONTEXT or not 0 < tokens[0] <= _MAX_VOCABULARY:
        return None
    return TextTower(layers, tokens[1], positions[0], tokens[0], mlp[0])


@dataclass(frozen=True)
class ClipForm:
    """What no tensor shows: the activation, and the numbers per head in both towers."""

    quick_gelu: bool
    image_head: int
    text_head: int


def declared_form(
    config: Mapping[str, object], image: ImageTower, text: TextTower | None
) -> ClipForm | None:
    """The form that a config.json of transformers or an open_clip_config.json states; None without
    one, or if it contradicts the shapes.
    """
    form = _of_transformers(config, image, text) or _of_open_clip(config, image, text)
    if form is None or not _divides(form.image_head, image.attention_width):
        return None
    return form if text is None or _divides(form.text_head, text.width) else None


def _of_transformers(
    config: Mapping[str, object], image: ImageTower, text: TextTower | None
) -> ClipForm | None:
    if config.get("model_type") != "clip":
        return None
    vision, words = _dict(config.get("vision_config")), _dict(config.get("text_config"))
    heads = vision.get("num_attention_heads", 12), words.get("num_attention_heads", 8)
    width = image.attention_width, text.width if text is not None else USUAL_HEAD * 8
    quick = vision.get("hidden_act", "quick_gelu") == "quick_gelu"
    return ClipForm(quick, _per_head(width[0], heads[0]), _per_head(width[1], heads[1]))


def _of_open_clip(
    config: Mapping[str, object], image: ImageTower, text: TextTower | None
) -> ClipForm | None:
    model = _dict(config.get("model_cfg"))
    if not model:
        return None
    vision, words = _dict(model.get("vision_cfg")), _dict(model.get("text_cfg"))
    head = vision.get("head_width", USUAL_HEAD)
    width = text.width if text is not None else USUAL_HEAD * 8
    return ClipForm(
        model.get("quick_gelu") is True,
        head if type(head) is int else 0,
        _per_head(width, words.get("heads", 8)),
    )


def _dict(value: object) -> Mapping[str, object]:
    return value if isinstance(value, dict) else {}


def _per_head(width: int, heads: object) -> int:
    return width // heads if type(heads) is int and heads > 0 and width % heads == 0 else 0


def _divides(part: int, width: int) -> bool:
    return part > 0 and width % part == 0


def likely_forms(
    image: ImageTower, text: TextTower | None
) -> tuple[list[ClipForm], list[ClipForm]]:
    """Forms to try where no config states one: those of published models, and rarer ones, with
    other numbers per head.
    """

    def forms(image_head: int, text_head: int) -> list[ClipForm]:
        fits = _divides(image_head, image.attention_width)
        if not fits or (text is not None and not _divides(text_head, text.width)):
            return []
        return [ClipForm(quick, image_head, text_head) for quick in (True, False)]

    usual = forms(image.head_width, USUAL_HEAD if text is None else text.head_width)
    others = [
        form
        for head in (32, 16, 128, USUAL_HEAD)
        for own in dict.fromkeys((head, image.head_width))
        for form in forms(own, head)
        if form not in usual
    ]
    return usual or others[:2], others if usual else others[2:]
