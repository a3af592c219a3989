"""What makes two audits the same: the content of the model and of the images, and the settings."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from pathlib import Path

from bdshift import __version__
from bdshift.checkpoints.prompts import templates_of
from bdshift.errors import InputError
from bdshift.files import open_regular
from bdshift.fleet.addresses import content_of_address, is_address
from bdshift.fleet.task import FleetModel
from bdshift.images.collection import ImageCollection, open_images
from bdshift.images.loader import content_hash, file_digests
from bdshift.jobs import JobContext
from bdshift.store.typed import plain

_BLOCK = 1024 * 1024
_STAMP_DIGITS = 15  # of a hash in hex: as many as fit an integer of SQLite


@dataclass(frozen=True)
class Stamp:
    """What a file looks like from outside: if it has not changed, neither has its content.

    Attributes:
        size: in bytes; of a folder, of all files in it.
        modified: when it last changed, in nanoseconds; of a folder, the latest of its files. At an
            address both follow from what the store says of it.
    """

    size: int
    modified: int


def stamp_of(name: str) -> Stamp:
    """The stamp of a file, a folder or an address. Raises `InputError` if it cannot be read."""
    if is_address(name):
        return Stamp(0, int(content_of_address(name)[:_STAMP_DIGITS], 16))
    path = Path(name)
    try:
        found = [one.stat() for one in _files(path)]
    except OSError as error:
        raise _unreadable(path, error) from error
    return Stamp(sum(one.st_size for one in found), max(one.st_mtime_ns for one in found))


def content_of(name: str, job: JobContext) -> str:
    """SHA-256, in hex, of a file, or of a folder's files and their names; at an address, of what
    the store says of it. Raises `InputError`.
    """
    if is_address(name):
        return content_of_address(name)
    path = Path(name)
    whole = hashlib.sha256()
    try:
        for one in _files(path):
            if one != path:
                whole.update(f"{one.relative_to(path)}\0".encode("utf-8", "surrogateescape"))
            with open_regular(one) as stream:
                while block := stream.read(_BLOCK):
                    job.raise_if_canceled()
                    whole.update(block)
    except OSError as error:
        raise _unreadable(path, error) from error
    except InputError as error:
        raise error.at(path) from error
    return whole.hexdigest()


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    return sorted(one for one in path.iterdir() if one.is_file()) or [path]


def _unreadable(path: Path, error: OSError) -> InputError:
    return InputError(
        "{path}: cannot be read ({reason})", path=path, reason=error.strerror or str(error)
    )


class Questions:
    """What is asked of models: a hash of the images and the settings. Each set of images is hashed
    once.
    """

    def __init__(self, job: JobContext) -> None:
        self._job = job
        self._sets: dict[str, str | InputError] = {}

    def of(self, model: FleetModel) -> str:
        """The question that is asked of a model, in hex. Raises `InputError` if its images or its
        class-name file cannot be read.
        """
        # Where it runs, and how many images at a time, is no part of the question.
        asked = plain(replace(model.asked, device="", batch=None))
        if model.asked.labels is not None:
            asked["labels"] = content_of(model.asked.labels, self._job)
        if model.asked.prompts is not None:
            asked["prompts"] = list(templates_of(model.asked.prompts))
        parts = [__version__, self._set(model.images), asked, model.arch]
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()

    def _set(self, path: str) -> str:
        if path not in self._sets:
            try:
                self._sets[path] = _set_hash(open_images(path, job=self._job), self._job)
            except InputError as error:
                self._sets[path] = error
        found = self._sets[path]
        if isinstance(found, InputError):
            raise found
        return found


def _set_hash(images: ImageCollection, job: JobContext) -> str:
    return content_hash(images.files, file_digests(images, images.files, job=job))
