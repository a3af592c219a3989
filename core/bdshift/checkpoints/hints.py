"""What a checkpoint says about its images and classes, in addition to the weights. These are only
proposals; clean accuracy decides.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from typing import Any

from bdshift.checkpoints.folder import Beside
from bdshift.checkpoints.layout import StateDict
from bdshift.checkpoints.reader import CheckpointFile
from bdshift.checkpoints.tensors import LazyTensor
from bdshift.errors import InputError
from bdshift.images.preprocessing import NORMALIZATIONS, Channels, Normalization

_MEANS, _STDS = ("mean", "_mean", "mu"), ("std", "_std", "sigma")
_NAMES = ("class_names", "classes", "class_to_idx", "labels", "label_names", "idx_to_class")
_MAX_NAME_LENGTH = 200
_NUMBERED = re.compile(r"LABEL_\d+$")  # what transformers calls classes without names


def declared_normalizations(
    state: StateDict, ignored: Sequence[str], beside: Beside
) -> tuple[Normalization, ...]:
    """Mean and std that a config.json names, or that are among the tensors that no layer uses,
    where a normalizing first layer keeps them; without those that bdshift tries anyway.
    """
    found: list[tuple[str, Sequence[float], Sequence[float]]] = []
    if beside.mean:
        found.append(("config.json", beside.mean, beside.std))
    by_name = {key.rpartition(".")[2]: state.tensors[key] for key in ignored}
    for mean, std in zip(_MEANS, _STDS, strict=True):
        if mean in by_name and std in by_name:
            found.append(("in the file", _values(by_name[mean]), _values(by_name[std])))
    known = {(n.mean, n.std) for n in NORMALIZATIONS.values()}
    made = []
    for name, means, stds in found:
        pair = _channels(means), _channels(stds)
        if pair[0] is not None and pair[1] is not None and min(pair[1]) > 0 and pair not in known:
            made.append(Normalization(name, pair[0], pair[1]))
    return tuple(made)


def _channels(values: Sequence[float]) -> Channels | None:
    if len(values) == 1:
        values = [*values] * 3
    if len(values) != 3 or not all(map(math.isfinite, values)):
        return None
    return round(values[0], 6), round(values[1], 6), round(values[2], 6)


def _values(tensor: LazyTensor) -> list[float]:
    if math.prod(tensor.shape) not in (1, 3) or not tensor.dtype.startswith("float"):
        return []
    try:
        return [float(value) for value in tensor.load().flatten().tolist()]
    except InputError:
        return []


def declared_names(file: CheckpointFile, classes: int) -> tuple[str, ...]:
    """Names of the classes, if the config or something next to the weights lists as many."""
    for names in (file.beside.names, *_lists(file.value)):
        texts = all(isinstance(name, str) and 0 < len(name) <= _MAX_NAME_LENGTH for name in names)
        if (
            len(names) == classes
            and texts
            and not all(map(_NUMBERED.match, names))
            and len(set(names)) == classes
        ):
            return tuple(names)
    return ()


def _lists(value: Any) -> Iterator[Sequence[Any]]:
    if not isinstance(value, dict):
        return
    for key in _NAMES:
        found = value.get(key)
        if isinstance(found, (list, tuple)):
            yield found
        elif isinstance(found, dict):
            texts = all(isinstance(name, str) for name in found)
            if texts and all(type(index) is int for index in found.values()):
                yield sorted(found, key=lambda name: (found[name], name))
            elif all(type(index) is int for index in found):
                yield [found[index] for index in sorted(found)]
