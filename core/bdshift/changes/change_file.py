"""A change in a file of its own: safetensors, with one JSON text that says what it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path

import torch

from bdshift.changes.kind import CHANGES, SIDES, ChangeKind, Params
from bdshift.checkpoints.own_files import OwnFile, named
from bdshift.errors import InputError, UsageError

_MAX_FILE_BYTES = 256 * 1024 * 1024


@dataclass(frozen=True)
class AboutChange:
    """What is known of a change beside its numbers.

    Attributes:
        kind: text of its kind.
        side: height and width of the images that it is for.
        target: the class that it was found for; −1 if that was not told.
        class_name: of that class; empty if that was not told.
        source: the only class that it was found on; −1 for all.
    """

    kind: str
    side: int
    target: int = -1
    class_name: str = ""
    source: int = -1


@dataclass(frozen=True)
class SavedChange:
    """A change as a file holds it.

    Attributes:
        about: what it is.
        params: of the change, by name, float32.
    """

    about: AboutChange
    params: Mapping[str, torch.Tensor]

    @cached_property
    def change(self) -> ChangeKind:
        """Its kind. Raises `UsageError` if this version does not know that."""
        return CHANGES.parse(self.about.kind)

    @property
    def batched(self) -> Params:
        """The parameters as those of one change (S = 1)."""
        return {key: value[None] for key, value in self.params.items()}

    def content(self) -> bytes:
        """The file: the same change makes the same bytes."""
        return _FILE.content(asdict(self.about), self.params)


def read_change(path: Path) -> SavedChange:
    """Read such a file. It may come from anyone.

    Raises `InputError` if it is none, was written by a newer version, or its numbers do not fit its
    kind.
    """
    try:
        with named(path):
            told, tensors = _FILE.read(path, asdict(_UNTOLD), _MAX_FILE_BYTES)
            about = AboutChange(**told)
            if about.side not in SIDES:
                raise _no_change()
            found = SavedChange(about, {key: value.load() for key, value in tensors.items()})
            found.change.check_params(found.batched, about.side)
            return found
    except UsageError as error:  # of a kind that this version does not know
        raise InputError("{path}: {reason}", path=path, reason=error.sentence) from error


def _no_change() -> InputError:
    return InputError("is no trigger that bdshift recover has written")


def _too_large() -> InputError:
    return InputError("is larger than any file of a trigger")


_FILE = OwnFile("bdshift-change", 1, _no_change, _too_large)
_UNTOLD = AboutChange("", 0)
