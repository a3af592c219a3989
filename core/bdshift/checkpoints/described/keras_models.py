"""Keras models, as ``model.save`` writes them: HDF5 files, and .keras archives."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from bdshift.checkpoints.described import functions
from bdshift.checkpoints.described.drawing import Drawing, Drawn
from bdshift.checkpoints.described.keras_file import (
    MODELS,
    KerasFile,
    Weights,
    description,
    parsed,
)
from bdshift.checkpoints.described.keras_layers import draw
from bdshift.checkpoints.described.network import DescribedNetwork
from bdshift.checkpoints.hashed import HashedFile
from bdshift.checkpoints.tensors import LazyTensor
from bdshift.checkpoints.torch_files import Read
from bdshift.checkpoints.torch_zip import KERAS_DESCRIPTION, KERAS_WEIGHTS, Span
from bdshift.errors import InputError

_HDF5, _ARCHIVE = "Keras HDF5", "Keras archive"
_MAX_TEXT_BYTES = 16 * 1024 * 1024
_MAX_LAYERS = 5000
_MAX_SIZE = 2**32
_USUAL_SIDE = 224  # of images in pixels, where a model takes any size
_NUMBERED: Mapping[str, tuple[str, ...]] = {
    "Conv2D": ("kernel", "bias"),
    "Dense": ("kernel", "bias"),
    "DepthwiseConv2D": ("kernel", "bias"),
    "SeparableConv2D": ("depthwise_kernel", "pointwise_kernel", "bias"),
    "BatchNormalization": ("gamma", "beta", "moving_mean", "moving_variance"),
}
"""Weights of a layer in their order, in which newer files number them."""


def read_keras_hdf5(file: HashedFile, opened: KerasFile) -> Read:
    """The network of an HDF5 file that ``model.save`` wrote; ``opened`` is the same file.

    Raises `InputError`, without the path, if it is another kind of HDF5 file, or its network is not
    one of layers that are known.
    """
    if "model_weights" not in opened.roots:
        if opened.holds("layer_names") or "layers" in opened.roots:
            raise InputError(
                "holds the weights of a Keras model without its layers (save_weights); give what "
                "model.save() writes"
            )
        raise InputError(
            "is an HDF5 file, but not a Keras model; an audit of bdshift is read by bdshift neurons"
        )
    found = description(file, (0, file.size))
    if found is None:
        raise InputError("holds a Keras model without a description of its layers")
    layers = _layers(found)
    held = opened.weights("model_weights")
    inside = _by_layer(held)
    weights = {layer["name"]: inside.get(layer["name"], {}) for layer in layers}
    return _HDF5, _network(found, layers, weights), ()


def _by_layer(weights: Weights) -> Mapping[str, Mapping[str, LazyTensor]]:
    """A layer's weights: they are in groups within its group, under names of their own."""
    found: dict[str, dict[str, LazyTensor]] = {}
    for path, own in weights.items():
        parts = path.split("/")
        for count in range(1, len(parts) + 1):
            found.setdefault("/".join(parts[:count]), {}).update(own)
    return found


def read_keras_archive(file: HashedFile, entries: Mapping[str, Span]) -> Read:
    """The network of a .keras archive; raises as `read_keras_hdf5` does."""
    start, end = entries[KERAS_DESCRIPTION]
    if end - start > _MAX_TEXT_BYTES:
        raise InputError("its description is too large")
    found = parsed(bytes(file.read(start, end - start)))
    layers = _layers(found)
    held = KerasFile(file, entries[KERAS_WEIGHTS]).weights("layers")
    weights = {}
    counts: Counter[str] = Counter()
    for layer in layers:
        kind = layer["class_name"]
        base = _snake_case(kind)
        number, counts[base] = counts[base], counts[base] + 1
        own = held.get(base if not number else f"{base}_{number}", {})
        names = _names(kind, layer["config"])
        weights[layer["name"]] = {
            name: own[str(place)] for place, name in enumerate(names) if str(place) in own
        }
    return _ARCHIVE, _network(found, layers, weights), ()


def _snake_case(kind: str) -> str:
    """As Keras names layers in its archives: "MaxPooling2D" is "max_pooling2d"."""
    found = ""
    for place, letter in enumerate(kind):
        before = kind[max(0, place - 1) : place]
        after = kind[place + 1 : place + 2]
        if (
            letter.isupper()
            and place
            and (before.islower() or (before.isupper() and after.islower()))
        ):
            found += "_"
        found += letter.lower()
    return found


def _names(kind: str, config: Mapping[str, Any]) -> list[str]:
    left_out = {
        "bias": not config.get("use_bias", True),
        "gamma": not config.get("scale", True),
        "beta": not config.get("center", True),
    }
    return [name for name in _NUMBERED.get(kind, ()) if not left_out.get(name, False)]


