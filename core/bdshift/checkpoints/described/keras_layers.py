"""Each layer of a Keras model as one of ours. Kernels are (H, W, in, out) there and (out, in, H, W)
here; what is flattened is flattened pixel by pixel.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from torch import nn
from torch.nn import functional

from bdshift.checkpoints.described import functions as f
from bdshift.checkpoints.described.drawing import Drawing, Drawn
from bdshift.checkpoints.families.network import Pair, add, concatenate, pad_same
from bdshift.checkpoints.tensors import LazyTensor
from bdshift.errors import InputError

if TYPE_CHECKING:
    import torch

Config = Mapping[str, Any]
Own = Mapping[str, LazyTensor]
Layer = Callable[[Drawing, str, Config, Own, Sequence[Drawn]], Drawn]
"""From a layer's name, configuration, weights and inputs to its output."""

_MAX_PIXELS = 64  # of a stride, a window or a padding

_NOTHING_AT_INFERENCE = (
    "Dropout", "SpatialDropout2D", "GaussianNoise", "GaussianDropout", "AlphaDropout",
    "ActivityRegularization", "RandomFlip", "RandomRotation", "RandomZoom", "RandomTranslation",
    "RandomContrast", "RandomBrightness", "RandomCrop", "InputLayer",
)  # fmt: skip


def draw(
    drawing: Drawing, kind: str, name: str, config: Config, own: Own, inputs: Sequence[Drawn]
) -> Drawn:
    """A layer's output. Raises `InputError` for a layer of a kind that is not known."""
    if kind in _NOTHING_AT_INFERENCE and len(inputs) == 1:
        return inputs[0]
    if kind not in LAYERS:
        raise InputError(
            "is a Keras model with a layer of the kind {kind}, which bdshift does not rebuild",
            kind=kind[:40],
        )
    if any(config.get("data_format", "channels_last") != "channels_last" for _ in inputs):
        raise InputError("its layer {name} has its channels first, which is not read", name=name)
    drawn = LAYERS[kind](drawing, name, config, own, inputs)
    activation = config.get("activation", "linear") if kind in _WITH_ACTIVATION else "linear"
    return _activated(drawing, activation, drawn)


def _refuse(name: str, setting: str) -> InputError:
    return InputError(
        "its layer {name} has a {setting} that bdshift does not rebuild", name=name, setting=setting
    )


def _activated(drawing: Drawing, activation: Any, value: Drawn) -> Drawn:
    if isinstance(activation, dict):  # newer files name a class, or a function that is not theirs
        activation = activation.get("config") if not activation.get("registered_name") else None
    if activation in (None, "linear"):
        return value
    if not isinstance(activation, str) or activation not in f.ACTIVATIONS:
        raise InputError("its activation {name} is not known to bdshift", name=str(activation)[:40])
    return drawing.function(f.ACTIVATIONS[activation], value)


def _pair(config: Config, key: str, name: str, default: Any = 1) -> Pair:
    value = config.get(key)
    value = default if value is None else value
    pair = [value, value] if type(value) is int else value
    if not isinstance(pair, (list, tuple)) or len(pair) != 2:
        raise _refuse(name, key)
    if not all(type(n) is int and 0 < n <= _MAX_PIXELS for n in pair):
        raise _refuse(name, key)
    return pair[0], pair[1]


def _is_same(config: Config, name: str) -> bool:
    padding = config.get("padding", "valid")
    if padding not in ("same", "valid"):
        raise _refuse(name, "padding")
    return bool(padding == "same")


def _number(config: Config, key: str, name: str, default: float) -> float:
    value = config.get(key, default)
    if isinstance(value, dict):
        inner = value.get("config")
        value = inner.get("value") if isinstance(inner, dict) else None
    if type(value) not in (int, float) or not abs(value) <= 1e9:  # nor is NaN
        raise _refuse(name, key)
    return float(value)


def turned(tensor: LazyTensor, *order: int) -> LazyTensor:
    """A tensor with its dimensions in another order."""

    def read() -> torch.Tensor:
        return tensor.load().permute(order).contiguous()

    shape = tuple(tensor.shape[axis] for axis in order)
    return LazyTensor(shape, tensor.dtype, read)


