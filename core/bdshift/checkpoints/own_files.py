"""bdshift's own files of tensors: safetensors, with one JSON text that says what they are."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from bdshift._version import __version__
from bdshift.checkpoints.hashed import HashedFile
from bdshift.checkpoints.safetensors_files import read_metadata, read_safetensors
from bdshift.checkpoints.tensors import LazyTensor
from bdshift.errors import InputError
from bdshift.jobs import SILENT, JobContext
from bdshift.json_data import parse_json

_KEY = "bdshift"  # one text: the library writes several in any order
_MAX_VALUES = 1000
_MAX_TEXT = 10_000


@dataclass(frozen=True)
class OwnFile:
    """A kind of such files.

    Attributes:
        format: its name in the file.
        version: the newest that this bdshift reads, and the one that it writes.
        other: what is said of a file that is none of them.
        too_large: what is said of one that is larger than it can be.
    """

    format: str
    version: int
    other: Callable[[], InputError]
    too_large: Callable[[], InputError]

    def content(self, about: Mapping[str, Any], tensors: Mapping[str, torch.Tensor]) -> bytes:
        """The file: the same tensors and the same words about them make the same bytes."""
        from safetensors.torch import save

        told = {
            "format": self.format, "version": self.version, **about, "written_by": __version__
        }  # fmt: skip
        plain = {key: value.detach().cpu().contiguous() for key, value in tensors.items()}
        return bytes(save(plain, {_KEY: json.dumps(told)}))

    def read(
        self, path: Path, usual: Mapping[str, Any], most: int, *, job: JobContext = SILENT
    ) -> tuple[dict[str, Any], dict[str, LazyTensor]]:
        """What a file of at most ``most`` bytes says about its tensors, and these, not loaded yet.
        It may come from anyone: what it says has the keys and types of ``usual``, whose values
        stand in for what it leaves out.

        Raises `InputError`, without the path, if it is none of these files, is larger, or was
        written by a newer version, and `OSError`.
        """
        if not path.is_file():
            raise InputError("no such file")
        if path.stat().st_size > most:
            raise self.too_large()
        file = HashedFile(path, job=job)
        if bytes(file.read(8, 1)) != b"{":
            raise self.other()
        text = read_metadata(file).get(_KEY)
        told = None if text is None else parse_json(text, _MAX_VALUES)
        if not isinstance(told, dict) or told.get("format") != self.format:
            raise self.other()
        if type(told.get("version")) is not int or told["version"] > self.version:
            raise InputError("was written by a newer bdshift")
        found = {key: told.get(key, value) for key, value in usual.items()}
        for key, value in found.items():
            if type(value) is not type(usual[key]) or len(str(value)) > _MAX_TEXT:
                raise self.other()
        return found, read_safetensors(file)


@contextmanager
def named(path: Path) -> Iterator[None]:
    """Errors within it are about the file ``path``, those of the disk included."""
    try:
        yield
    except InputError as error:
        raise error.at(path) from error
    except OSError as error:
        reason = str(error.strerror or error)
        raise InputError("{path}: cannot be read ({reason})", path=path, reason=reason) from error
