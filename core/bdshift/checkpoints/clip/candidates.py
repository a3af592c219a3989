"""Recognizes CLIP models by the names and shapes of their tensors, and proposes networks."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from bdshift.checkpoints.clip.sizes import (
    VOCABULARY,
    ClipForm,
    ImageTower,
    TextTower,
    declared_form,
    image_tower,
    likely_forms,
    text_tower,
)
from bdshift.checkpoints.clip.tensor_names import IMAGE_KEYS, from_hugging_face
from bdshift.checkpoints.compare import compare
from bdshift.checkpoints.families import Candidate, Shapes
from bdshift.checkpoints.families.base import ODDNESS_OF_ACTIVATION
from bdshift.checkpoints.listing import first_few
from bdshift.errors import InputError
from bdshift.extras import pip_install
from bdshift.images.preprocessing import Normalization

if TYPE_CHECKING:
    import torch
    from torch import nn

    from bdshift.checkpoints.prompts import ClassPrompts
    from bdshift.jobs import JobContext

_NORMALIZATION = Normalization(
    "clip", (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
)
"""What CLIP models of OpenAI and open_clip are trained with."""

_Rows = dict[tuple[bool, int, "ClassPrompts"], "torch.Tensor"]
_RESNET = "visual.attnpool.positional_embedding"
_NOTES = ("input_resolution", "context_length", "vocab_size")
_POSITIONS = "position_ids"
_LETTERS = {(12, 384): "S", (12, 768): "B", (24, 1024): "L", (32, 1280): "H", (40, 1408): "g",
            (48, 1664): "bigG"}  # fmt: skip
_MAX_LISTED_KEYS = 4
_OF_TIMM = ".visual.trunk."  # an image tower whose network no shape tells: SigLIP, EVA, ConvNeXt


@dataclass(frozen=True)
class ClipFound:
    """A CLIP model in a file: the networks that it could be, the prefix of its tensors' names, and
    the keys of tensors that hold nothing of it.
    """

    candidates: tuple[Candidate, ...]
    prefix: str
    ignored: tuple[str, ...]


def find_clip(shapes: Shapes, config: Mapping[str, Any]) -> ClipFound | None:
    """The CLIP model with these shapes; None if they are of another kind of network. ``config`` is
    from the files beside the weights.

    Raises `InputError` if it is one that cannot be read, or open_clip is not installed.
    """
    prefix, hf = _where(shapes)
    if prefix is None:
        if any(_OF_TIMM in f".{key}" for key in shapes) and _looks_like_clip(shapes):
            raise _unread()
        return None
    own = {key[len(prefix) :]: shape for key, shape in shapes.items() if key.startswith(prefix)}
    loose = [key for key in own if key in _NOTES or key.endswith(_POSITIONS)]
    own = {key: shape for key, shape in own.items() if key not in set(loose)}
    ours = _our_shapes(own) if hf else own
    image, text = image_tower(ours), text_tower(ours)
    head = ours.get("head.weight", ())
    if image is None or (text is None and len(head) != 2):
        if not _looks_like_clip(own):
            return None
        raise _unread()
    if importlib.util.find_spec("open_clip") is None:
        raise InputError(
            "it is a CLIP model; to open it: {command}", command=pip_install("open_clip_torch")
        )
    outside = tuple(key for key in shapes if not key.startswith(prefix))
    if any(len(shapes[key]) > 1 for key in outside):
        raise InputError(
            "holds a CLIP model and more than that ({names}): a network around it; name its class "
            "with --arch package.module:callable",
            names=first_few(outside, _MAX_LISTED_KEYS),
        )  # fmt: skip
    ignored = (*outside, *(prefix + key for key in loose))
    if text is not None and text.vocabulary != VOCABULARY:
        raise InputError(
            "is a CLIP model with a vocabulary of {count} tokens; only that of CLIP itself, with "
            "{usual}, is known",
            count=text.vocabulary, usual=VOCABULARY,
        )  # fmt: skip
    form = declared_form(config, image, text)
    if form is None and _NOTES[0] in loose:  # an archive of OpenAI's, all of which are alike
        form = next(iter(likely_forms(image, text)[0]), None)
    made = tuple(_candidates(image, text, ours, form, hf))
    if not made:
        raise InputError("is a CLIP model whose width no usual number of attention heads divides")
    mismatch = compare(made[0], own)  # the forms share all shapes
    if not mismatch.fits:
        raise InputError(
            "is like {name}, which differs: {differences}; such a CLIP model is not read",
            name=made[0].name, differences=mismatch.first_differences(),
        )  # fmt: skip
    return ClipFound(made, prefix, ignored)


def _unread() -> InputError:
    return InputError(
        "is of the kind of CLIP, but not one of the CLIP models that bdshift reads: those of "
        "OpenAI, and those of open_clip and Hugging Face with the same towers"
    )


def _where(shapes: Shapes) -> tuple[str | None, bool]:
    """The prefix of a CLIP model's tensors and whether Hugging Face has named them."""
    for hf, name in ((False, _RESNET), *IMAGE_KEYS.items()):
        for key in shapes:
            prefix = key.removesuffix(name)
            if prefix != key and (not prefix or prefix.endswith(".")):
                return prefix, hf
    return None, False


