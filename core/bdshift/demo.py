"""The demo: two bundled models, clean signs drawn for them, and the audit of the backdoored one."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from bdshift.assets import asset
from bdshift.audit import Audit, add_tac, scan_opened
from bdshift.checkpoints.classifier import open_checkpoint
from bdshift.images.collection import open_images
from bdshift.images.signs import CLASSES, write_signs
from bdshift.jobs import SILENT, JobContext
from bdshift.triggers import parse_trigger

IMAGES_PER_CLASS, SEED = 100, 0


def prepare(folder: Path, job: JobContext = SILENT) -> tuple[Path, Path]:
    """Put the demo's models and freshly drawn clean images into ``folder``; a complete set of
    images that is already there is kept. Returns the backdoored model and the images' folder.
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


def audit_victim(folder: Path, job: JobContext = SILENT) -> Audit:
    """The audit of the backdoored model, with TAC under the trigger that its card names; everything
    it needs is put into ``folder``.
    """
    model, images = prepare(folder, job)
    audit, material = scan_opened(open_checkpoint(model, job=job), open_images(images), job=job)
    recipe = json.loads(asset("demo/victim.json").read_text(encoding="utf-8"))["recipe"]
    target = audit.images.class_names.index(recipe["target"])
    return add_tac(audit, material, parse_trigger(recipe["attack"]), target, job=job)
