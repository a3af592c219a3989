"""Keras files, written here in the layouts of Keras 2 and 3, without Keras."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

Arrays = dict[str, NDArray[np.float32]]


def layer(kind: str, name: str, **config: Any) -> dict[str, Any]:
    """A layer of a description."""
    return {"class_name": kind, "name": name, "config": {"name": name, **config}}


def sequential(*layers: dict[str, Any], side: int = 32, channels: int = 3) -> dict[str, Any]:
    """The description of a Sequential model."""
    first = layer("InputLayer", "in", batch_shape=[None, side, side, channels])
    return {"class_name": "Sequential", "config": {"name": "m", "layers": [first, *layers]}}


def write_hdf5(
    path: Path, model: dict[str, Any], weights: dict[str, Arrays], **options: Any
) -> None:
    """As ``model.save("x.h5")`` of Keras 2 does."""
    with h5py.File(path, "w") as file:
        file.attrs["keras_version"] = "2.15.0"
        file.attrs["model_config"] = json.dumps(model)
        group = file.create_group("model_weights")
        for name, arrays in weights.items():
            inside = group.create_group(name).create_group(name)
            for key, value in arrays.items():
                inside.create_dataset(f"{key}:0", data=value, **options)


def write_archive(path: Path, model: dict[str, Any], weights: dict[str, Arrays]) -> None:
    """As ``model.save("x.keras")`` of Keras 3 does; ``weights`` by the names that it gives."""
    stream = io.BytesIO()
    with h5py.File(stream, "w") as file:
        for name, arrays in weights.items():
            group = file.create_group(f"layers/{name}/vars")
            for number, value in enumerate(arrays.values()):
                group[str(number)] = value
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("metadata.json", "{}")
        archive.writestr("config.json", json.dumps(model))
        archive.writestr("model.weights.h5", stream.getvalue())


def small() -> tuple[dict[str, Any], dict[str, Arrays], nn.Module]:
    """A model of 12 classes and 32×32 images, its weights, and the same network in torch, without
    the softmax.
    """
    torch.manual_seed(0)
    conv, norm, dense = nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8, 1e-3), nn.Linear(2048, 12)
    nn.init.uniform_(norm.running_mean, -0.1, 0.1)  # type: ignore[arg-type]
    nn.init.uniform_(norm.running_var, 0.5, 2.0)  # type: ignore[arg-type]
    network = nn.Sequential(conv, nn.ReLU(), norm, nn.MaxPool2d(2), _ByPixel(), dense).eval()
    model = sequential(
        layer("Rescaling", "scale", scale=1.0, offset=0.0),
        layer("Conv2D", "conv2d", strides=[1, 1], padding="same", activation="relu"),
        layer("BatchNormalization", "batch_normalization", epsilon=1e-3, axis=[3]),
        layer("MaxPooling2D", "max_pooling2d", pool_size=[2, 2], strides=None),
        layer("Dropout", "dropout", rate=0.5),
        layer("Flatten", "flatten"),
        layer("Dense", "dense", activation="softmax"),
    )
    state = {key: value.detach().numpy() for key, value in network.state_dict().items()}
    weights: dict[str, Arrays] = {
        "conv2d": {"kernel": state["0.weight"].transpose(2, 3, 1, 0), "bias": state["0.bias"]},
        "batch_normalization": {
            "gamma": state["2.weight"],
            "beta": state["2.bias"],
            "moving_mean": state["2.running_mean"],
            "moving_variance": state["2.running_var"],
        },
        "dense": {"kernel": state["5.weight"].T, "bias": state["5.bias"]},
    }
    return model, weights, network


class _ByPixel(nn.Module):
    """Flattens as Keras does."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.permute(0, 2, 3, 1).flatten(1)
