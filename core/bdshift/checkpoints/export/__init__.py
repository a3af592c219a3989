"""Writes a classifier to a file: in the format of its source, or in another one.

Every file is read back and its logits compared with the model in memory before it counts as
written; until then it is kept under another name in the same folder.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from typing import Any

import torch

from bdshift.checkpoints.classifier import Classifier
from bdshift.checkpoints.export.form import (
    EXPORT_FORMS,
    ExportForm,
    Function,
    Metadata,
    default_form,
)
from bdshift.errors import InputError, UsageError
from bdshift.outputs import Output
from bdshift.words import words

__all__ = [
    "EXPORT_FORMS",
    "KEEPS_CODE",
    "ExportForm",
    "ExportedFile",
    "default_form",
    "write_checkpoint",
]

_PROBE_IMAGES = 4  # on which the logits are compared
_MAX_DIFFERENCE, _MAX_HALF_DIFFERENCE = 1e-5, 1e-2  # relative; in float32 and in half precision

KEEPS_CODE = words(
    "In its original format, the file keeps any code that its source contains or refers to; that "
    "code was not examined. In any other export format, it contains none.",
    ja="元の形式では、元のファイルが含む、または参照するコードがそのまま残ります（内容は調べていません）。"
       "ほかの書き出し形式なら残りません。",
)  # fmt: skip


@dataclass(frozen=True)
class ExportedFile:
    """The file that was written.

    Attributes:
        form: name of its format.
        sha256: of all its bytes, in hex.
        size: in bytes.
        logit_difference: the largest, between the file and the model in memory.
        keeps_code: whether its author's code is still in it; `KEEPS_CODE` tells the user so.
    """

    form: str
    sha256: str
    size: int
    logit_difference: float
    keeps_code: bool

    def as_json(self) -> dict[str, Any]:
        """What commands print, and what is written next to a purified model."""
        return {
            "form": self.form, "sha256": self.sha256, "bytes": self.size,
            "logit_difference": self.logit_difference, "keeps_code": self.keeps_code,
        }  # fmt: skip


def write_checkpoint(
    classifier: Classifier,
    path: str | Path | Output,
    form: ExportForm,
    *,
    metadata: Metadata | None = None,
    overwrite: bool = False,
) -> ExportedFile:
    """Write the classifier and verify the file.

    Args:
        classifier: with its preprocessing and the layout it was read from; on the CPU.
        path: the target; never the source, and never an existing file, unless ``overwrite``. An
            `Output` decides that itself.
        form: the format of the file.
        metadata: for formats that have room for it.
        overwrite: whether an existing file at a path is replaced.

    Raises as `Output.written` does, `UsageError` for a package that is not installed, or a format
    that the source does not allow, `InputError` if it does not read back as the same network.
    """
    output = path if isinstance(path, Output) else Output(Path(path), overwrite)
    output = replace(output, inputs=(classifier.path, *output.inputs))
    form.require()
    output.check()
    classifier = classifier.as_in_file()
    buffer = BytesIO()
    _write(classifier, buffer, form, metadata or {})
    content = buffer.getbuffer()
    if output.is_written(content):
        difference = _difference(classifier, form.read(classifier, output.path), form)
    else:
        with output.written() as stream:
            stream.write(content)
            stream.flush()
            difference = _difference(classifier, form.read(classifier, Path(stream.name)), form)
    return ExportedFile(
        form.name, hashlib.sha256(content).hexdigest(), len(content), difference,
        form.as_source and classifier.layout.has_code,
    )  # fmt: skip


def _write(classifier: Classifier, stream: BytesIO, form: ExportForm, metadata: Metadata) -> None:
    try:
        form.write(classifier, stream, metadata)
    except UsageError as error:  # the source does not allow this one
        others = tuple(kind.name for kind in EXPORT_FORMS.kinds() if not kind.as_source)
        raise UsageError(
            "{reason}; choose another export format: {names}", reason=error.sentence, names=others
        ) from error
    except InputError:
        raise
    except Exception as error:  # of the libraries that make the formats
        raise InputError(
            "cannot be written as {form} ({reason})", form=form.name, reason=str(error)[:200]
        ) from error


def _difference(classifier: Classifier, written: Function, form: ExportForm) -> float:
    """The largest difference of the logits on a few random images."""
    preprocess = classifier.preprocessing
    rng = torch.Generator().manual_seed(0)
    shape = (_PROBE_IMAGES, 3, preprocess.size, preprocess.size)
    pixels = torch.randint(0, 256, shape, generator=rng, dtype=torch.uint8)
    images = preprocess(pixels)
    with torch.inference_mode():
        ours, theirs = classifier.network(images), written(images)
    found = float((ours - theirs).abs().max())
    halves = form.as_source and any(
        kind in ("float16", "bfloat16") for kind in classifier.layout.dtypes.values()
    )
    if not found <= (_MAX_HALF_DIFFERENCE if halves else _MAX_DIFFERENCE) * max(
        1.0, float(ours.abs().max())
    ):
        raise InputError(
            "the file written as {form} gives other logits (off by {difference:.3g}); it was not "
            "kept",
            form=form.name, difference=found,
        )  # fmt: skip
    return found
