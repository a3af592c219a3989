"""Reads a file as a tree of plain values and `LazyTensor`s; nothing in it is ever run.

Its kind is determined by its bytes, never by its suffix.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bdshift.checkpoints import exported, torch_files
from bdshift.checkpoints.folder import INDEX_SUFFIX, NOTHING, Beside, read_beside, weights_in
from bdshift.checkpoints.foreign_files import HEAD_BYTES, what_it_is
from bdshift.checkpoints.hashed import HashedFile
from bdshift.checkpoints.safetensors_files import read_safetensors
from bdshift.checkpoints.shards import read_shards
from bdshift.checkpoints.torch_zip import EXPORTED, KERAS_WEIGHTS, torch_zip_entries
from bdshift.errors import InputError
from bdshift.jobs import SILENT, JobContext
from bdshift.pickle_values import Name


@dataclass(frozen=True)
class CheckpointFile:
    """What a file holds.

    Attributes:
        path: of the file; of the index if the weights are split over several files.
        sha256: of all its bytes, in hex; with an index, of the digests of all the files.
        size: in bytes.
        container: "torch zip", "torch legacy", "pickle", "TorchScript", "torch.export",
            "safetensors", "Keras HDF5", "Keras archive", or "memory" for a module in no file.
        value: dicts, lists, tuples, numbers, text, `LazyTensor`, `SavedModule`; other objects are
            the dict of their attributes, or `Name` and `Opaque`.
        names: every class or function that its pickle names.
        beside: what the configs next to it say.
    """

    path: Path
    sha256: str
    size: int
    container: str
    value: Any
    names: tuple[Name, ...]
    beside: Beside = NOTHING


def read_checkpoint(path: str | Path, *, job: JobContext = SILENT) -> CheckpointFile:
    """Read a checkpoint as data; for a Hugging Face folder, the weights in it. Its tensors
    are read when they are needed; they are those that were hashed, or `LazyTensor.load` fails.

    Raises `InputError`, one sentence, if the file cannot be read, is not a checkpoint, is broken,
    or names something that would run code (then it says what).
    """
    path = Path(path)
    try:
        if path.is_dir():
            path = weights_in(path)
        file = HashedFile(path, job=job)
        if file.size == 0:
            raise InputError("is empty")
        if path.name.endswith(INDEX_SUFFIX):
            (container, value, names), digest, size = read_shards(file, _read, job)
        else:
            (container, value, names), digest, size = _read(file), file.sha256, file.size
    except InputError as error:
        raise error.at(path) from error
    except (RecursionError, MemoryError) as error:
        raise InputError(
            "{path}: is more deeply nested, or larger, than any checkpoint", path=path
        ) from error
    except (OSError, ValueError) as error:  # ValueError: a path with a zero byte
        reason = str(getattr(error, "strerror", None) or error)
        raise InputError("{path}: cannot be read ({reason})", path=path, reason=reason) from error
    return CheckpointFile(path, digest, size, container, value, names, read_beside(path))


def _read(file: HashedFile) -> torch_files.Read:
    head = bytes(file.read(0, HEAD_BYTES))
    if head.startswith(b"PK\x03\x04"):
        entries = torch_zip_entries(file.stream(), file.size)
        if KERAS_WEIGHTS in entries:
            from bdshift.checkpoints.described.keras_models import read_keras_archive

            return read_keras_archive(file, entries)
        if EXPORTED in entries:
            return "torch.export", exported.read_exported(file, entries), ()
        return torch_files.read_zip(file, entries)
    if len(head) >= 9 and head[8:9] == b"{" and struct.unpack("<Q", head[:8])[0] + 8 <= file.size:
        return "safetensors", read_safetensors(file), ()
    if head[:1] == b"\x80" and head[1:2] <= b"\x05":
        return torch_files.read_pickles(file)
    if head.startswith(b"\x89HDF\r\n\x1a\n"):
        from bdshift.checkpoints.described.keras_file import KerasFile

        opened = KerasFile(file, (0, file.size))  # without torch, which the rest needs
        from bdshift.checkpoints.described.keras_models import read_keras_hdf5

        return read_keras_hdf5(file, opened)
    raise what_it_is(head)
