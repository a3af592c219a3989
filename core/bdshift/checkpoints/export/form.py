"""The base of all formats of exported files."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import ClassVar

import torch

from bdshift.checkpoints.classifier import Classifier
from bdshift.registry import Configured, Registry
from bdshift.words import words

Metadata = dict[str, str]
Function = Callable[[torch.Tensor], torch.Tensor]
"""From normalized images (n, channels, s, s) to logits (n, C)."""


@dataclass(frozen=True)
class ExportForm(Configured, ABC):
    """A way to write a classifier to a file, and to read that file back to check it.

    Attributes:
        suffix: of such files; "" for the suffix of the source.
        as_source: whether the file keeps the source's dtypes and any code in it.
        is_graph: whether it holds the network as a graph, with the normalization in its metadata.
    """

    suffix: ClassVar[str]
    as_source: ClassVar[bool] = False
    is_graph: ClassVar[bool] = False

    def require(self) -> None:
        """Raise `UsageError` if a package that it needs is not installed."""

    @abstractmethod
    def write(self, classifier: Classifier, stream: BytesIO, metadata: Metadata) -> None:
        """Write the file, with ``metadata`` if the format has room for it. ``stream`` is in memory,
        because libraries that write files themselves do not survive a full disk.
        """

    @abstractmethod
    def read(self, classifier: Classifier, path: Path) -> Function:
        """The network in such a file, just written from ``classifier``."""


EXPORT_FORMS: Registry[ExportForm] = Registry(
    words("export format", ja="書き出し形式"), "bdshift.checkpoints.export.forms"
)
"""Every format by its name."""


def default_form() -> type[ExportForm]:
    """The format of the source."""
    return next(kind for kind in EXPORT_FORMS.kinds() if kind.as_source)
