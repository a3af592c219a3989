"""Turns a pickled ``nn.Module``, or a TorchScript one, into its state dict without its code.

An object in a pickle is a class's name and the dict of its attributes. A module keeps its
parameters, buffers and children there under the names that ``nn.Module`` gives them, so the state
dict is in the file as plain data, along with what no state dict tells: class names, strides,
paddings, in the order in which the layers were created.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from bdshift.checkpoints.keys import without_wrappers
from bdshift.checkpoints.tensors import LazyTensor
from bdshift.errors import InputError
from bdshift.pickle_values import Opaque, TensorRef

_MAX_DEPTH = 64
_MAX_ENTRIES = 50_000  # of all modules in a file; ResNet-1202 has 15 000
_MANGLED = re.compile(r"\.___torch_mangle_\d+")
_PLAIN = (bool, int, float, str, type(None))
_MAX_TEXT_LENGTH = 100
_MAX_NAME_LENGTH = 512
_SETTINGS = (
    "stride", "padding", "dilation", "kernel_size", "groups", "padding_mode", "output_size",
    "ceil_mode", "negative_slope", "eps", "alpha", "approximate", "beta", "count_include_pad",
)  # fmt: skip
TENSOR_KINDS = ("torch._utils._rebuild", "torch._tensor.", "torch._C._nn")
"""Calls that create tensors of other kinds: sparse, quantized, without data."""


@dataclass(frozen=True)
class SavedLayer:
    """A module without children.

    Attributes:
        path: dotted, as in the state dict's keys.
        kind: full name of its class.
        settings: its plain attributes, such as ``stride``: numbers, text, and tuples of numbers.
    """

    path: str
    kind: str
    settings: Mapping[str, Any]


def layers_under(layers: Iterable[SavedLayer], prefix: str) -> tuple[SavedLayer, ...]:
    """Those whose paths begin with ``prefix``, which is removed; and so are wrappers inside."""
    return tuple(
        replace(layer, path=without_wrappers(layer.path[len(prefix) :]))
        for layer in layers
        if layer.path.startswith(prefix)
    )


class SavedModule(dict[str, LazyTensor]):
    """The state dict of a pickled module.

    Attributes:
        kind: full name of its class.
        layers: its leaves, in the order in which they were created.
    """

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind
        self.layers: list[SavedLayer] = []


def is_module(value: Any) -> bool:
    """Whether a recorded object is an ``nn.Module`` or a TorchScript one."""
    if not isinstance(value, Opaque) or not isinstance(value.state, dict):
        return False
    if value.what.startswith("__torch__"):
        return True
    return all(isinstance(value.state.get(part), dict) for part in ("_parameters", "_modules"))


def saved_module(
    value: Opaque, make: Callable[[TensorRef], LazyTensor], count: list[int]
) -> SavedModule:
    """The state dict of an object that `is_module`; ``make`` makes a tensor readable; ``count`` is
    a list of one number, how many entries the file's modules had so far: one module may be in many
    places.

    Raises `InputError` if it holds more modules, or deeper ones, than any network, or if it
    contains itself.
    """
    found = SavedModule(_kind(value))
    _walk(value, "", found, make, 0, count)
    return found


def _kind(value: Opaque) -> str:
    return _MANGLED.sub("", value.what).removeprefix("__torch__.")


def _walk(
    value: Opaque,
    prefix: str,
    found: SavedModule,
    make: Callable[[TensorRef], LazyTensor],
    depth: int,
    count: list[int],
) -> None:
    held, looked_at = _held(value)
    count[0] += 1 + looked_at
    if depth > _MAX_DEPTH or count[0] > _MAX_ENTRIES:
        raise InputError("holds modules that are nested too deeply or contain themselves")
    tensors, children = _parts(held)
    if any(len(prefix) + len(name) > _MAX_NAME_LENGTH for name in (*tensors, *children)):
        raise InputError("holds a module whose name is longer than any network's")
    for name, ref in tensors.items():
        found[prefix + name] = make(ref)
    for name, child in children.items():
        _walk(child, f"{prefix}{name}.", found, make, depth + 1, count)
    if not children:
        state = value.state
        settings = {key: state[key] for key in _SETTINGS if key in state and _is_plain(state[key])}
        found.layers.append(SavedLayer(prefix.rstrip("."), _kind(value), settings))


def _held(value: Opaque) -> tuple[list[dict[Any, Any]], int]:
    """The dicts that hold a module's tensors and children, and how many entries were read."""
    state: dict[Any, Any] = value.state
    if value.what.startswith("__torch__"):
        return [state], len(state)
    held = [state["_parameters"], state["_modules"]]
    hidden: Sequence[Any] = ()
    if isinstance(state.get("_buffers"), dict):
        hidden = _listed(state.get("_non_persistent_buffers_set"))
        left_out = {name for name in hidden if isinstance(name, str)}
        held.append({k: v for k, v in state["_buffers"].items() if k not in left_out})
    return held, len(hidden) + sum(map(len, held))


def _listed(hidden: Any) -> Sequence[Any]:
    """The items of a set, as either kind of pickle stores it."""
    if isinstance(hidden, Opaque) and hidden.what.endswith(".set"):
        hidden = hidden.args[0] if hidden.args else ()
    return hidden if isinstance(hidden, (list, tuple)) else ()


def _parts(held: Sequence[dict[Any, Any]]) -> tuple[dict[str, TensorRef], dict[str, Opaque]]:
    """Tensors and child modules of a module, by name."""
    tensors: dict[str, TensorRef] = {}
    children: dict[str, Opaque] = {}
    for part in held:
        for name, item in part.items():
            if not isinstance(name, str):
                continue
            if isinstance(item, Opaque) and item.what.startswith(TENSOR_KINDS):
                raise InputError(
                    "its {name} is a tensor of a kind that is not read", name=name[:80]
                )
            if isinstance(item, TensorRef):
                tensors[name] = item
            elif is_module(item):
                children[name] = item
    return tensors, children


def _is_plain(value: Any) -> bool:
    if isinstance(value, tuple):
        return len(value) <= 8 and all(isinstance(v, (int, float)) for v in value)
    return isinstance(value, _PLAIN) and (
        not isinstance(value, str) or len(value) <= _MAX_TEXT_LENGTH
    )
