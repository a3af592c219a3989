"""What a checkpoint holds if it is not the weights of an image classifier, and what to do."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any

from bdshift.checkpoints.listing import first_few
from bdshift.checkpoints.reader import CheckpointFile
from bdshift.checkpoints.tensors import LazyTensor
from bdshift.errors import InputError
from bdshift.pickle_values import Name
from bdshift.words import words

_MAX_LISTED = 4
_QUANTIZED_CLASS = re.compile(r"torch(\.ao)?\.nn\.(intrinsic\.)?quantized\b")


def no_weights(file: CheckpointFile) -> InputError:
    """The error for a file without any dict of named tensors."""
    value = file.value
    if file.container == "TorchScript":
        return InputError(
            "{path}: holds no weights with names, as a frozen TorchScript program; give what it "
            "was before torch.jit.freeze, or the model's state_dict()",
            path=file.path,
        )
    if isinstance(value, LazyTensor):
        return InputError("{path}: holds no weights but a single tensor", path=file.path)
    if isinstance(value, list) and any(isinstance(item, LazyTensor) for item in value):
        return InputError(
            "{path}: holds no weights with names but a list of tensors; save the model's "
            "state_dict()",
            path=file.path,
        )
    if isinstance(value, dict):
        if _is_optimizer(value) or any(map(_is_optimizer, value.values())):
            return InputError(
                "{path}: holds no weights but the state of an optimizer; the network's own "
                "checkpoint is another file",
                path=file.path,
            )
        keys = [key[:40] for key in value if isinstance(key, str)]
        if keys:
            return InputError(
                "{path}: holds no weights (no dict of named tensors), but {names}",
                path=file.path, names=first_few(keys, _MAX_LISTED),
            )  # fmt: skip
    return InputError("{path}: holds no weights (no dict of named tensors)", path=file.path)


def _is_optimizer(value: Any) -> bool:
    return isinstance(value, dict) and {"state", "param_groups"} <= value.keys()


_QUANTIZED = words(
    "is a quantized network (int8), whose batch norms are folded into its "
    "convolutions; give the float checkpoint that it was made from",
    ja="量子化（int8）されたネットワークで、バッチ正規化は畳み込みに組み込まれていま"
    "す。量子化前のチェックポイントを指定してください",
)
_NETWORKS: Mapping[str, str] = {
    r"(^|[._])(lora_(A|B|down|up|a|b)|hada_w1_a|lokr_w1)([._]|$)": words(
        "is an adapter (LoRA), which is only a change to a base model: merge it "
        "into that model (merge_and_unload() of PEFT) and give the merged one",
        ja="アダプター（LoRA）です。基のモデルへの変更分だけなので、統合（PEFT の"
        " merge_and_unload()）したものを指定してください",
    ),
    r"\.zero_point$": _QUANTIZED,
    r"(^|\.)StructuredToParameterName@@|\._variance$": words(
        "is a PaddlePaddle checkpoint; convert it to PyTorch and save its state_dict()",
        ja="PaddlePaddle のチェックポイントです。PyTorch に変換し、state_dict() を保存してください",
    ),
    r"(^|\.)(rpn(_head)?|roi_heads?|bbox_head|mask_head|box_predictor|bbox_embed|regression_head"
    r"|anchor_grid|dfl\.conv)(\.|$)|\.anchors$": words(
        "is an object detector, not an image classifier", ja="画像分類器ではなく、物体検出器です"
    ),
    r"(^|\.)(decode_head|segmentation_head|sem_seg_head|aux_classifier\.0|outc\.conv|up_?conv\d)"
    r"(\.|$)": words(
        "is a segmentation network, not an image classifier",
        ja="画像分類器ではなく、領域分割のネットワークです",
    ),
    r"(^|\.)(embed_tokens|wte|word_embeddings|token_embedding|lm_head)\.weight$": words(
        "is a language model, or has one in it, and is not an image classifier",
        ja="画像分類器ではなく、言語モデルか、それを含むモデルです",
    ),
}
"""What networks are that bdshift does not audit, by names of their tensors."""


def what_network(keys: Collection[str], names: Collection[Name]) -> InputError | None:
    """The error for a network of another kind than an image classifier, by the names of its
    tensors and the ``names`` of classes in its pickle; None if nothing is known about it.
    """
    for pattern, template in _NETWORKS.items():
        search = re.compile(pattern).search
        if any(search(key) for key in keys):
            return InputError(template)
    if any(_QUANTIZED_CLASS.match(name.module) for name in names):
        return InputError(_QUANTIZED)
    return None
