"""Weights that are split over several files, as Hugging Face's libraries write large models: an
index in JSON says which tensor is in which file.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from bdshift.checkpoints.hashed import HashedFile
from bdshift.checkpoints.tensors import LazyTensor
from bdshift.checkpoints.torch_files import Read
from bdshift.errors import InputError
from bdshift.jobs import JobContext
from bdshift.json_data import parse_json

_MAX_INDEX_BYTES = 16 * 1024 * 1024
_MAX_VALUES = 500_000  # in it: one for each tensor
_MAX_SHARDS = 1000


def read_shards(
    index: HashedFile, read: Callable[[HashedFile], Read], job: JobContext
) -> tuple[Read, str, int]:
    """All tensors that an index names, from the files next to it, each by ``read``; a digest of
    them all, in hex; and their size in bytes.

    Raises `InputError`, without the path, if the index is broken, a file is missing, or a tensor is
    not where the index says.
    """
    files: dict[str, tuple[HashedFile, Read]] = {}
    places = _places(index)
    for name in dict.fromkeys(places.values()):
        shard = index.path.parent / name
        if not shard.is_file():
            raise InputError("the file {name} that it is split over is missing", name=name)
        file = HashedFile(shard, job=job)
        files[name] = file, read(file)
    containers = {found[0] for _, found in files.values()}
    if len(containers) > 1:
        raise InputError("is split over files of different formats")
    whole = {key: _tensor(files[name][1], key, name) for key, name in places.items()}
    names = tuple(dict.fromkeys(one for _, found in files.values() for one in found[2]))
    hashed = [index, *(file for file, _ in files.values())]
    digest = hashlib.sha256("".join(file.sha256 for file in hashed).encode()).hexdigest()
    return (containers.pop(), whole, names), digest, sum(file.size for file in hashed)


def _places(index: HashedFile) -> Mapping[str, str]:
    """The name of the file that each tensor is in."""
    if index.size > _MAX_INDEX_BYTES:
        raise InputError("is larger than any index of weights")
    try:
        found = parse_json(bytes(index.read(0, index.size)), _MAX_VALUES)["weight_map"]
    except (KeyError, TypeError) as error:
        raise InputError("is a broken index of weights") from error
    if not isinstance(found, dict) or not found or not all(map(_is_name, found.values())):
        raise InputError("is a broken index of weights")
    if len(set(found.values())) > _MAX_SHARDS:
        raise InputError("is split over more than {most} files", most=_MAX_SHARDS)
    return found


def _is_name(value: Any) -> bool:
    """Whether it is the plain name of a file: an index names nothing outside of its folder."""
    if not isinstance(value, str) or not value:
        return False
    return Path(value).name == value and "\\" not in value


def _tensor(found: Read, key: str, name: str) -> LazyTensor:
    value: Any = found[1]
    tensor = value.get(key) if isinstance(value, dict) else None
    if not isinstance(tensor, LazyTensor):
        raise InputError("its tensor {key} is not in {name}", key=key[:80], name=name[:80])
    return tensor
