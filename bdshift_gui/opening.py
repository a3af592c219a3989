"""What a path is, and what can be said of it before a scan."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

from bdshift.jobs import JobContext
from bdshift_gui.session import ImagesCard


def describe_model(path: Path, arch: str | None, job: JobContext) -> dict[str, Any]:
    """What a checkpoint is, for its card. Raises `InputError`, also if it is not recognised."""
    from bdshift.checkpoints.describe import describe

    told, error = describe(path, arch=arch, job=job)
    if error is not None:
        raise error
    return told


def list_images(path: Path) -> ImagesCard:
    """What a clean set holds. Raises `InputError`."""
    from bdshift.images.collection import open_images

    found = open_images(path)
    counts = tuple(zip(found.folders, found.counts(), strict=True))
    return ImagesCard(counts, tuple((skip.name, skip.reason) for skip in found.skipped))


def list_again(path: Path | None) -> ImagesCard | None:
    """The clean set of the audit that was open, if it is still there."""
    from bdshift.errors import InputError

    if path is None:
        return None
    try:
        return list_images(path)
    except InputError:
        return None


def kind_of(path: Path) -> str:
    """What to open it as, "images", "audit" or "model": by what it holds, not by its name."""
    if path.is_dir():
        return "images"
    try:
        with path.open("rb") as stream:
            head = stream.read(8)
    except OSError:
        return "model"  # opening it will say why it cannot be read
    if head == b"\x89HDF\r\n\x1a\n":
        return "audit"
    if head.startswith(b"PK\x03\x04"):
        try:
            with zipfile.ZipFile(path) as archive:
                names = archive.namelist()
        except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
            return "model"
        if not any(name.endswith(("data.pkl", ".npy")) for name in names):
            return "images"
    return "model"
