"""A change in a file of its own: safetensors, with one JSON text that says what it is."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from bdshift._version import __version__
from bdshift.changes.kind import CHANGES, MAX_SIDE, ChangeKind, Params
from bdshift.checkpoints.hashed import HashedFile
from bdshift.checkpoints.safetensors_files import read_metadata, read_safetensors
from bdshift.errors import InputError, UsageError
from bdshift.json_data import parse_json

_KEY = "bdshift"  # one text: the library writes several in any order
_FORMAT, _VERSION = "bdshift-change", 1
_MAX_FILE_BYTES = 256 * 1024 * 1024
_MAX_VALUES = 1000
_MAX_TEXT = 10_000


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
        from safetensors.torch import save

        told = {
            "format": _FORMAT, "version": _VERSION, **asdict(self.about), "written_by": __version__
        }  # fmt: skip
        plain = {key: value.detach().cpu().contiguous() for key, value in self.params.items()}
        return bytes(save(plain, {_KEY: json.dumps(told)}))


def read_change(path: Path) -> SavedChange:
    """Read such a file. It may come from anyone.

    Raises `InputError` if it is none, was written by a newer version, or its numbers do not fit its
    kind.
    """
    try:
        return _read(path)
    except UsageError as error:  # of a kind that this version does not know
        raise InputError("{path}: {reason}", path=path, reason=error.sentence) from error
    except InputError as error:
        raise error.at(path) from error
    except OSError as error:
        reason = str(error.strerror or error)
        raise InputError("{path}: cannot be read ({reason})", path=path, reason=reason) from error


def _read(path: Path) -> SavedChange:
    if not path.is_file():
        raise InputError("no such file")
    if path.stat().st_size > _MAX_FILE_BYTES:
        raise InputError("is larger than any file of a trigger")
    file = HashedFile(path)
    if bytes(file.read(8, 1)) != b"{":
        raise _no_change()
    text = read_metadata(file).get(_KEY)
    if text is None:
        raise _no_change()
    found = SavedChange(
        _about(parse_json(text, _MAX_VALUES)),
        {key: value.load() for key, value in read_safetensors(file).items()},
    )
    found.change.check_params(found.batched, found.about.side)
    return found


def _about(told: Any) -> AboutChange:
    if not isinstance(told, dict) or told.get("format") != _FORMAT:
        raise _no_change()
    if type(told.get("version")) is not int or told["version"] > _VERSION:
        raise InputError("was written by a newer bdshift")
    found = AboutChange(
        told.get("kind", ""), told.get("side", 0), told.get("target", -1),
        told.get("class_name", ""), told.get("source", -1),
    )  # fmt: skip
    texts, numbers = (found.kind, found.class_name), (found.side, found.target, found.source)
    if not all(type(one) is str and len(one) <= _MAX_TEXT for one in texts):
        raise _no_change()
    if not all(type(one) is int for one in numbers) or not 1 <= found.side <= MAX_SIDE:
        raise _no_change()
    return found


def _no_change() -> InputError:
    return InputError("is no trigger that bdshift recover has written")
