"""What a checkpoint holds, for a person to check before anything is done with it."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bdshift.checkpoints.classifier import Opened, recognized
from bdshift.checkpoints.layout import PROGRAMS, StateDict, find_state_dict
from bdshift.checkpoints.names import foreign
from bdshift.checkpoints.reader import read_checkpoint
from bdshift.errors import InputError
from bdshift.jobs import SILENT, JobContext

_NORMS = {"running_mean", "running_var", "num_batches_tracked"}


def describe(
    model: str | Path,
    *,
    arch: str | None = None,
    weights: str | None = None,
    job: JobContext = SILENT,
) -> tuple[dict[str, Any], InputError | None]:
    """What a checkpoint holds, as plain values, and the error if its architecture is not known.

    ``arch`` and ``weights`` are as `open_checkpoint` has them.

    Raises `InputError` if it cannot be read, or holds no weights, `UsageError` if ``arch`` or
    ``weights`` cannot be used.
    """
    file = read_checkpoint(model, job=job)
    state = find_state_dict(file, weights)
    shapes = state.shapes()
    found: dict[str, Any] = {
        "path": str(file.path),
        "sha256": file.sha256,
        "bytes": file.size,
        "format": file.container,
        "wrapper": list(state.layout.wrapper),
        "prefix": state.layout.prefix,
        "saved_class": state.layout.kind,
        "has_program": file.container in PROGRAMS,
        "beside": list(state.layout.beside),
        "other_models": list(state.layout.others),
        "folded": dict(Counter(way for way, _ in state.layout.folded.values())),
        "tensors": len(shapes),
        "numbers": sum(math.prod(shape) for shape in shapes.values()),
        "dtypes": dict(Counter(state.layout.dtypes.values())),
        "names_in_pickle": [str(name) for name in file.names],
        "foreign_names": list(foreign(file.names)),
        "layers": layer_table(state),
        "architectures": [],
        "ignored": [],
    }
    try:
        opened = recognized(file, state, arch)
    except InputError as error:
        return found, error
    first = opened.candidates[0]
    head = opened.state.tensors[f"{first.head}.weight"].shape
    found |= {
        "architectures": [candidate.name for candidate in opened.candidates],
        "recognized_by": _how(opened),
        "ignored": list(opened.ignored),
        "head": first.head,
        "classes": head[0],
        "embedding_dim": head[1],
        "input_sizes": list(first.sizes),
        "normalizations_told": [normalization.name for normalization in opened.told],
        "class_names": list(opened.class_names),
    }
    return found, None


def _how(opened: Opened) -> str:
    """In a sentence, what makes it this architecture."""
    first = opened.candidates[0]
    if opened.from_user:
        return "you named it; its code is run"
    if first.rebuilt:
        ways = sum(1 + len(candidate.rare) for candidate in opened.candidates)
        sizes = "in the file" if opened.state.layout.kind else "from the shapes"
        return (
            f"put together from the weights, the order of layers {sizes}; {ways} ways fit, and "
            "clean accuracy decides"
        )
    if first.name.endswith("(transformers)"):
        return "its config.json, and the names and shapes of all its tensors"
    if len(opened.candidates) > 1:
        return f"{len(opened.candidates)} networks have these tensors; clean accuracy decides"
    return "the names and shapes of all its tensors"


def layer_table(state: StateDict) -> list[dict[str, Any]]:
    """A row for each layer, in the file's order: path, kind, shape of its weight, numbers in all.

    The kind is the saved class where a pickled module tells it, else what its tensors say.
    """
    saved = {layer.path: layer.kind.rpartition(".")[2] for layer in state.layers}
    groups: dict[str, dict[str, tuple[int, ...]]] = {}
    for key, tensor in state.tensors.items():
        path, _, name = key.rpartition(".")
        groups.setdefault(path, {})[name] = tensor.shape
    return [
        {
            "path": path,
            "kind": saved.get(path) or _kind(own),
            "shape": list(_main(own)),
            "numbers": sum(math.prod(s) for name, s in own.items() if name not in _NORMS),
        }
        for path, own in groups.items()
    ]


def _main(own: Mapping[str, tuple[int, ...]]) -> tuple[int, ...]:
    return own.get("weight") or own.get("running_mean") or next(iter(own.values()))


def _kind(own: Mapping[str, tuple[int, ...]]) -> str:
    if "running_mean" in own:
        return "batch norm"
    dims = len(own.get("weight", ()))
    return {4: "convolution", 2: "linear", 1: "norm"}.get(dims, "tensor")
