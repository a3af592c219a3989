"""Where neurons look in images of the audit."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from bdshift.audit.stages import Material
from bdshift.images.decode import decode_image
from bdshift.jobs import SILENT, JobContext
from bdshift.neurons.spatial import NeuronMaps, neuron_maps
from bdshift.shift.embed import Embedding
from bdshift.triggers import Trigger
from bdshift.words import Sentence

_AT_ONCE = 4  # images: all layers' maps are kept


def maps_of(
    material: Material,
    embedding: Embedding,
    neurons: Sequence[int],
    rows: Sequence[int] | NDArray[np.int64],
    *,
    trigger: Trigger | None = None,
    job: JobContext = SILENT,
) -> NeuronMaps:
    """Where ``neurons`` look in some images of ``embedding``.

    Args:
        material: the classifier, and the images as the audit had them.
        embedding: the clean pass, or the one with ``trigger``.
        neurons: indices into the embedding's neurons.
        rows: indices into the embedding's images, at least one.
        trigger: applied to the pixels.
        job: progress, and cancellation, checked after every few images.

    Raises `InputError` as `bdshift.neurons.spatial.neuron_maps` does.
    """
    classifier, clean = material.classifier, material.clean
    preprocess = classifier.preprocessing
    found: list[NeuronMaps] = []
    for start in range(0, len(rows), _AT_ONCE):
        job.progress(Sentence("Mapping where the neuron looks"), start, len(rows), "images")
        decoded = [
            decode_image(
                clean.collection.read(embedding.files[int(row)]), preprocess.size,
                preprocess.framing,
            )
            for row in rows[start : start + _AT_ONCE]
        ]  # fmt: skip
        pixels = torch.from_numpy(np.stack(decoded)).float()
        pixels = pixels if trigger is None else trigger(pixels)
        pixels = pixels.to(classifier.weight.device)
        found.append(neuron_maps(classifier, preprocess(pixels), neurons))
    shape = found[0].values.shape[1:]
    return NeuronMaps(
        np.concatenate([_as_large_as(shape, one.values) for one in found]), found[0].kind
    )


def _as_large_as(shape: tuple[int, ...], values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Maps of another layer, on which only these images depend, at the shape of the others."""
    if values.shape[1:] == shape:
        return values
    planes = torch.from_numpy(values)[:, None]
    found: NDArray[np.float32] = functional.interpolate(planes, shape)[:, 0].numpy()
    return found
