"""Would I have caught it? A victim is trained on the user's own images, and audited with them."""

from __future__ import annotations

from pathlib import Path

from bdshift.audit import Audit, ScanSettings, add_tac, scan_opened
from bdshift.checkpoints.classifier import open_checkpoint
from bdshift.images.collection import open_images
from bdshift.images.signs import write_signs
from bdshift.jobs import SILENT, JobContext
from bdshift.lab.data import load_lab_data
from bdshift.lab.folder import VictimFigures
from bdshift.lab.joint import as_learned
from bdshift.lab.recipe import Recipe
from bdshift.lab.train import train_victim

_SIGNS_PER_CLASS = 100  # to audit with


def try_attack(
    recipe: Recipe,
    images: str | Path | None,
    folder: Path,
    *,
    device: str = "auto",
    job: JobContext = SILENT,
) -> tuple[Audit, VictimFigures]:
    """Train a victim into ``folder`` and scan it with the images that it was trained on, as they
    were before they were poisoned; TAC is added for each backdoor that has one target. ``images``
    is a set of labeled ones; None draws signs. If stopped, the same call resumes.

    Raises as `load_lab_data`, `train_victim` and `scan` do.
    """
    lab = load_lab_data("signs" if images is None else str(images), "", seed=recipe.seed, job=job)
    outcome = train_victim(recipe, lab, folder, device=device, job=job)
    if images is None:
        images = folder / "clean"
        if not images.exists():
            write_signs(images, _SIGNS_PER_CLASS, seed=recipe.seed, job=job)
    collection = open_images(images, job=job)
    opened = open_checkpoint(folder / "model.pth", job=job)
    audit, material = scan_opened(opened, collection, ScanSettings(device=device), job=job)
    for backdoor in as_learned(recipe.backdoors(lab.class_names), folder):
        if backdoor.labeling.has_target:
            audit = add_tac(audit, material, backdoor.trigger, backdoor.roles.target, job=job)
    return audit, outcome
