"""TorchScript: the network as a graph that torch runs without any Python class."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import torch

from bdshift.checkpoints.classifier import Classifier
from bdshift.checkpoints.export.form import EXPORT_FORMS, ExportForm, Function, Metadata
from bdshift.checkpoints.export.graph import example, with_preprocessing
from bdshift.words import words


@EXPORT_FORMS.register
@dataclass(frozen=True)
class TorchScriptForm(ExportForm):
    """Traced; the metadata is in ``extra/`` of the archive."""

    name = "torchscript"
    label = words("TorchScript", ja="TorchScript")
    summary = words("The network as a graph that torch runs.", ja="torch で実行できるグラフ。")
    place = 40
    suffix = ".pt"
    is_graph = True

    def write(self, classifier: Classifier, stream: BytesIO, metadata: Metadata) -> None:
        """Trace and save."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch recommends torch.export, a pickle
            traced = torch.jit.trace(classifier.network, example(classifier))
            extra = with_preprocessing(classifier, metadata)
            torch.jit.save(traced, stream, _extra_files=extra)

    def read(self, classifier: Classifier, path: Path) -> Function:
        """Our own file, just written: no other file is ever loaded this way."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return torch.jit.load(path)
