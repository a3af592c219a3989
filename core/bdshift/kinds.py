"""Tells what a path is, images, an audit file or a model, by its content and not by its name."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path
from typing import Literal

from bdshift.checkpoints.folder import holds_weights
from bdshift.checkpoints.foreign_files import ONLY_CHECKPOINTS
from bdshift.errors import InputError
from bdshift.images.sources.choose import is_image_set
from bdshift.images.sources.hdf5 import is_audit
from bdshift.zip_data import open_zip

Kind = Literal["images", "audit", "model", "models", "fleet"]
"""A clean set, an audit file, a model, a folder of models, or one of the results of many."""

RESULTS = "fleet.sqlite"
"""The name of the file with the results of many models, in the folder of a fleet."""
RESULTS_FOLDER = "bdshift-audits"
"""What that folder is called by default, beside the models."""

_HEAD, _TAIL = 512, 4096  # bytes that are looked at
_MAX_LOOKED_AT = 5000  # files in a folder
_TEXTS = (".json", ".md", ".txt", ".yaml", ".yml", ".log", ".py", ".toml", "license")
_WITH_MODELS = (*ONLY_CHECKPOINTS, *_TEXTS)


def kind_of(path: Path) -> Kind:
    """What to open a path as. What cannot be read counts as a "model": opening it says why."""
    if path.is_dir():
        return _kind_of_folder(path)
    try:
        with path.open("rb") as stream:
            head = stream.read(_HEAD)
            tail = stream.read(_TAIL)
    except OSError:
        return "model"  # opening it will say why it cannot be read
    if head.startswith(b"\x89HDF\r\n\x1a\n"):
        return _kind_of_hdf5(path)
    if head.startswith(b"PK\x03\x04"):
        try:
            with open_zip(path) as archive:
                names = archive.namelist()
        except (InputError, zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
            return "model"
        marks = ("data.pkl", "model_weights_config.json", "model.weights.h5")
        return "model" if any(name.endswith(marks) for name in names) else "images"
    if head[:1] == b"\x80":  # a pickle: CIFAR's batches hold these names, in one of two protocols
        batch = any(word in head + tail for word in (b"batch_label", b"fine_labels", b"filenames"))
        return "images" if batch else "model"
    return "images" if is_image_set(path, head) else "model"


def _kind_of_folder(path: Path) -> Kind:
    """One with checkpoints in or below it, and otherwise only texts, is a folder of models."""
    if holds_weights(path):
        return "model"
    if any((inner / RESULTS).is_file() for inner in (path, path / RESULTS_FOLDER)):
        return "fleet"
    looked_at, found = 0, False
    for _, folders, files in os.walk(path):
        folders.sort()
        looked_at += len(files)
        seen = [name.lower() for name in files if not name.startswith(".")]
        if looked_at > _MAX_LOOKED_AT or not all(one.endswith(_WITH_MODELS) for one in seen):
            return "images"
        found = found or any(one.endswith(ONLY_CHECKPOINTS) for one in seen)
    return "models" if found else "images"


def _kind_of_hdf5(path: Path) -> Kind:
    import h5py

    try:
        with h5py.File(path, "r") as file:
            if is_audit(file) or not len(file):
                return "audit"
            return "model" if "model_weights" in file else "images"
    except OSError:
        return "audit"  # opening it will say that it is damaged
