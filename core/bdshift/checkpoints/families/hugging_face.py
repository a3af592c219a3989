"""Image classifiers of Hugging Face's transformers, built by that library from their config.json.

Only numbers, flags and short strings from the config are passed on, never the name of code or of
another repository, and nothing is downloaded.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

import torch
from torch import nn

from bdshift.checkpoints.families.base import Candidate, Shapes
from bdshift.errors import UnknownArchitecture
from bdshift.extras import pip_install

_SUFFIX = "ForImageClassification"
_HEADS = ("classifier", "classifier.1", "classifier.0", "classifier.out_proj", "head", "fc")
_MAX_NUMBER = 1_000_000
_SOURCES = (
    "implementation", "backbone", "kernel", "repo", "path", "url", "hub", "revision", "token",
    "code", "file", "auto_", "sub_config", "rope",
)  # fmt: skip
_LEFT_OUT = frozenset(
    "auto_map _name_or_path architectures model_type transformers_version torch_dtype dtype "
    "quantization_config id2label label2id num_labels problem_type pruned_heads".split()
)


def propose(shapes: Shapes, config: Mapping[str, Any]) -> Iterator[Candidate]:
    """The network that ``config``, from a config.json, describes; none if it is of another kind.

    Raises `UnknownArchitecture` if transformers is not installed, or does not know it.
    """
    named = config.get("architectures")
    kind = config.get("model_type")
    name = named[0] if isinstance(named, list) and named and isinstance(named[0], str) else ""
    if not name.endswith(_SUFFIX) or not isinstance(kind, str) or not kind.isidentifier():
        return
    head = next((h for h in _HEADS if len(shapes.get(f"{h}.weight", ())) == 2), None)
    if head is None:
        return
    if importlib.util.find_spec("transformers") is None:
        raise UnknownArchitecture(
            "it is a {name} of {library}; to open it: {command}",
            name=name[:60], library="transformers", command=pip_install("transformers"),
        )  # fmt: skip
    classes = shapes[f"{head}.weight"][0]
    if kind.startswith("timm"):  # it would make timm look up its architecture online
        return
    options = {key: v for key, v in config.items() if _is_harmless(key) and _plain(v)}
    for key, value in options.items():
        counts = value if isinstance(value, list) else [value]
        if ("layers" in key or "depth" in key) and any(
            isinstance(count, int) and count > len(shapes) for count in counts
        ):
            return
    size = options.get("image_size")
    size = size if type(size) is int and 16 <= size <= 1024 else 224
    build = partial(_build, kind, options, classes)
    yield Candidate(f"{name} (transformers)", build, head, (size,), computes=True)


def _is_harmless(key: str) -> bool:
    """Whether a key is about sizes and flags, not about where code or weights come from."""
    return not (key.startswith("_") or key in _LEFT_OUT or any(word in key for word in _SOURCES))


def _plain(value: Any) -> bool:
    """A number, a flag, a short string, or a short list of numbers and strings."""
    if isinstance(value, list):
        return len(value) <= 64 and all(not isinstance(v, list) and _plain(v) for v in value)
    if isinstance(value, (int, float)):
        return abs(value) <= _MAX_NUMBER
    return isinstance(value, str) and len(value) <= 40 and value.isidentifier()


def _build(kind: str, options: Mapping[str, Any], classes: int) -> nn.Module:
    os.environ.setdefault("HF_HUB_OFFLINE", "1")  # nothing needs to go online
    os.environ.setdefault("TRANSFORMERS_OFFLINE", "1")
    from transformers import AutoConfig, AutoModelForImageClassification

    config = AutoConfig.for_model(kind, **options, num_labels=classes, attn_implementation="eager")
    make: Any = AutoModelForImageClassification.from_config
    return _Logits(make(config))


class _Logits(nn.Module):
    """Returns only the logits. Its modules are those of ``inner``, under the same names, and its
    state dict has the names in the file, which newer versions of transformers change on loading.
    """

    inner: Any

    def __init__(self, inner: Any) -> None:
        super().__init__()
        object.__setattr__(self, "inner", inner.eval())  # not a child, so its keys get no prefix
        for name, child in inner.named_children():
            self.add_module(name, child)
        self._in_file = _names_in_file(inner)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.inner(pixel_values=x).logits
        return logits

    def state_dict(self, *args: Any, **kwargs: Any) -> dict[str, Any]:  # type: ignore[override]
        own = super().state_dict(*args, **kwargs)
        return {self._in_file.get(key, key): value for key, value in own.items()}

    def load_state_dict(self, state_dict: Mapping[str, Any], *args: Any, **kwargs: Any) -> Any:
        inside = {name: key for key, name in self._in_file.items()}
        renamed = {inside.get(key, key): value for key, value in state_dict.items()}
        return super().load_state_dict(renamed, *args, **kwargs)


def _names_in_file(inner: Any) -> dict[str, str]:
    """Name in the file of each tensor that has another name in the network."""
    try:
        from transformers.core_model_loading import revert_weight_conversion
    except ImportError:
        return {}  # before transformers 5, the names are the same
    own = inner.state_dict()
    in_file = {id(tensor): name for name, tensor in revert_weight_conversion(inner, own).items()}
    return {key: in_file[id(t)] for key, t in own.items() if in_file.get(id(t), key) != key}
