"""What a file may hold beside the network that is audited, without being a part of it."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Sequence

from bdshift.checkpoints.blind.parts import IMAGE_CHANNELS, LAYER_PARTS
from bdshift.checkpoints.families import Shapes

_MAX_LOOSE_NUMBERS = 16  # in a tensor that belongs to no layer
_STORES = ("queue", "memory_bank", "feature_bank", "label_bank")


def may_be_unused(shapes: Shapes, unused: Collection[str], classes: int = 0) -> bool:
    """Whether the network could do without the tensors ``unused``. Those may be a few numbers that
    belong to no layer (a mean, a std, a counter), linear layers with their norms (an old head, a
    projection), a loss's weights of the classes, or a separate network, which takes images itself
    or makes them. None may be inside a block that the network uses, nor take what its head returns
    for its ``classes``: half a network is not a network. Without ``classes``, it is not known yet
    how many there are.
    """
    left = set(unused)
    inside: set[str] = set()  # of these modules, something is used
    convs: set[str] = set()
    outs: set[int] = set()  # numbers of channels or features that its layers return
    for key, shape in shapes.items():
        if key in left:
            continue
        inside.update(_modules(key))
        if len(shape) > 1:
            outs.add(shape[0])
        if len(shape) == 4:
            convs.add(key)
    groups = _by_module(inside, unused)
    for module in groups:
        parent = module.rpartition(".")[0]
        if parent and 0 < sum(conv.startswith(f"{parent}.") for conv in convs) < len(convs):
            return False
    single: list[str] = []
    for keys in groups.values():
        if _is_minor(shapes, keys, outs, classes):
            continue
        if sum(len(shapes[key]) == 4 for key in keys) < 2:
            single += keys  # a layer, of a network whose layers are not in one module
        elif not _is_network(shapes[key] for key in keys):
            return False
    return not single or _is_network(shapes[key] for key in single)


def outermost(shapes: Shapes, unused: Collection[str]) -> tuple[str, ...]:
    """The modules that hold nothing but ``unused`` tensors, the outermost of each."""
    left = set(unused)
    inside = {module for key in shapes if key not in left for module in _modules(key)}
    return tuple(_by_module(inside, unused))


def _by_module(inside: Collection[str], unused: Iterable[str]) -> dict[str, list[str]]:
    """The ``unused`` keys by the outermost module that is not among those ``inside`` of which
    something is used; a tensor outside of any module by itself.
    """
    groups: dict[str, list[str]] = {}
    for key in unused:
        module = next((m for m in _modules(key) if m not in inside), key)
        groups.setdefault(module, []).append(key)
    return groups


def _modules(key: str) -> list[str]:
    """The modules that hold it, the outermost first."""
    names = key.split(".")[:-1]
    return [".".join(names[: depth + 1]) for depth in range(len(names))]


def is_loose(key: str, shape: tuple[int, ...]) -> bool:
    """Whether it is a few numbers that belong to no layer, or features of images seen before."""
    name = key.rpartition(".")[2]
    few = name not in LAYER_PARTS and math.prod(shape) <= _MAX_LOOSE_NUMBERS
    return few or name in _STORES


def _is_minor(shapes: Shapes, keys: Sequence[str], outs: Collection[int], classes: int) -> bool:
    """Whether all of them are loose, or one number for each class, or of linear layers and their
    norms that start from features which the network has.
    """
    if [len(shapes[key]) for key in keys] == [1] and classes in (0, shapes[keys[0]][0]):
        return True
    layers = [key for key in keys if not is_loose(key, shapes[key])]
    matrices = [shapes[key] for key in layers if len(shapes[key]) == 2]
    if not layers:
        return True
    return (
        bool(matrices)
        and (
            any(out and matrices[0][1] % out == 0 for out in outs)
            or sum(map(math.prod, matrices)) <= _MAX_LOOSE_NUMBERS
        )
        and all(key.rpartition(".")[2] in LAYER_PARTS and len(shapes[key]) < 3 for key in layers)
        and all(given != classes for _, given in matrices)
    )


def _is_network(shapes: Iterable[tuple[int, ...]]) -> bool:
    """Whether one of the convolutions takes an image, or makes one."""
    return any(
        len(shape) == 4
        and (
            (shape[1] in IMAGE_CHANNELS and shape[0] > shape[1])
            or (shape[0] in IMAGE_CHANNELS and shape[1] > shape[0])
        )
        for shape in shapes
    )
