"""A bare float32 state dict, by ``torch.save``."""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import torch

from bdshift.checkpoints.classifier import Classifier
from bdshift.checkpoints.export.form import EXPORT_FORMS, ExportForm, Function, Metadata
from bdshift.checkpoints.export.weights import own_weights, read_weights
from bdshift.words import words


@EXPORT_FORMS.register
@dataclass(frozen=True)
class StateDictForm(ExportForm):
    """Nothing but named tensors."""

    name = "state-dict"
    label = words("Plain state dict", ja="state dict のみ")
    summary = words(
        "Nothing but named tensors, by torch.save.", ja="名前付きテンソルだけ（torch.save）。"
    )
    place = 20
    suffix = ".pth"

    def write(self, classifier: Classifier, stream: BytesIO, metadata: Metadata) -> None:
        """There is no room for metadata."""
        torch.save(own_weights(classifier), stream)

    def read(self, classifier: Classifier, path: Path) -> Function:
        """Read like any other checkpoint."""
        return read_weights(classifier, path)
