"""Names and forms of a CLIP model's tensors: as OpenAI and open_clip write them, which is how the
network here has them, and as Hugging Face does.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

import torch

_PARTS = ("q", "k", "v")
_IN_BLOCK = {
    "layer_norm1.": "ln_1.", "layer_norm2.": "ln_2.", "self_attn.out_proj.": "attn.out_proj.",
    "mlp.fc1.": "mlp.c_fc.", "mlp.fc2.": "mlp.c_proj.",
}  # fmt: skip
_OUTSIDE = {
    "vision_model.embeddings.class_embedding": "visual.class_embedding",
    "vision_model.embeddings.patch_embedding.weight": "visual.conv1.weight",
    "vision_model.embeddings.position_embedding.weight": "visual.positional_embedding",
    "vision_model.pre_layrnorm.": "visual.ln_pre.",  # sic
    "vision_model.post_layernorm.": "visual.ln_post.",
    "text_model.embeddings.token_embedding.weight": "token_embedding.weight",
    "text_model.embeddings.position_embedding.weight": "positional_embedding",
    "text_model.final_layer_norm.": "ln_final.",
    "visual_projection.weight": "visual.proj",
    "text_projection.weight": "text_projection",
}
_TURNED = ("visual.proj", "text_projection")  # (width, d) here, (d, width) there
_TOWERS = {"vision_model.encoder.layers.": "visual.transformer.resblocks.",
           "text_model.encoder.layers.": "transformer.resblocks."}  # fmt: skip
_PATCHES = "vision_model.embeddings.patch_embedding.weight"
IMAGE_KEYS = {False: "visual.conv1.weight", True: _PATCHES}
"""The first layer of the image tower, by whether Hugging Face has named it."""

_BLOCK = re.compile(r"((?:visual\.)?transformer\.resblocks\.)(\d+\.)(.+)")


def from_hugging_face(tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The same tensors with our names; query, key and value become one. Others are left out."""
    found = {}
    for key, value in tensors.items():
        name = _our_name(key)
        if name is None:
            continue
        if name.endswith(".attn.q_proj.weight") or name.endswith(".attn.q_proj.bias"):
            kind = key.rpartition(".")[2]
            stem = key[: -len(f"q_proj.{kind}")]
            parts = [tensors[f"{stem}{part}_proj.{kind}"] for part in _PARTS]
            found[name.replace(f"q_proj.{kind}", f"in_proj_{kind}")] = torch.cat(parts)
        elif not re.search(r"\.attn\.[kv]_proj\.", name):
            found[name] = value.T if name in _TURNED else value
    return found


def to_hugging_face(tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The reverse of `from_hugging_face`; names that it does not know stay."""
    return dict(_to_hugging_face(tensors))


def _to_hugging_face(
    tensors: Mapping[str, torch.Tensor],
) -> Iterator[tuple[str, torch.Tensor]]:
    theirs = {ours: name for name, ours in _OUTSIDE.items()}
    in_block = {ours: name for name, ours in _IN_BLOCK.items()}
    towers = {ours: name for name, ours in _TOWERS.items()}
    for key, value in tensors.items():
        block = _BLOCK.fullmatch(key)
        if block is not None:
            stem, rest = towers[block[1]] + block[2], block[3]
            if rest.startswith("attn.in_proj_"):
                kind = rest.rpartition("_")[2]
                for part, own in zip(_PARTS, value.chunk(3), strict=True):
                    yield f"{stem}self_attn.{part}_proj.{kind}", own
                continue
            yield stem + _renamed(rest, in_block), value
        else:
            yield _renamed(key, theirs), value.T if key in _TURNED else value


def _our_name(key: str) -> str | None:
    """Our name of a tensor; that of a query, key or value still has its part."""
    if key in ("logit_scale", "head.weight", "head.bias"):
        return key
    for tower, ours in _TOWERS.items():
        if key.startswith(tower):
            number, _, rest = key[len(tower) :].partition(".")
            rest = rest.replace("self_attn.", "attn.") if "_proj." in rest else rest
            inside = {name.replace("self_attn.", "attn."): o for name, o in _IN_BLOCK.items()}
            return f"{ours}{number}.{_renamed(rest, inside)}"
    name = _renamed(key, _OUTSIDE)
    return None if name == key else name


def _renamed(key: str, names: Mapping[str, str]) -> str:
    for old, new in names.items():
        if key.startswith(old):
            return new + key[len(old) :]
    return key
