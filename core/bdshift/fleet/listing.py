"""From what a user names to the models of a fleet: files, folders, patterns, tables, addresses."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from bdshift.checkpoints.folder import holds_weights
from bdshift.checkpoints.foreign_files import CHECKPOINTS
from bdshift.errors import InputError, UsageError
from bdshift.fleet.addresses import is_address, list_address
from bdshift.fleet.manifest import is_manifest, read_manifest
from bdshift.fleet.task import FleetModel
from bdshift.jobs import JobContext
from bdshift.kinds import RESULTS

_AUDIT = ".audit.h5"
_MAX_MODELS = 1_000_000


def list_models(named: Sequence[str], usual: FleetModel, job: JobContext) -> tuple[FleetModel, ...]:
    """The models that ``named`` stands for, each once, in its order: checkpoint files; folders,
    with all checkpoints in and below them; patterns, in which ``**`` goes through folders; tables
    of models (`bdshift.fleet.manifest`); addresses (`bdshift.fleet.addresses`). ``usual`` is what
    they have where a table says nothing.

    Raises `InputError` if something is not there or holds no checkpoints, `UsageError` where a
    table makes no sense.
    """
    found: dict[FleetModel, None] = {}
    for name in named:
        models = list(_listed(name, usual, job))
        if not models:
            raise InputError("{path}: there are no checkpoints in it", path=name)
        found |= dict.fromkeys(models)
        if len(found) > _MAX_MODELS:
            raise UsageError("there are more than {count:,} models", count=_MAX_MODELS)
    return tuple(found)


def _listed(name: str, usual: FleetModel, job: JobContext) -> Iterator[FleetModel]:
    path = Path(name)
    if is_address(name):
        paths: Iterator[str] = iter(list_address(name))
    elif path.is_file() and is_manifest(path):
        yield from read_manifest(path, usual)
        return
    elif path.is_dir():
        paths = _in_folder(path, job)
    elif path.exists():
        paths = iter([name])
    elif glob.has_magic(name):
        found = sorted(glob.glob(name, recursive=True))
        paths = (inner for one in found for inner in _of_pattern(Path(one), job))
    else:
        raise InputError("{path}: there is no such file or folder", path=name)
    for one in paths:
        yield replace(usual, path=one if is_address(one) else os.path.abspath(one))


def _of_pattern(path: Path, job: JobContext) -> Iterator[str]:
    if path.is_dir():
        if holds_weights(path):
            yield str(path)
    else:
        yield str(path)
    job.raise_if_canceled()


def _in_folder(folder: Path, job: JobContext) -> Iterator[str]:
    """Folders in Hugging Face's layout, and files that are called like checkpoints; not what is
    hidden, nor audits, nor what is in the folder of a fleet.
    """
    for at, folders, files in os.walk(folder):
        job.raise_if_canceled()
        place = Path(at)
        if RESULTS in files:
            folders.clear()
            continue
        folders[:] = sorted(one for one in folders if not one.startswith("."))
        if holds_weights(place):
            yield at
            continue
        for name in sorted(files):
            called = name.lower().endswith(CHECKPOINTS) and not name.lower().endswith(_AUDIT)
            if called and not name.startswith("."):
                yield os.path.join(at, name)
