"""Where neurons look in the images that excite them most."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from bdshift.audit.stages import Material
from bdshift.images.decode import decode_image
from bdshift.jobs import SILENT, JobContext
from bdshift.neurons.excite import most_excited
from bdshift.neurons.spatial import feature_maps
from bdshift.shift.embed import Embedding
from bdshift.triggers import Trigger


def maps_of(
    material: Material,
    embedding: Embedding,
    neurons: Sequence[int],
    count: int,
    *,
    trigger: Trigger | None = None,
    without: int | None = None,
    job: JobContext = SILENT,
) -> NDArray[np.float32]:
    """Feature maps before pooling, averaged over the neurons, float32 (count, h, w), of the images
    of ``embedding`` that excite the neurons most, the strongest first.

    Args:
        material: the classifier, and the images as the audit had them.
        embedding: the clean pass, or the one with ``trigger``.
        neurons: indices into the embedding's neurons.
        count: maximum number of images.
        trigger: applied to the pixels.
        without: a class whose images are left out.
        job: cancellation, checked at every image.

    Raises `InputError` as `bdshift.neurons.spatial.feature_maps` does.
    """
    classifier, clean = material.classifier, material.clean
    preprocess = classifier.preprocessing
    found = []
    for row in most_excited(embedding, neurons, count, without=without):
        job.raise_if_canceled()
        data = clean.collection.read(embedding.files[row])
        pixels = torch.from_numpy(decode_image(data, preprocess.size, preprocess.framing))[
            None
        ].float()
        pixels = pixels if trigger is None else trigger(pixels)
        maps = feature_maps(classifier, preprocess(pixels))[0]
        found.append(maps[list(neurons)].mean(0))
    return np.stack(found)
