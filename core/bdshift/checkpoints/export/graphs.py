"""The network as a graph that needs no Python class: TorchScript and ONNX. Both take normalized
images (n, channels, size, size), any n, and give logits (n, C); the metadata say how to normalize.
"""

from __future__ import annotations

import importlib.util
import json
import warnings
from collections.abc import Callable
from pathlib import Path

import torch

from bdshift.checkpoints.classifier import Classifier
from bdshift.errors import UsageError


def require_onnx() -> None:
    """Raise `UsageError` without the packages that ONNX needs."""
    for name in ("onnx", "onnxscript", "onnxruntime"):
        if importlib.util.find_spec(name) is None:
            raise UsageError(f'ONNX needs {name}: pip install "bdshift[export]"')


def _example(classifier: Classifier) -> torch.Tensor:
    preprocess = classifier.preprocessing
    assert preprocess is not None
    shape = (preprocess.channels, preprocess.size, preprocess.size)
    return torch.zeros(2, *shape)  # two, or torch takes the batch for a constant


def _about(classifier: Classifier, metadata: dict[str, str]) -> dict[str, str]:
    preprocess = classifier.preprocessing
    assert preprocess is not None
    n = preprocess.normalization
    told = {"size": preprocess.size, "order": preprocess.order, "mean": n.mean, "std": n.std}
    return {"preprocessing": json.dumps(told), **metadata}


def write_torchscript(classifier: Classifier, path: Path, metadata: dict[str, str]) -> None:
    """Traced; the metadata lie in ``extra/`` of the archive."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch would rather have torch.export, which is a pickle
        traced = torch.jit.trace(classifier.network, _example(classifier))
        torch.jit.save(traced, path, _extra_files=_about(classifier, metadata))


def read_torchscript(_classifier: Classifier, path: Path) -> Callable[[torch.Tensor], torch.Tensor]:
    """Our own file, just written: nobody else's is ever loaded so."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.jit.load(path)


def write_onnx(classifier: Classifier, path: Path, metadata: dict[str, str]) -> None:
    """Exported by ``torch.onnx``, the batch size free."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            classifier.network, (_example(classifier),), dynamo=True, verbose=False,
            input_names=["image"], output_names=["logits"],
            dynamic_shapes=({0: torch.export.Dim("n")},),
        )  # fmt: skip
    assert program is not None
    program.model.metadata_props.update(_about(classifier, metadata))
    program.save(str(path))


def read_onnx(_classifier: Classifier, path: Path) -> Callable[[torch.Tensor], torch.Tensor]:
    """Run by onnxruntime."""
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return lambda images: torch.from_numpy(session.run(None, {"image": images.numpy()})[0])
