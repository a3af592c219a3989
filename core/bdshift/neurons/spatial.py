"""Where in the image a neuron looks: its feature map before pooling."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from bdshift.checkpoints.classifier import Classifier
from bdshift.errors import InputError

_MAX_DIFFERENCE = 1e-3  # relative; up to this, a pooled map counts as the embedding


def feature_maps(classifier: Classifier, images: torch.Tensor) -> NDArray[np.float32]:
    """Maps whose mean over the image is φ: float32 (n, d, h, w), for preprocessed ``images``.

    The network's last map with d channels is found by trying: its mean, or that of its ReLU, must
    be the embedding. Raises `InputError` if there is none, as in a network that does not pool.
    """
    seen: list[torch.Tensor] = []

    def note(_module: nn.Module, _inputs: object, output: object) -> None:
        if isinstance(output, torch.Tensor) and output.dim() == 4:
            seen.append(output)

    hooks = [module.register_forward_hook(note) for module in classifier.network.modules()]
    try:
        phi, _ = classifier.embed(images)
    finally:
        for hook in hooks:
            hook.remove()
    scale = phi.abs().max().clamp(min=1e-12)
    for found in reversed(seen):
        if found.shape[1] != phi.shape[1] or found.shape[2] * found.shape[3] < 2:
            continue
        for maps in (found, found.relu()):
            if (maps.mean((2, 3)) - phi).abs().max() <= _MAX_DIFFERENCE * scale:
                return maps.float().cpu().numpy()
    raise InputError("{path}: its embedding is not the mean of a map", path=classifier.path)
