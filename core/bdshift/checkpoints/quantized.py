"""Weights that are stored as 8-bit integers with a scale and a zero point, as the numbers that they
stand for.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn

from bdshift.checkpoints.tensors import MAX_DIMENSIONS, LazyTensor
from bdshift.errors import InputError
from bdshift.pickle_values import Name, Opaque, StorageRef, TensorRef

if TYPE_CHECKING:
    import torch

REBUILD = "torch._utils._rebuild_qtensor"
PACKED = "._packed_params._packed_params"
"""How torch's quantized linear layers name the pair of their weight and bias in a state dict."""

_SETTINGS = ("scale", "zero_point")  # of a quantized layer's output


def dequantized(value: Opaque, make: Callable[[TensorRef], LazyTensor]) -> LazyTensor:
    """A recorded quantized tensor as float32; ``make`` makes its parts readable.

    Raises `InputError` if it is quantized in another way than by tensor or by channel.
    """
    args = value.args
    if not isinstance(args, tuple) or len(args) < 5 or not isinstance(args[0], StorageRef):
        _refuse()
    storage, offset, shape, stride, how = args[:5]
    if type(offset) is not int or offset < 0 or not _are_sizes(shape) or not _are_sizes(stride):
        _refuse()
    if len(shape) != len(stride) or not isinstance(how, tuple) or not how:
        _refuse()
    integers = make(TensorRef(storage, offset, tuple(shape), tuple(stride)))
    if how[0] == Name("torch", "per_tensor_affine") and len(how) == 3:
        scale, zero = how[1:]
        if type(scale) is not float or type(zero) is not int or not math.isfinite(scale):
            _refuse()
        return LazyTensor(tuple(shape), "float32", partial(_by_tensor, integers, scale, zero))
    if how[0] == Name("torch", "per_channel_affine") and len(how) == 4:
        refs, axis = how[1:3], how[3]
        if not all(isinstance(ref, TensorRef) for ref in refs) or type(axis) is not int:
            _refuse()
        scales, zeros = (make(ref) for ref in refs)
        if not 0 <= axis < len(shape) or {scales.shape, zeros.shape} != {(shape[axis],)}:
            _refuse()
        return LazyTensor(
            tuple(shape), "float32", partial(_by_channel, integers, scales, zeros, axis)
        )
    _refuse()


def _refuse() -> NoReturn:
    raise InputError("holds a quantized tensor of a kind that is not read")


def _are_sizes(value: Any) -> bool:
    if not isinstance(value, (tuple, list)) or len(value) > MAX_DIMENSIONS:
        return False  # a product of a million sizes takes hours
    return all(type(n) is int and n >= 0 for n in value)


def _by_tensor(integers: LazyTensor, scale: float, zero: int) -> torch.Tensor:
    return (integers.load().double() - zero).mul_(scale).float()


def _by_channel(
    integers: LazyTensor, scales: LazyTensor, zeros: LazyTensor, axis: int
) -> torch.Tensor:
    shape = [1] * len(integers.shape)
    shape[axis] = -1
    scale, zero = (part.load().double().view(shape) for part in (scales, zeros))
    return ((integers.load().double() - zero) * scale).float()


def unpacked(held: Mapping[Any, Any]) -> Mapping[Any, Any]:
    """A state dict whose quantized linear layers have a weight and a bias, like any other; itself
    if it has none.
    """
    paths = {
        key.removesuffix(PACKED)
        for key in held
        if isinstance(key, str) and key.endswith(PACKED) and _is_pair(held[key])
    }
    if not paths:
        return held
    found: dict[Any, Any] = {}
    for key, item in held.items():
        path = key.partition("._packed_params")[0] if isinstance(key, str) else ""
        if path in paths and key.endswith(PACKED):
            found[f"{path}.weight"], bias = item
            if bias is not None:
                found[f"{path}.bias"] = bias
        elif path not in paths and not _is_setting(key, paths):
            found[key] = item
    return found


def _is_pair(value: Any) -> bool:
    return (
        isinstance(value, list)
        and len(value) == 2
        and isinstance(value[0], LazyTensor)
        and (value[1] is None or isinstance(value[1], LazyTensor))
    )


def _is_setting(key: Any, paths: set[str]) -> bool:
    path, _, name = str(key).rpartition(".")
    return path in paths and name in _SETTINGS
