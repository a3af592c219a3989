"""What formats that hold the network as a graph have in common.

They take normalized images (n, channels, size, size), any n, and return logits (n, C); the metadata
says how to normalize.
"""

from __future__ import annotations

import json

import torch

from bdshift.checkpoints.classifier import Classifier
from bdshift.checkpoints.export.form import Metadata


def example(classifier: Classifier) -> torch.Tensor:
    """Two images: with one, torch would treat the batch size as a constant."""
    preprocess = classifier.preprocessing
    return torch.zeros(2, preprocess.channels, preprocess.size, preprocess.size)


def with_preprocessing(classifier: Classifier, metadata: Metadata) -> Metadata:
    """``metadata`` and how to normalize, as JSON."""
    preprocess = classifier.preprocessing
    n = preprocess.normalization
    framing = preprocess.framing
    about = {
        "size": preprocess.size, "order": preprocess.order, "mean": n.mean, "std": n.std,
        "fit": framing.fit, "upright": framing.upright,
    }  # fmt: skip
    return {"preprocessing": json.dumps(about), **metadata}
