"""The file in the format of its source: container, wrapper, prefix and the dtype of each tensor."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save

from bdshift.checkpoints.classifier import Classifier
from bdshift.checkpoints.export import patch
from bdshift.checkpoints.export.form import EXPORT_FORMS, ExportForm, Function, Metadata
from bdshift.checkpoints.export.weights import own_weights, read_weights
from bdshift.checkpoints.folding import unfold
from bdshift.checkpoints.layout import IN_MEMORY
from bdshift.errors import InputError, UsageError
from bdshift.words import words


@EXPORT_FORMS.register
@dataclass(frozen=True)
class OriginalForm(ExportForm):
    """Tensors that the network does not use are kept. What was stored next to the state dict (an
    optimizer, an epoch) belonged to the old weights and is left out, except for what names the
    network and its classes.

    A whole module, a TorchScript archive or an exported program is copied, with the new numbers in
    place of the old ones: the rest of it belongs to its author, and none of it is run.
    """

    name = "original"
    label = words("Original format", ja="元の形式")
    summary = words(
        "Like the source: same keys, same container.",
        ja="元のファイルと同じキー、同じコンテナ形式。",
    )
    place = 10
    suffix = ""
    as_source = True

    def write(self, classifier: Classifier, stream: BytesIO, metadata: Metadata) -> None:
        """Only safetensors have room for metadata."""
        layout = classifier.layout
        if layout.container == IN_MEMORY:
            raise UsageError("the model was in memory, and has no file whose format could be kept")
        if layout.container.startswith("Keras"):
            raise UsageError("bdshift does not write the format of Keras models")
        if classifier.made_head is not None and not torch.equal(
            classifier.weight.cpu(), classifier.made_head
        ):
            raise UsageError(
                "its head is made of the names of the classes and is not in the file, so a changed "
                "one cannot be written there"
            )
        tensors = dict(_as_in_file(classifier))
        tensors |= {copy: tensors[layout.in_file(key)] for copy, key in layout.repeated.items()
                    if layout.in_file(key) in tensors}  # fmt: skip
        if layout.has_code:
            patch.write_patched(classifier.path, stream, classifier.sha256, layout, tensors)
            return
        kept = {key: tensor for key, tensor in layout.tensors.items() if key not in tensors}
        try:
            tensors |= {key: tensor.load() for key, tensor in kept.items()}
        except InputError as error:
            raise error.at(classifier.path) from error
        tensors = {key: tensors[key] for key in layout.tensors}
        if layout.container == "safetensors":
            stream.write(save(tensors, {"format": "pt", **metadata}))
            return
        value: Any = {
            key: tensor.numpy() if layout.tensors[key].is_numpy else tensor
            for key, tensor in tensors.items()
        }
        for depth, key in enumerate(reversed(layout.wrapper)):
            value = {key: value, **(layout.described if not depth else {})}
        if layout.container == "pickle":
            pickle.dump(value, stream)
            return
        torch.save(value, stream, _use_new_zipfile_serialization=layout.container != "torch legacy")

    def read(self, classifier: Classifier, path: Path) -> Function:
        """Read like any other checkpoint."""
        return read_weights(classifier, path, as_source=True)


def _as_in_file(classifier: Classifier) -> Iterator[tuple[str, torch.Tensor]]:
    """The network's tensors by their full keys, in the file's dtypes, folded ones as factors."""
    layout = classifier.layout
    for key, value in own_weights(classifier, as_source=True).items():
        typed = value.to(getattr(torch, layout.dtypes[key]))
        if key in layout.folded:
            yield from unfold(*layout.folded[key], typed).items()
        else:
            yield layout.in_file(key), typed
