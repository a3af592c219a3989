"""safetensors: named tensors in a file that cannot hold code."""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from safetensors.torch import save

from bdshift.checkpoints.classifier import Classifier
from bdshift.checkpoints.export.form import EXPORT_FORMS, ExportForm, Function, Metadata
from bdshift.checkpoints.export.weights import own_weights, read_weights
from bdshift.words import words


@EXPORT_FORMS.register
@dataclass(frozen=True)
class SafetensorsForm(ExportForm):
    """A bare float32 state dict."""

    name = "safetensors"
    label = words("safetensors", ja="safetensors")
    summary = words("Nothing but named tensors, in a file that cannot hold code.",
                    ja="名前付きテンソルだけ。コードを含められない形式。")  # fmt: skip
    place = 30
    suffix = ".safetensors"

    def write(self, classifier: Classifier, stream: BytesIO, metadata: Metadata) -> None:
        """The metadata goes into the header."""
        stream.write(save(own_weights(classifier), {"format": "pt", **metadata}))

    def read(self, classifier: Classifier, path: Path) -> Function:
        """Read like any other checkpoint."""
        return read_weights(classifier, path)
