"""What all searches of one recovery have in common: the network, its images by class, the guide,
and what is left of the budget.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

from bdshift.audit.made import versions
from bdshift.audit.records import Audit
from bdshift.audit.stages import Material, embed_cached
from bdshift.changes import ChangeKind
from bdshift.devices import pace
from bdshift.errors import InputError
from bdshift.images.collection import ImageFile, sample_files
from bdshift.jobs import JobContext
from bdshift.recovery.effort import affordable_passes
from bdshift.recovery.scene import Scene, scene_of
from bdshift.recovery.search import Found, search
from bdshift.recovery.tried import FinishedKinds
from bdshift.shift.embed import Embedding, embed_images
from bdshift.words import Sentence

EVERY_OTHER = -1
"""The source of a trigger that sends images of all other classes."""

CONTROLS = 3
"""Classes that a target is compared with."""

_IMAGES = 320  # half of them are searched on
_GUIDE = 2.0  # weight of the embedding shift in the loss


@dataclass
class Ground:
    """One recovery's.

    Attributes:
        audit, material: the model and its clean images.
        embedding: of the audit's images.
        shifts: embedding shift of every class, float32 (C, d).
        finished: searches that an interrupted recovery has finished.
        left: images that may still go through the network forward and back.
        seed: of everything random.
        device: of the network.
        job: progress and cancellation.
    """

    audit: Audit
    material: Material
    embedding: Embedding
    shifts: torch.Tensor
    finished: FinishedKinds
    left: float
    seed: int
    device: torch.device
    job: JobContext
    _of_source: dict[int, Embedding] = field(default_factory=dict)

    @contextmanager
    def halves(self, source: int) -> Iterator[tuple[Scene, Scene]]:
        """Images to search on, and others to measure on: of one class, or of all."""
        with scene_of(
            self.material.classifier, self.material.clean.collection, self._images_of(source),
            _IMAGES, seed=self.seed, device=self.device, job=self.job,
        ) as scene:  # fmt: skip
            yield scene.halves()

    def files_of(self, source: int) -> list[ImageFile]:
        """Those of a class in the collection, in the audit or not; without labels, those in the
        audit that the model takes for it.
        """
        clean = self.material.clean
        if not clean.collection.labeled:
            return [one for one in clean.files if one.label == source]
        of_folder = clean.class_map.of_folder
        return [one for one in clean.collection.files if of_folder[one.label] == source]

    def _images_of(self, source: int) -> Embedding:
        """An audit has few images of one class; the collection may have more.

        Raises `InputError` if there are fewer than two.
        """
        if source == EVERY_OTHER:
            return self.embedding
        if source not in self._of_source:
            clean, files = self.material.clean, self.files_of(source)
            if len(files) < 2:
                raise InputError("there are too few images of the source class to search on")
            self._of_source[source] = embed_images(
                self.material.classifier, clean.collection,
                sample_files(files, _IMAGES, seed=self.seed), clean.class_map.of_folder,
                device=self.device, precision=self.embedding.precision,
                batch=self.audit.settings.batch, job=self.job,
            )  # fmt: skip
        return self._of_source[source]

    def controls(self, target: int, source: int) -> list[int]:
        """Classes to compare the target with: two whose shifts are in the middle, and one at
        random.
        """
        norms = self.audit.shifts.l2
        others = [i for i in np.argsort(norms, kind="stable").tolist() if i not in (target, source)]
        middle = len(others) // 2
        chosen = others[max(0, middle - 1) : middle + 1]
        rest = [one for one in others if one not in chosen]
        count = min(len(rest), CONTROLS - len(chosen))
        drawn = np.random.default_rng(self.seed).permutation(rest)[:count]
        return [*chosen, *drawn.astype(int).tolist()]

    def search(
        self, kind: ChangeKind, scene: Scene, targets: list[int], stage: Sentence | None = None
    ) -> Found:
        """The smallest changes that can be found. Only those of the kinds that compete, whose stage
        has no other name, are reported while they are searched for.
        """
        return search(
            kind, scene, torch.tensor(targets, device=self.device), seed=self.seed,
            shifts=self.shifts, guide=_GUIDE, stage=stage,
            shown=stage is None,
        )  # fmt: skip


def ground_of(
    audit: Audit, material: Material, budget: float | None, resume: Path | None, seed: int,
    device: torch.device, job: JobContext,
) -> Ground:  # fmt: skip
    """What a recovery needs, with a budget in seconds; None for no limit.

    Raises `InputError` if the images are not those of the audit.
    """
    embedding = audit.embedding or embed_cached(
        None, material, device=device, precision=audit.precision, batch=audit.settings.batch,
        job=job,
    )  # fmt: skip
    if embedding.images_hash != audit.images.sha256:
        raise InputError(
            "{path}: is not the set that was audited (hash differs)",
            path=material.clean.collection.path,
        )
    identity = {  # everything that all numbers depend on
        "model": audit.model.sha256, "weights": audit.model.weights, "images": audit.images.sha256,
        "architecture": audit.model.architecture, "preprocessing": repr(audit.preprocessing),
        "alpha": audit.shifts.alpha, "precision": audit.precision, "seed": seed,
        "device": device.type, "versions": versions(),
    }  # fmt: skip
    left = math.inf
    if budget is not None:
        left = affordable_passes(material.classifier, budget * pace(device), embedding.precision)
    shifts = torch.from_numpy(audit.shifts.shift.astype(np.float32)).to(device)
    return Ground(
        audit, material, embedding, shifts, FinishedKinds(resume, identity, device, job), left,
        seed, device, job,
    )  # fmt: skip