def _looks_like_clip(own: Shapes) -> bool:
    """Whether there is a text tower of some kind beside the image tower."""
    return "logit_scale" in own or any(
        key.startswith(("text.", "text_model.", "token_embedding.")) for key in own
    )


def _our_shapes(own: Shapes) -> Shapes:
    import torch

    with torch.device("meta"):
        tensors = {key: torch.empty(shape) for key, shape in own.items()}
    try:
        return {key: tuple(value.shape) for key, value in from_hugging_face(tensors).items()}
    except (KeyError, RuntimeError, IndexError):  # a key of three is missing, or of another shape
        return {}


def _candidates(
    image: ImageTower, text: TextTower | None, ours: Shapes, declared: ClipForm | None, hf: bool
) -> Iterator[Candidate]:
    usual, rare = ([declared], []) if declared is not None else likely_forms(image, text)
    d = _features(image, ours)
    head = ours.get("head.weight", ())
    bias = "head.bias" in ours
    known: _Rows = {}

    def made(form: ClipForm, others: tuple[Candidate, ...] = ()) -> Candidate:
        common: dict[str, Any] = {
            "name": _name(image, text, form), "head": "head", "sizes": (image.image,),
            "any_size": False, "channels": 3, "rare": others, "normalization": _NORMALIZATION,
            "oddness": 0.0 if form in usual else ODDNESS_OF_ACTIVATION,
        }  # fmt: skip
        if text is None:
            build = partial(_with_head, image, form, d, head[0], bias, hf)
            return Candidate(build=build, **common)
        return Candidate(
            build=partial(_towers, image, text, form, d, hf),
            head_from_names=partial(_classifier, text.context, form, known), embedding=d, **common,
        )  # fmt: skip

    for number, form in enumerate(usual):
        yield made(form, () if number else tuple(map(made, rare)))


def _features(image: ImageTower, ours: Shapes) -> int:
    """Numbers of a feature, d."""
    if image.patch:
        return ours["visual.proj"][1]
    return ours["visual.attnpool.c_proj.weight"][0]


def _name(image: ImageTower, text: TextTower | None, form: ClipForm) -> str:
    if isinstance(image.layers, tuple):
        counts = "-".join(map(str, image.layers))
        tower = f"ResNet {counts}, width {image.width}"
    else:
        letter = _LETTERS.get((image.layers, image.width))
        shape = letter or f" of {image.layers} layers, width {image.width}"
        tower = f"ViT-{letter}/{image.patch}" if letter else f"ViT{shape}, patch {image.patch}"
    parts = [f"CLIP {tower}", "QuickGELU" if form.quick_gelu else "GELU"]
    if form.image_head != image.head_width:
        parts.append(f"{form.image_head} per head")
    if text is not None and form.text_head != text.head_width:
        parts.append(f"{form.text_head} per head in the text tower")
    return ", ".join(parts)


def _towers(image: ImageTower, text: TextTower, form: ClipForm, d: int, hf: bool) -> nn.Module:
    from bdshift.checkpoints.clip.network import ClipTowers

    return ClipTowers(image, text, form, d, hf)


def _with_head(
    image: ImageTower, form: ClipForm, d: int, classes: int, bias: bool, hf: bool
) -> nn.Module:
    from bdshift.checkpoints.clip.network import build_with_head

    return build_with_head(image, form, d, classes, bias, hf)


def _classifier(
    context: int,
    form: ClipForm,
    known: _Rows,
    network: nn.Module,
    prompts: ClassPrompts,
    job: JobContext,
) -> nn.Module:
    """The classifier whose rows are the features of the classes' texts: each of length 1, averaged,
    of length 1 again. They are ``known`` of forms whose text tower is the same.
    """
    from bdshift.checkpoints.clip.network import with_rows
    from bdshift.checkpoints.clip.texts import text_rows

    key = form.quick_gelu, form.text_head, prompts
    if key not in known:
        known[key] = text_rows(network, prompts, context, job)
    return with_rows(network, known[key])
