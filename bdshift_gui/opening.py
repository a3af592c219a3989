"""What a path is, and what can be said of it before a scan."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

from bdshift.jobs import JobContext
from bdshift_gui.session import ImagesCard


def describe_model(
    path: Path, arch: str | None, weights: str | None, job: JobContext
) -> dict[str, Any]:
    """What a checkpoint is, for its card. Raises `InputError`, also if it is not recognized."""
    from bdshift.checkpoints.describe import describe

    told, error = describe(path, arch=arch, weights=weights, job=job)
    if error is not None:
        raise error
    return told


def list_images(path: Path, job: JobContext) -> ImagesCard:
    """What a clean set holds. Raises `InputError`."""
    from bdshift.images.collection import open_images

    found = open_images(path, job=job)
    counts = tuple(zip(found.folders, found.counts(), strict=True))
    skipped = tuple((skip.name, skip.reason) for skip in found.skipped)
    return ImagesCard(counts, skipped, tuple(found.notes))


def list_again(path: Path | None, job: JobContext) -> ImagesCard | None:
    """The clean set of the audit that was open, if it is still there."""
    from bdshift.errors import InputError

    if path is None:
        return None
    try:
        return list_images(path, job)
    except InputError:
        return None


def kind_of(path: Path) -> str:
    """What to open it as, "images", "audit" or "model": by what it holds, not by its name."""
    if path.is_dir():
        from bdshift.checkpoints.folder import holds_weights

        return "model" if holds_weights(path) else "images"
    try:
        with path.open("rb") as stream:
            head = stream.read(512)
            tail = stream.read(4096)
    except OSError:
        return "model"  # opening it will say why it cannot be read
    if head.startswith(b"\x89HDF\r\n\x1a\n"):
        return "audit" if _is_audit(path) else "images"
    if head.startswith(b"PK\x03\x04"):
        try:
            with zipfile.ZipFile(path) as archive:
                names = archive.namelist()
        except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
            return "model"
        marks = ("data.pkl", "model_weights_config.json", "model.weights.h5")
        return "model" if any(name.endswith(marks) for name in names) else "images"
    if head[:1] == b"\x80":  # a pickle: CIFAR's batches hold these names, in one of two protocols
        batch = any(word in head + tail for word in (b"batch_label", b"fine_labels", b"filenames"))
        return "images" if batch else "model"
    from bdshift.images.sources.choose import is_image_set

    return "images" if is_image_set(path, head) else "model"


def _is_audit(path: Path) -> bool:
    import h5py

    from bdshift.images.sources.hdf5 import is_audit

    try:
        with h5py.File(path, "r") as file:
            return is_audit(file) or not len(file)
    except OSError:
        return True  # opening it will say that it is damaged
