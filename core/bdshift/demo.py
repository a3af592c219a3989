"""The demo: two bundled models, and clean signs drawn for them."""

from __future__ import annotations

import shutil
from pathlib import Path

from bdshift.assets import asset
from bdshift.images.signs import CLASSES, write_signs
from bdshift.jobs import SILENT, JobContext

IMAGES_PER_CLASS, SEED = 100, 0


def prepare(folder: Path, job: JobContext = SILENT) -> tuple[Path, Path]:
    """Put the demo's models and freshly drawn clean images into ``folder``; both are kept if they
    are there. Returns the backdoored model and the images' folder.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("victim.pth", "clean-twin.pth"):
        shutil.copyfile(asset(f"demo/{name}"), folder / name)
    clean = folder / "clean"
    expected = len(CLASSES) * IMAGES_PER_CLASS
    if sum(1 for _ in clean.glob("*/*.png")) != expected:
        shutil.rmtree(clean, ignore_errors=True)
        write_signs(clean, IMAGES_PER_CLASS, seed=SEED, job=job)
    return folder / "victim.pth", clean
