"""ONNX: the network as a graph that many programs run."""

from __future__ import annotations

import importlib.util
import warnings
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import torch

from bdshift.checkpoints.classifier import Classifier
from bdshift.checkpoints.export.form import EXPORT_FORMS, ExportForm, Function, Metadata
from bdshift.checkpoints.export.graph import example, with_preprocessing
from bdshift.errors import UsageError
from bdshift.extras import pip_install
from bdshift.words import words


@EXPORT_FORMS.register
@dataclass(frozen=True)
class OnnxForm(ExportForm):
    """Exported by ``torch.onnx``, with a dynamic batch size."""

    name = "onnx"
    label = words("ONNX", ja="ONNX")
    summary = words("The network as a graph that many programs run.",
                    ja="多くのソフトで実行できるグラフ。")  # fmt: skip
    place = 50
    suffix = ".onnx"
    is_graph = True

    def require(self) -> None:
        """Torch needs two packages to write ONNX; a third runs it."""
        needed = ("onnx", "onnxscript", "onnxruntime")
        missing = tuple(name for name in needed if importlib.util.find_spec(name) is None)
        if missing:
            raise UsageError(
                "ONNX needs {packages}: {command}",
                packages=missing, command=pip_install(*missing),
            )  # fmt: skip

    def write(self, classifier: Classifier, stream: BytesIO, metadata: Metadata) -> None:
        """Export."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            program = torch.onnx.export(
                classifier.network, (example(classifier),), dynamo=True, verbose=False,
                input_names=["image"], output_names=["logits"],
                dynamic_shapes=({0: torch.export.Dim("n")},),
            )  # fmt: skip
        assert program is not None
        program.model.metadata_props.update(with_preprocessing(classifier, metadata))
        stream.write(program.model_proto.SerializeToString())

    def read(self, classifier: Classifier, path: Path) -> Function:
        """Run by onnxruntime."""
        import onnxruntime

        session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        return lambda images: torch.from_numpy(session.run(None, {"image": images.numpy()})[0])
