"""A classifier goes out into a file: in the layout that it came in, or in another form.

Every file is read again and its logits compared with the model in memory before it is called
written; until then it lies beside its place under another name.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from bdshift.checkpoints.classifier import Classifier
from bdshift.checkpoints.export import graphs, weights
from bdshift.errors import InputError, UsageError
from bdshift.files import written_whole

_PROBE = 4  # images that the logits are compared on
_EXACT, _HALF = 1e-5, 1e-2  # relative difference allowed, in float32 and in half precision

KEEPS_CODE = (
    "Exported as it came, it keeps the code that its source holds or names, which nobody looked "
    "at; as a plain state dict or as safetensors it holds none."
)

Metadata = dict[str, str]
Network = Callable[[torch.Tensor], torch.Tensor]


@dataclass(frozen=True)
class Form:
    """``write`` puts a classifier into a file, ``read`` makes a function of such a file."""

    write: Callable[[Classifier, Path, Metadata], None]
    read: Callable[[Classifier, Path], Network]


FORMS: dict[str, Form] = {
    "as-it-came": Form(weights.write_as_it_came, weights.read),
    "state-dict": Form(weights.write_state_dict, weights.read),
    "safetensors": Form(weights.write_safetensors, weights.read),
    "torchscript": Form(graphs.write_torchscript, graphs.read_torchscript),
    "onnx": Form(graphs.write_onnx, graphs.read_onnx),
}
"""Container, wrapper, prefix and dtypes as they were; a bare float32 state dict, by ``torch.save``
or in safetensors; the network as a graph, which takes images that are normalized already.
"""


def check_form(form: str) -> None:
    """Raise `UsageError` if a form is unknown, or its packages are not installed."""
    if form not in FORMS:
        raise UsageError(f"form {form!r} is none of {', '.join(FORMS)}")
    if form == "onnx":
        graphs.require_onnx()


def write_checkpoint(
    classifier: Classifier,
    path: str | Path,
    form: str = "as-it-came",
    *,
    metadata: Metadata | None = None,
    overwrite: bool = False,
) -> dict[str, Any]:
    """Write the classifier, verified.

    Args:
        classifier: with its preprocessing, and the layout it was read from; on the CPU.
        path: where to; never a file that exists, unless ``overwrite``.
        form: one of `FORMS`.
        metadata: for the header of safetensors and ONNX files.

    Returns what was written: form, sha256, bytes, the largest difference of the logits, whether
    code of its author's is still in it (`KEEPS_CODE` says so to people).

    Raises `UsageError` for an unknown form, an existing file, or a package that is not installed,
    `InputError` if it cannot be written, or does not read back as the same network.
    """
    target = Path(path)
    check_form(form)
    source = classifier.path
    if target.exists() and source.exists() and target.samefile(source):
        raise UsageError(f"{target}: is the source, which is never written")
    if target.exists() and not overwrite:
        raise UsageError(f"{target}: exists")
    if not target.absolute().parent.is_dir():
        raise InputError(f"{target}: there is no such folder")
    try:
        with written_whole(target) as part:
            _write(classifier, part, form, metadata or {})
            difference = _difference(classifier, FORMS[form].read(classifier, part), form)
            data = part.read_bytes()
    except OSError as error:
        raise InputError(f"{target}: cannot be written ({error})") from error
    return {
        "form": form, "sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data),
        "logit_difference": difference,
        "keeps_code": form == "as-it-came" and classifier.layout.has_code,
    }  # fmt: skip


def _write(classifier: Classifier, part: Path, form: str, metadata: Metadata) -> None:
    try:
        FORMS[form].write(classifier, part, metadata)
    except OSError:
        raise
    except Exception as error:  # torch and safetensors have errors of their own for a full disk
        raise InputError(f"cannot be written as {form} ({str(error)[:200]})") from error


def _difference(classifier: Classifier, network: Network, form: str) -> float:
    """The largest difference of the logits, on a few random images."""
    preprocess = classifier.preprocessing
    assert preprocess is not None
    rng = torch.Generator().manual_seed(0)
    size = preprocess.size
    pixels = torch.randint(0, 256, (_PROBE, 3, size, size), generator=rng, dtype=torch.uint8)
    images = preprocess(pixels)
    with torch.inference_mode():
        ours, theirs = classifier.network(images), network(images)
    found = float((ours - theirs).abs().max())
    halves = form == "as-it-came" and any(
        kind in ("float16", "bfloat16") for kind in classifier.layout.dtypes.values()
    )
    if not found <= (_HALF if halves else _EXACT) * max(1.0, float(ours.abs().max())):
        raise InputError(
            f"what was written as {form} gives other logits (by {found:.3g}); it is not kept"
        )
    return found
