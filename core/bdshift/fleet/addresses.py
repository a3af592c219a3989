"""Models elsewhere: addresses such as ``s3://bucket/models``, read through fsspec."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bdshift.checkpoints.foreign_files import CHECKPOINTS
from bdshift.errors import InputError

_MAX_BYTES = 256 * 1024**3
_WEIGHTS = (".safetensors", ".bin", ".pt", ".pth", ".ckpt")  # the first that are there


def is_address(name: str) -> bool:
    """Whether it is one, and not a path."""
    return "://" in name


def list_address(address: str) -> list[str]:
    """The address of each checkpoint file that matches a pattern, or is in or below a folder; or
    the address itself. Raises `InputError`.
    """
    files, place = _opened(address)
    try:
        if any(char in place for char in "*?["):
            found = files.glob(place)
        elif files.isdir(place):
            found = [one for one in files.find(place) if one.lower().endswith(CHECKPOINTS)]
        else:
            found = [place]
    except Exception as error:  # the libraries behind fsspec can raise anything
        raise _failed(address, error) from error
    return [files.unstrip_protocol(one) for one in sorted(found)]


def content_of_address(address: str) -> str:
    """A hash of what the store says about the file, which changes with its content. Raises
    `InputError`.
    """
    files, place = _opened(address)
    try:
        return hashlib.sha256(f"{address}\0{files.ukey(place)}".encode()).hexdigest()
    except Exception as error:
        raise _failed(address, error) from error


@contextmanager
def fetched(path: str) -> Iterator[Path]:
    """A path on this machine: that of a file or folder here, or of a copy of what is at an address,
    as long as the block runs; of a folder there, of what a Hugging Face folder is made of. Raises
    `InputError`.
    """
    if not is_address(path):
        yield Path(path)
        return
    files, place = _opened(path)
    with tempfile.TemporaryDirectory(prefix="bdshift-") as folder:
        copy = Path(folder) / (place.rstrip("/").rpartition("/")[2] or "model")
        try:
            sizes = _sizes(files, place)
            if sum(sizes.values()) > _MAX_BYTES:
                raise InputError("{path}: is larger than 256 GiB", path=path)
            if place in sizes:
                files.get_file(place, str(copy))
            else:
                copy.mkdir()
                for one in sizes:
                    files.get_file(one, str(copy / one.rpartition("/")[2]))
        except InputError:
            raise
        except Exception as error:
            raise _failed(path, error) from error
        yield copy


def _sizes(files: Any, place: str) -> dict[str, int]:
    """The files to fetch, with their sizes in bytes: the one at ``place``; or weights and what
    describes them, right in the folder there, with no weights twice.
    """
    if not files.isdir(place):
        return {place: files.size(place) or 0}
    found = {one["name"]: one["size"] or 0 for one in files.ls(place, detail=True)
             if one["type"] == "file"}  # fmt: skip
    described = {name: size for name, size in found.items() if name.endswith((".json", ".txt"))}
    for suffix in _WEIGHTS:
        weights = {name: size for name, size in found.items() if name.endswith(suffix)}
        if weights:
            return described | weights
    return described


def _opened(address: str) -> tuple[Any, str]:
    from fsspec.core import url_to_fs  # type: ignore[import-untyped]

    try:
        files, place = url_to_fs(address)
    except (ImportError, ValueError) as error:
        raise InputError(
            "{address}: cannot be opened here ({reason}); install what is missing, or download it",
            address=address, reason=str(error),
        ) from error  # fmt: skip
    return files, place


def _failed(address: str, error: Exception) -> InputError:
    return InputError(
        "{address}: cannot be read ({reason}); without a network, give a file of this machine",
        address=address, reason=(str(error) or type(error).__name__).partition("\n")[0],
    )  # fmt: skip
