"""The demo: two bundled models, clean signs drawn for them, and the audit of the backdoored one."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from bdshift.assets import asset
from bdshift.audit import Audit, ScanSettings, add_tac, scan_opened
from bdshift.checkpoints.classifier import open_checkpoint
from bdshift.errors import InputError, UsageError
from bdshift.images.collection import open_images
from bdshift.images.signs import CLASSES, write_signs
from bdshift.jobs import SILENT, JobContext
from bdshift.outputs import Output
from bdshift.store import load_audit
from bdshift.triggers import card_target, parse_trigger
from bdshift.writing import make_folder

IMAGES_PER_CLASS, SEED = 100, 0
SEARCH_SECONDS = 35.0
"""That `bdshift demo` searches for triggers: a fifth of a scan's, and enough for this sticker on
any processor.
"""


def prepare(folder: Path, job: JobContext = SILENT) -> tuple[Path, Path]:
    """Put the demo's models and freshly drawn clean images into ``folder``; what is already there
    of them is kept. Returns the backdoored model and the images' folder.

    Raises `UsageError` if other files have their names, `InputError` if it cannot be written.
    """
    make_folder(folder)
    for name in ("victim.pth", "clean-twin.pth"):
        output, content = Output(folder / name, resumed=True), asset(f"demo/{name}").read_bytes()
        if os.path.lexists(output.path) and not output.is_written(content):
            raise UsageError("{path}: exists, and is another file", path=output.path)
        output.write(content)
    clean = folder / "clean"
    expected = len(CLASSES) * IMAGES_PER_CLASS
    if sum(1 for _ in clean.glob("*/*.png")) != expected:
        write_signs(clean, IMAGES_PER_CLASS, seed=SEED, job=job)
    return folder / "victim.pth", clean


def is_of_demo(path: Path) -> bool:
    """Whether a file is the audit of the demo's model."""
    try:
        found = load_audit(path).model.sha256
    except InputError:
        return False
    return found == hashlib.sha256(asset("demo/victim.pth").read_bytes()).hexdigest()


def audit_victim(folder: Path, job: JobContext = SILENT, *, budget: float = 0.0) -> Audit:
    """The audit of the backdoored model, with TAC under the trigger that its card names; everything
    it needs is put into ``folder``. ``budget`` is that of `ScanSettings.search`.
    """
    model, images = prepare(folder, job)
    opened, asked = open_checkpoint(model, job=job), ScanSettings(search=budget)
    audit, material = scan_opened(opened, open_images(images), asked, job=job)
    card = str(asset("demo/victim.json"))
    target = audit.images.class_names.index(card_target(card))
    return add_tac(audit, material, parse_trigger(card), target, job=job)
