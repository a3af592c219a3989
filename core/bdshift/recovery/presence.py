"""Whether clean images of a class carry a change already: a trigger that goes with a class by
nature is in them, one that an attacker added is not.
"""

from __future__ import annotations

import numpy as np
import torch

from bdshift.changes import ChangeKind, Params
from bdshift.images.collection import ImageCollection
from bdshift.images.loader import decode_all
from bdshift.recovery.scene import Scene
from bdshift.shift.embed import Embedding

OWN_IMAGES = 200
"""Most images of a class that are looked at."""

ENOUGH_OWN = 10
"""Images of a class from which on they are looked at: of fewer, two or three that look alike are a
large share.
"""

_MUCH = 0.5  # of what the change does to an image
_RARE = 0.99  # share of the other classes' images that have less


def presence(kind: ChangeKind, params: Params, own: torch.Tensor, others: torch.Tensor) -> float:
    """Share of the images ``own``, float32 (n, 3, s, s) in [0, 1], that look as if one change had
    been made to them. NaN for fewer than ten images, or for a change that does nothing on average.

    How much an image looks like that is its deviation from the mean of the images ``others`` along
    what the change does to those on average, 1 being all of it. It counts from half, if fewer than
    one in a hundred of the others has as much.
    """
    if len(own) < ENOUGH_OWN or not len(others):
        return float("nan")
    with torch.no_grad():
        does = (kind.changed(params, others)[0] - others).mean(0)
        whole = does.square().sum()
        if not float(whole) > 0:
            return float("nan")
        middle = others.mean(0)
        much, usual = (((some - middle) * does).sum((1, 2, 3)) / whole for some in (own, others))
        limit = max(_MUCH, float(usual.quantile(_RARE)))
        return float((much > limit).float().mean())


def own_images(
    scene: Scene, collection: ImageCollection, embedding: Embedding, target: int
) -> torch.Tensor:
    """Up to `OWN_IMAGES` clean images of a class, float32 (n, 3, s, s) in [0, 1]."""
    rows = np.flatnonzero(embedding.labels == target)[:OWN_IMAGES]
    plain = scene.classifier.preprocessing
    files = [embedding.files[row] for row in rows]
    found = decode_all(collection, files, plain.size, framing=plain.framing, job=scene.job)
    return torch.from_numpy(found.pixels).to(scene.device).float() / 255
