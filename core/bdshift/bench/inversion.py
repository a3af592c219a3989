"""A trigger for every class: our search against Neural Cleanse as published.

Both get the same network and the same images in the same run. Whether their triggers work is
measured on as many images that neither has used; that is not counted.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from bdshift.audit import ScanSettings, scan_opened
from bdshift.audit.facts import WORKING_ASR
from bdshift.bench.drawn import BenchRow
from bdshift.changes import CHANGES
from bdshift.checkpoints.classifier import open_checkpoint
from bdshift.detect.detectors.neural_cleanse import Inverted, NeuralCleanse
from bdshift.detect.tanh_mask import images_that_fit, share_sent
from bdshift.images.collection import open_images
from bdshift.jobs import JobContext
from bdshift.recovery.curve import at_level, success
from bdshift.recovery.recovery import LEVELS
from bdshift.recovery.scene import Scene, scene_of
from bdshift.recovery.search import search

_KIND = "mask"
_SCALED_ON = 80  # images, as in a detector


@dataclass(frozen=True)
class Searched:
    """What one of them found, and what that took.

    Attributes:
        seconds: of the search for all classes.
        busy: seconds of processor time, of all threads: unlike ``seconds``, they hardly depend on
            what else runs on the machine.
        forwards, backwards: images that went through the network in each direction.
        success: of each class's trigger, on unused images of other classes.
        sizes: of each class's mask, in pixels.
        note: what else there is to say.
    """

    seconds: float
    busy: float
    forwards: int
    backwards: int
    success: tuple[float, ...]
    sizes: tuple[float, ...]
    note: str = ""

    @property
    def working(self) -> int:
        """Number of triggers that work."""
        return sum(one >= WORKING_ASR for one in self.success)

    @property
    def seconds_each(self) -> float:
        """For a trigger that works; infinite without one."""
        return self.seconds / self.working if self.working else math.inf

    def row(self, what: str) -> BenchRow:
        """As a line of the table."""
        sizes = [
            size for size, one in zip(self.sizes, self.success, strict=True) if one >= WORKING_ASR
        ]
        note = (
            f"{self.busy:.1f} s on the processor; {self.forwards:,} images forward, "
            f"{self.backwards:,} back; {self.working} of {len(self.success)} triggers work"
        )
        if sizes:
            note += f", with {np.median(sizes):.1f} pixels (median)"
        return BenchRow(what, f"{self.seconds:.1f} s", note + self.note)


class _Watch:
    """Runs from the start."""

    def __init__(self) -> None:
        self._began = time.perf_counter(), time.process_time()

    def read(self) -> tuple[float, float]:
        """Seconds since, and of processor time."""
        return time.perf_counter() - self._began[0], time.process_time() - self._began[1]


def measure_inversion(
    model: Path, images: Path, device: torch.device, yardstick: NeuralCleanse, job: JobContext
) -> list[BenchRow]:
    """On a checkpoint and its clean images, with a line that compares them."""
    audit, material = scan_opened(
        open_checkpoint(model, job=job), open_images(images, job=job),
        ScanSettings(device=device.type), job=job,
    )  # fmt: skip
    assert audit.embedding is not None
    count = images_that_fit(2 * yardstick.images, audit.preprocessing.size)
    with scene_of(
        material.classifier, material.clean.collection, audit.embedding, count,
        seed=audit.settings.seed, device=device, job=job,
    ) as scene:  # fmt: skip
        return compare(scene, yardstick, audit.settings.seed)


def compare(scene: Scene, yardstick: NeuralCleanse, seed: int) -> list[BenchRow]:
    """Our search on half of the images, then the yardstick's, and the two compared."""
    ours = _ours(*scene.halves(), seed)
    first = ours.row("ours: mask and pattern, all classes at once")
    scene.job.note("{row}", row=f"{first.what}: {first.value}, {first.note}")
    theirs = _theirs(*scene.halves(), yardstick, seed, ours.sizes)
    each = ours.seconds_each, theirs.seconds_each
    passes = theirs.forwards + theirs.backwards, ours.forwards + ours.backwards
    return [
        first,
        theirs.row("Neural Cleanse as published, one class after the other"),
        BenchRow(
            "seconds for each trigger that works, Neural Cleanse / ours",
            f"{each[1] / each[0]:.0f} ×" if math.isfinite(sum(each)) else "—",
            f"{each[1]:.1f} s and {each[0]:.1f} s; for all classes {theirs.busy / ours.busy:.0f} × "
            f"the time on the processor, {passes[0] / passes[1]:.0f} × the images",
        ),
    ]


def _ours(used: Scene, unused: Scene, seed: int) -> Searched:
    """Made as large as it takes on some of the images that were searched on, as a recovery does."""
    watch = _Watch()
    kind = CHANGES.parse(_KIND)
    found = search(kind, used, torch.arange(used.classes, device=used.device), seed=seed)
    some = used.part(torch.arange(min(_SCALED_ON, len(used.labels)), device=used.device))
    made = [at_level(kind, some, one, found.of(one), LEVELS[-1]) for one in range(used.classes)]
    seconds, busy = watch.read()
    return Searched(
        seconds, busy, used.forwards + some.forwards, used.backwards,
        tuple(success(kind, unused, target, one) for target, one in enumerate(made)),
        tuple(float(kind.size(one)) for one in made),
    )  # fmt: skip


def _theirs(
    used: Scene, unused: Scene, method: NeuralCleanse, seed: int, ours: tuple[float, ...]
) -> Searched:
    watch = _Watch()
    found = []
    for target in range(used.classes):
        found.append(method.invert(used, target, seed))
        used.job.note("{row}", row=f"Neural Cleanse, class {target}: {len(found[-1].sizes)} steps, "
                                   f"{watch.read()[0]:.0f} s so far")  # fmt: skip
    seconds, busy = watch.read()
    steps = sum(len(one.sizes) for one in found)
    any_size, our_size = (
        sum(steps_until(one, limit) for one, limit in zip(found, limits, strict=True))
        for limits in ((math.inf,) * len(found), ours)
    )
    smaller = sum(one.sizes.min() <= limit for one, limit in zip(found, ours, strict=True))
    return Searched(
        seconds, busy, used.forwards, used.backwards,
        tuple(float(share_sent(unused, one.mask, one.pattern)[i]) for i, one in enumerate(found)),
        tuple(one.l1 for one in found),
        f"; masks of any size work on the images searched on after "
        f"{any_size / steps * seconds:.0f} s, masks no larger than ours after "
        f"{our_size / steps * seconds:.0f} s (in {smaller} of {len(found)} classes)",
    )  # fmt: skip


def steps_until(one: Inverted, limit: float) -> int:
    """Steps until a mask that works is smaller; all if it never is."""
    small = np.isfinite(one.sizes) & (one.sizes <= limit)
    return int(small.argmax()) + 1 if small.any() else len(one.sizes)