def _layers(model: Any) -> list[dict[str, Any]]:
    """The layers that a model describes, each with its class's name, its own and its settings."""
    kind = model.get("class_name") if isinstance(model, dict) else None
    if kind not in MODELS:
        raise InputError(
            "is a Keras model of the kind {kind}, whose layers are in its code; only Sequential "
            "and Functional ones are read",
            kind=str(kind)[:40],
        )
    config = model.get("config")
    rows = config.get("layers") if isinstance(config, dict) else config
    if not isinstance(rows, list) or not 0 < len(rows) <= _MAX_LAYERS:
        raise _broken()
    found = []
    for row in rows:
        settings = row.get("config") if isinstance(row, dict) else None
        if not isinstance(settings, dict) or not isinstance(row.get("class_name"), str):
            raise _broken()
        name = row.get("name") or settings.get("name")
        if not isinstance(name, str) or not 0 < len(name) <= 200:
            raise _broken()
        if "layers" in settings:
            raise InputError(
                "is a Keras model with another model inside, {name}, which bdshift does not "
                "rebuild",
                name=name[:80],
            )
        found.append({**row, "name": name})
    if len({row["name"] for row in found}) < len(found):
        raise _broken()
    return found


def _broken() -> InputError:
    return InputError("holds a Keras model whose description is broken")


def _network(
    model: Mapping[str, Any],
    layers: Sequence[Mapping[str, Any]],
    weights: Mapping[str, Mapping[str, LazyTensor]],
) -> DescribedNetwork:
    drawing = Drawing()
    values: dict[str, Drawn] = {}
    sequential = model["class_name"] == "Sequential"
    image: Drawn | None = None
    any_size = False
    value: Drawn | None = None
    for layer in layers:
        name, kind, config = layer["name"], layer["class_name"], layer["config"]
        shape = config.get("batch_shape") or config.get("batch_input_shape")
        if image is None:
            image, value, any_size = _input(drawing, shape)
            if kind == "InputLayer":
                values[name] = value
                continue
            inputs = [value]
        elif kind == "InputLayer":
            raise InputError("has several inputs")
        elif sequential:
            assert value is not None
            inputs = [value]
        else:
            inputs = [_value(values, one) for one in _inbound(layer)]
        value = draw(drawing, kind, name, config, weights[name], inputs)
        values[name] = value
    assert image is not None
    assert value is not None
    output = value if sequential else _value(values, _output(model))
    count = sum(kind["class_name"] != "InputLayer" for kind in layers)
    name = f"Keras {model['class_name']} of {count} layers"
    candidate = drawing.finished(name, image, output, any_size=any_size)
    return DescribedNetwork(drawing.tensors, candidate)


def _input(drawing: Drawing, shape: Any) -> tuple[Drawn, Drawn, bool]:
    """The image, the value that the first layer gets, and whether any size will do."""
    sizes = list(shape[1:]) if isinstance(shape, (list, tuple)) else []
    if not all(size is None or (type(size) is int and size < _MAX_SIZE) for size in sizes):
        raise _broken()
    any_size = len(sizes) == 3 and sizes[:2] == [None, None]
    if any_size:
        sizes = [_USUAL_SIDE, _USUAL_SIDE, sizes[2]]
    if None in sizes or not sizes:
        raise InputError("holds a Keras model that does not say how large its images are")
    if len(sizes) == 1:  # pixels in a row
        for channels in (1, 3):
            side = round((max(0, sizes[0]) / channels) ** 0.5)
            if side * side * channels == sizes[0]:
                image = drawing.image((channels, side, side))
                return image, drawing.function(functions.flatten_by_pixel, image), False
    if len(sizes) == 2:  # gray images without channels, which can only be flattened
        sizes = [*sizes, 1]
    if len(sizes) != 3:
        raise InputError("holds a Keras model that takes no images")
    image = drawing.image((sizes[2], sizes[0], sizes[1]))
    return image, image, any_size


def _value(values: Mapping[str, Drawn], name: str) -> Drawn:
    if name not in values:
        raise _broken()
    return values[name]


def _inbound(layer: Mapping[str, Any]) -> list[str]:
    """Names of the layers whose outputs a layer takes, in either of two notations."""
    nodes = layer.get("inbound_nodes")
    if not isinstance(nodes, list) or len(nodes) != 1:
        raise InputError("uses its layer {name} several times, or not at all", name=layer["name"])
    [node] = nodes
    if isinstance(node, dict):
        args = node.get("args")
        args = args[0] if isinstance(args, list) and len(args) == 1 else None
        tensors = args if isinstance(args, list) else [args]
        held = [one.get("config") if isinstance(one, dict) else None for one in tensors]
        places = [one.get("keras_history") if isinstance(one, dict) else None for one in held]
    else:
        places = node if isinstance(node, list) else [None]
        if places and isinstance(places[0], str):
            places = [places]
    return [_place(one) for one in places]


def _place(place: Any) -> str:
    """The layer's name in [name, node, output, …]."""
    if not isinstance(place, (list, tuple)) or len(place) < 3 or not isinstance(place[0], str):
        raise _broken()
    if tuple(place[1:3]) != (0, 0) or (len(place) > 3 and place[3]):
        raise _broken()
    return place[0]


def _output(model: Mapping[str, Any]) -> str:
    config = model["config"]
    outputs = config.get("output_layers") if isinstance(config, dict) else None
    if isinstance(outputs, list) and len(outputs) == 3 and isinstance(outputs[0], str):
        return _place(outputs)
    if not isinstance(outputs, list) or len(outputs) != 1:
        raise InputError("has several outputs")
    return _place(outputs[0])
