"""Recognizes image sets by their content; only tables by their suffix."""

from __future__ import annotations

import os
import struct
import zipfile
from contextlib import suppress
from pathlib import Path

from bdshift.errors import InputError
from bdshift.images.sources.arrow import is_arrow
from bdshift.images.sources.base import Source
from bdshift.images.sources.cifar import (
    cifar_files,
    cifar_record,
    open_cifar,
    open_cifar_folder,
)
from bdshift.images.sources.folders import FolderImages, ZipImages, leads_out
from bdshift.images.sources.idx import idx_sets, is_idx, open_idx, open_idx_folder
from bdshift.images.sources.naming import is_visible, split_rank
from bdshift.images.sources.npz import open_npz
from bdshift.images.sources.shard_folders import open_shard, open_shards, shard_files
from bdshift.images.sources.table import SUFFIXES, open_table
from bdshift.images.sources.tar import TarImages, is_tar
from bdshift.images.sources.tensors import is_tensor_file
from bdshift.images.sources.unpack import UNPACK_ERRORS, is_compressed, open_unpacked
from bdshift.jobs import SILENT, JobContext
from bdshift.words import Sentence
from bdshift.zip_data import open_zip

_HEAD_BYTES = 512
_PARQUET, _NUMPY = b"PAR1", b"\x93NUMPY"
_MODEL = Sentence(
    "is a file of a model, not a set of images; give the model first, then the images"
)
_MODELS = (".pt", ".pth", ".ckpt", ".safetensors", ".onnx", ".keras", ".bin")
_MAX_LEVELS = 4  # folders around a data set's own: data/MNIST/raw
_ERRORS = (
    *UNPACK_ERRORS, zipfile.BadZipFile, struct.error, LookupError, TypeError, RuntimeError,
    OverflowError, NotImplementedError, MemoryError,
)  # fmt: skip


def open_source(path: Path, job: JobContext = SILENT) -> Source:
    """Open the set of labeled images at ``path``, of whatever kind it is.

    Raises `InputError` with a sentence that begins with the path.
    """
    try:
        if path.is_dir():
            return _open_folder(path, job)
        if not path.exists():
            raise InputError("no such folder or file")
        if not path.is_file():
            raise InputError("neither a folder nor a zip of class folders, but a device or a pipe")
        return _open_file(path, job)
    except InputError as error:
        raise error.at(path) from error
    except _ERRORS as error:
        raise InputError(
            "{path}: cannot be read ({reason})", path=path, reason=str(error)
        ) from error


def _open_folder(path: Path, job: JobContext) -> Source:
    """A data set in its own layout, perhaps a few folders further down; or class folders."""
    inner = path
    notes: list[Sentence] = []
    for _ in range(_MAX_LEVELS):
        files, folders = _listed(inner)
        chosen, others = cifar_files(files)
        if chosen:
            return open_cifar_folder(inner, chosen, others)
        if sets := idx_sets(files):
            return open_idx_folder(inner, sets)
        if shards := shard_files(files):
            return open_shards(inner, shards, job, notes)
        if "dataset_dict.json" in files and folders:  # one folder for each part of a data set
            best, *others = sorted(folders, key=lambda name: (split_rank(name), name))
            values = {"file": best, "others": tuple(others)}
            notes = [Sentence("Took {file}, and not {others}", values)] if others else []
            folders = [best]
        if len(folders) != 1:  # files next to it are probably the archive that it came in
            break
        inner = inner / folders[0]
    return FolderImages(path, job)


def _listed(path: Path) -> tuple[list[str], list[str]]:
    """Names of the visible files and folders directly in a folder; nothing if it cannot be read,
    which listing it for class folders will report.
    """
    files: list[str] = []
    folders: list[str] = []
    real = Path(os.path.realpath(path))
    with suppress(OSError), os.scandir(path) as entries:
        for entry in entries:
            if is_visible(entry.name) and not (entry.is_symlink() and leads_out(entry.path, real)):
                (folders if entry.is_dir() else files).append(entry.name)
    return files, folders


def _open_zip(path: Path) -> Source:
    archive = open_zip(path)
    names = [info.filename for info in archive.infolist() if not info.is_dir()]
    if any(name.endswith("data.pkl") for name in names):
        raise InputError(_MODEL)
    if names and all(name.endswith(".npy") for name in names):
        with archive:
            return open_npz(path, archive)
    return ZipImages(archive)


def is_image_set(path: Path, head: bytes) -> bool:
    """Whether a file that starts with these 512 bytes is certainly a set of images. That cannot be
    said of HDF5, zips and pickles, which may be something else.
    """
    return (
        head.startswith((_PARQUET, _NUMPY))
        or is_compressed(head)
        or is_arrow(head)
        or is_idx(head)
        or is_tar(head)
        or cifar_record(path) is not None
        or path.suffix.lower() in SUFFIXES
    )


def _open_file(path: Path, job: JobContext) -> Source:
    with path.open("rb") as stream:
        head = stream.read(_HEAD_BYTES)
    if head.startswith(b"\x89HDF\r\n\x1a\n"):
        from bdshift.images.sources.hdf5 import open_hdf5  # h5py takes a tenth of a second to load

        return open_hdf5(path)
    if head.startswith(_PARQUET) or is_arrow(head):
        return open_shard(path, job)
    if head.startswith(_NUMPY):
        raise InputError(
            "is one array, without labels; save both: numpy.savez(file, images=…, labels=…)"
        )
    if is_compressed(head):
        with open_unpacked(path) as stream:
            head = stream.read(_HEAD_BYTES)
    if is_idx(head):
        return open_idx(path)
    if is_tar(head):
        return TarImages(path, job)
    if zipfile.is_zipfile(path):
        return _open_zip(path)
    if head[:1] == b"\x80" and head[1:2] in b"\2\3\4\5":
        if is_tensor_file(head):
            raise InputError(_MODEL)
        return open_cifar([path])
    if cifar_record(path) is not None:
        return open_cifar([path])
    if path.suffix.lower() in SUFFIXES:
        return open_table(path, job)
    if path.suffix.lower() in _MODELS:
        raise InputError(_MODEL)
    raise InputError(
        "neither a folder nor a zip of class folders, nor a tar, npz, HDF5, Parquet, CSV, CIFAR or "
        "IDX file of labeled images"
    )