def _reshaped(tensor: LazyTensor, *shape: int) -> LazyTensor:
    return LazyTensor(shape, tensor.dtype, lambda: tensor.load().reshape(shape))


def _filled(count: int, value: float) -> LazyTensor:
    import torch

    return LazyTensor((count,), "float32", lambda: torch.full((count,), value))


def _weight(own: Own, name: str, keys: Sequence[str], dims: int) -> LazyTensor:
    found = next((own[key] for key in keys if key in own), None)
    if found is None or len(found.shape) != dims or not found.dtype.startswith("float"):
        raise InputError("the weights of its layer {name} are missing", name=name)
    return found


def _bias(own: Own, config: Config, name: str) -> Own:
    if not config.get("use_bias", True):
        return {}
    return {"bias": _weight(own, name, ("bias",), 1)}


def _one(name: str, inputs: Sequence[Drawn]) -> Drawn:
    if len(inputs) != 1:
        raise InputError("its layer {name} has {count} inputs", name=name, count=len(inputs))
    return inputs[0]


def _convolved(
    drawing: Drawing, name: str, config: Config, kernel: LazyTensor, bias: Own, groups: int,
    value: Drawn, *, plain: bool = False,
) -> Drawn:  # fmt: skip
    """``kernel`` is (out, in / groups, H, W); ``plain`` is for a convolution of stride 1."""
    stride = (1, 1) if plain else _pair(config, "strides", name)
    dilation = (1, 1) if plain else _pair(config, "dilation_rate", name)
    size = kernel.shape[2], kernel.shape[3]
    padding: Pair = (0, 0)
    if not plain and _is_same(config, name):
        odd = all(n % 2 for n in size)
        if stride == (1, 1) and odd:
            padding = (size[0] // 2 * dilation[0], size[1] // 2 * dilation[1])
        else:
            value = drawing.function(partial(pad_same, how=(size, stride, dilation)), value)
    make = partial(
        nn.Conv2d, kernel.shape[1] * groups, kernel.shape[0], size, stride, padding, dilation,
        groups, bool(bias),
    )  # fmt: skip
    return drawing.layer(name, make, {"weight": kernel, **bias}, value)


def _convolution(
    drawing: Drawing, name: str, config: Config, own: Own, inputs: Sequence[Drawn]
) -> Drawn:
    groups = config.get("groups", 1)
    kernel = turned(_weight(own, name, ("kernel", "0"), 4), 3, 2, 0, 1)
    if type(groups) is not int or not 0 < groups <= kernel.shape[0]:
        raise _refuse(name, "groups")
    bias = _bias(own, config, name)
    return _convolved(drawing, name, config, kernel, bias, groups, _one(name, inputs))


def _by_channel(tensor: LazyTensor) -> tuple[LazyTensor, int]:
    """A depthwise kernel (H, W, C, multiplier) as (C · multiplier, 1, H, W); and C."""
    height, width, channels, times = tensor.shape
    inner = turned(tensor, 2, 3, 0, 1)
    return _reshaped(inner, channels * times, 1, height, width), channels


def _depthwise(
    drawing: Drawing, name: str, config: Config, own: Own, inputs: Sequence[Drawn]
) -> Drawn:
    kernel, channels = _by_channel(_weight(own, name, ("depthwise_kernel", "kernel", "0"), 4))
    bias = _bias(own, config, name)
    return _convolved(drawing, name, config, kernel, bias, channels, _one(name, inputs))


def _separable(
    drawing: Drawing, name: str, config: Config, own: Own, inputs: Sequence[Drawn]
) -> Drawn:
    kernel, channels = _by_channel(_weight(own, name, ("depthwise_kernel", "0"), 4))
    point = turned(_weight(own, name, ("pointwise_kernel", "1"), 4), 3, 2, 0, 1)
    inner = _convolved(
        drawing, f"{name}/depthwise", config, kernel, {}, channels, _one(name, inputs)
    )
    bias = _bias(own, config, name)
    return _convolved(drawing, name, config, point, bias, 1, inner, plain=True)


def _dense(drawing: Drawing, name: str, config: Config, own: Own, inputs: Sequence[Drawn]) -> Drawn:
    value = _one(name, inputs)
    weight = turned(_weight(own, name, ("kernel", "0"), 2), 1, 0)
    if len(value.shape) != 1:
        raise InputError("its layer {name} is applied to every pixel, which is not read", name=name)
    bias = _bias(own, config, name)
    make = partial(nn.Linear, weight.shape[1], weight.shape[0], bool(bias))
    return drawing.layer(name, make, {"weight": weight, **bias}, value)


def _batch_norm(
    drawing: Drawing, name: str, config: Config, own: Own, inputs: Sequence[Drawn]
) -> Drawn:
    value = _one(name, inputs)
    axis = config.get("axis", -1)
    axis = axis[0] if isinstance(axis, list) and len(axis) == 1 else axis
    if axis not in (-1, len(value.shape)):
        raise _refuse(name, "axis")
    mean = _weight(own, name, ("moving_mean",), 1)
    count = mean.shape[0]
    tensors = {
        "running_mean": mean,
        "running_var": _weight(own, name, ("moving_variance",), 1),
        "weight": _weight(own, name, ("gamma",), 1) if config.get("scale", True) and "gamma" in own
        else _filled(count, 1.0),
        "bias": _weight(own, name, ("beta",), 1) if config.get("center", True) and "beta" in own
        else _filled(count, 0.0),
    }  # fmt: skip
    kind = nn.BatchNorm2d if len(value.shape) == 3 else nn.BatchNorm1d
    make = partial(kind, count, eps=_number(config, "epsilon", name, 1e-3))
    return drawing.layer(name, make, tensors, value)


def _max_pool(
    drawing: Drawing, name: str, config: Config, own: Own, inputs: Sequence[Drawn]
) -> Drawn:
    return _pool(f.max_pool, drawing, name, config, inputs)


def _average_pool(
    drawing: Drawing, name: str, config: Config, own: Own, inputs: Sequence[Drawn]
) -> Drawn:
    return _pool(f.average_pool, drawing, name, config, inputs)


def _pool(
    does: Callable[..., torch.Tensor], drawing: Drawing, name: str, config: Config,
    inputs: Sequence[Drawn],
) -> Drawn:  # fmt: skip
    kernel = _pair(config, "pool_size", name, 2)
    stride = _pair(config, "strides", name, list(kernel))
    pool = partial(does, kernel=kernel, stride=stride, same=_is_same(config, name))
    return drawing.function(pool, _one(name, inputs))


def _padding(
    drawing: Drawing, name: str, config: Config, own: Own, inputs: Sequence[Drawn]
) -> Drawn:
    given = config.get("padding", 1)
    rows = [given, given] if type(given) is int else given
    if not isinstance(rows, list) or len(rows) != 2:
        raise _refuse(name, "padding")
    pairs = [[row, row] if type(row) is int else row for row in rows]
    if not all(isinstance(p, list) and len(p) == 2 for p in pairs):
        raise _refuse(name, "padding")
    (top, bottom), (left, right) = pairs
    sides = left, right, top, bottom
    if not all(type(n) is int and 0 <= n <= _MAX_PIXELS for n in sides):
        raise _refuse(name, "padding")
    return drawing.function(partial(f.pad_zeros, sides=sides), _one(name, inputs))


def _reshape(
    drawing: Drawing, name: str, config: Config, own: Own, inputs: Sequence[Drawn]
) -> Drawn:
    value, shape = _one(name, inputs), config.get("target_shape")
    numbers = math.prod(value.shape)
    if not isinstance(shape, list) or not all(type(n) is int and n >= -1 for n in shape):
        raise _refuse(name, "target_shape")
    if len(shape) == 1 and shape[0] in (-1, numbers):
        return drawing.function(f.flatten_by_pixel, value)
    if len(shape) == 3 and -1 not in shape and math.prod(shape) == numbers:
        flat = drawing.function(f.flatten_by_pixel, value)
        return drawing.function(
            partial(f.unflatten_by_pixel, shape=(shape[0], shape[1], shape[2])), flat
        )
    raise _refuse(name, "target_shape")


def _rescaling(
    drawing: Drawing, name: str, config: Config, own: Own, inputs: Sequence[Drawn]
) -> Drawn:
    parts = []
    for key, default in (("scale", 1.0), ("offset", 0.0)):
        value = config.get(key, default)
        values = value if isinstance(value, list) else [value]
        parts.append(tuple(_number({key: one}, key, name, default) for one in values[:3]))
    return drawing.function(partial(f.rescale, scale=parts[0], offset=parts[1]), _one(name, inputs))


def _relu(drawing: Drawing, name: str, config: Config, own: Own, inputs: Sequence[Drawn]) -> Drawn:
    top = None if config.get("max_value") is None else _number(config, "max_value", name, 6.0)
    if config.get("threshold"):
        raise _refuse(name, "threshold")
    slope = _number(config, "negative_slope", name, 0.0) if config.get("negative_slope") else 0.0
    return drawing.function(partial(f.clipped_relu, slope=slope, top=top), _one(name, inputs))


def _leaky_relu(
    drawing: Drawing, name: str, config: Config, own: Own, inputs: Sequence[Drawn]
) -> Drawn:
    key = "negative_slope" if "negative_slope" in config else "alpha"
    slope = _number(config, key, name, 0.3)
    return drawing.function(
        partial(functional.leaky_relu, negative_slope=slope), _one(name, inputs)
    )


def _elu(drawing: Drawing, name: str, config: Config, own: Own, inputs: Sequence[Drawn]) -> Drawn:
    alpha = _number(config, "alpha", name, 1.0)
    return drawing.function(partial(functional.elu, alpha=alpha), _one(name, inputs))


def _simple(does: Callable[..., torch.Tensor]) -> Layer:
    def layer(
        drawing: Drawing, name: str, config: Config, own: Own, inputs: Sequence[Drawn]
    ) -> Drawn:
        return drawing.function(does, *inputs)

    return layer


def _global(does: Callable[..., torch.Tensor]) -> Layer:
    def layer(
        drawing: Drawing, name: str, config: Config, own: Own, inputs: Sequence[Drawn]
    ) -> Drawn:
        if config.get("keepdims"):
            raise _refuse(name, "keepdims")
        return drawing.function(does, _one(name, inputs))

    return layer


def _concatenate(
    drawing: Drawing, name: str, config: Config, own: Own, inputs: Sequence[Drawn]
) -> Drawn:
    if config.get("axis", -1) not in (-1, len(inputs[0].shape)):
        raise _refuse(name, "axis")
    return drawing.function(concatenate, *inputs)


LAYERS: Mapping[str, Layer] = {
    "Conv2D": _convolution,
    "DepthwiseConv2D": _depthwise,
    "SeparableConv2D": _separable,
    "Dense": _dense,
    "BatchNormalization": _batch_norm,
    "MaxPooling2D": _max_pool,
    "AveragePooling2D": _average_pool,
    "GlobalAveragePooling2D": _global(f.mean_of_pixels),
    "GlobalMaxPooling2D": _global(f.largest_of_pixels),
    "ZeroPadding2D": _padding,
    "Flatten": _simple(f.flatten_by_pixel),
    "Reshape": _reshape,
    "Rescaling": _rescaling,
    "Activation": _simple(lambda x: x),
    "ReLU": _relu,
    "LeakyReLU": _leaky_relu,
    "ELU": _elu,
    "Softmax": _simple(f.softmax),
    "Add": _simple(add),
    "Multiply": _simple(f.multiply),
    "Average": _simple(f.average),
    "Concatenate": _concatenate,
}
"""By the class names of Keras."""

_WITH_ACTIVATION = ("Conv2D", "DepthwiseConv2D", "SeparableConv2D", "Dense", "Activation")
