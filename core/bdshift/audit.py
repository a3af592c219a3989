"""The story of an audit, stage by stage: open, choose the preprocessing, embed once, solve, judge.

Each stage is a function of what came before; `scan` tells them in order and returns an `Audit`,
which holds everything that a report, the window or a later session needs, without the model or the
images.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from bdshift._version import __version__
from bdshift.checkpoints.classifier import Classifier, Opened, open_checkpoint
from bdshift.checkpoints.contest import Trial, matched_accuracy
from bdshift.checkpoints.settle import Settled, confusion_of_folders, settle
from bdshift.devices import has_native_bfloat16, pick_device
from bdshift.errors import InputError, UsageError
from bdshift.images.collection import (
    ImageCollection,
    ImageFile,
    Skipped,
    open_images,
    sample_files,
)
from bdshift.images.decode import image_size
from bdshift.images.labels import ClassMap, map_classes
from bdshift.images.loader import decode_all, file_digests
from bdshift.images.preprocessing import parse_normalisation
from bdshift.jobs import SILENT, JobContext
from bdshift.neurons.tac import Tac, measure_tac
from bdshift.shift.adam import solve_adam
from bdshift.shift.cache import EmbeddingCache, requested_hash
from bdshift.shift.embed import Embedding, Precision, embed_images
from bdshift.shift.exact import solve_exact
from bdshift.shift.result import Shifts
from bdshift.shift.verdict import Verdict, check_rule, judge
from bdshift.triggers import Trigger

SOLVERS: dict[str, Callable[..., Shifts]] = {"exact": solve_exact, "adam": solve_adam}
TRIAL_IMAGES = 500
DEFAULT_SAMPLE = 2500
_POOR, _POOR_MANY = 0.5, 0.3  # clean accuracy below which a verdict means little; from 100 classes
_EXPLAINED = 0.5  # accuracy from which another order of the folders is worth proposing


@dataclass(frozen=True)
class ScanSettings:
    """What a user may choose; the defaults are the paper's where it has one.

    Raises `UsageError` for a value that makes no sense.

    Attributes:
        alpha: loss threshold α of Eq. 4.
        beta: outlier threshold β of the paper's rule.
        rule: "grubbs", "mad" or "paper".
        solver: "exact", or "adam" as in the paper.
        sample: count (int) or share (float) of the images, stratified; None for all.
        normalise: a name or mean/std; None to try all known.
        arch: the user's own network, ``package.module:callable``.
        labels: a class-name file.
        device: "auto", "cpu", "cuda", …
        batch: most images at a time; None to go by memory.
        seed: of the sample.
    """

    alpha: float = 0.1
    beta: float = 2.0
    rule: str = "grubbs"
    solver: str = "exact"
    sample: int | float | None = DEFAULT_SAMPLE
    normalise: str | None = None
    arch: str | None = None
    labels: Path | None = None
    device: str = "auto"
    batch: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        check_rule(self.rule, self.beta)
        if self.solver not in SOLVERS:
            raise UsageError(f"solver {self.solver!r} is none of {', '.join(SOLVERS)}")
        if not (self.alpha > 0 and np.isfinite(self.alpha)):
            raise UsageError(f"alpha must be a positive number, not {self.alpha}")
        if self.batch is not None and self.batch < 1:
            raise UsageError(f"a batch has at least one image, not {self.batch}")


@dataclass(frozen=True)
class ModelRecord:
    """The model as the audit remembers it; ``weight`` (C, d) and ``bias`` (C,) are the head's."""

    path: str
    sha256: str
    container: str
    architecture: str
    head: str
    weight: NDArray[np.float32]
    bias: NDArray[np.float32]

    @property
    def classes(self) -> int:
        """Number of classes C."""
        return self.weight.shape[0]

    @property
    def embedding_dim(self) -> int:
        """Embedding dimension d."""
        return self.weight.shape[1]


@dataclass(frozen=True)
class ImagesRecord:
    """The clean set as the audit remembers it.

    Attributes:
        path: folder or zip.
        sha256: over names, labels and contents of the images used.
        available: images in it.
        counts: images used of each class.
        class_names: of all classes; ``label_source`` says where their order is from.
        skipped: files left out, with reasons.
    """

    path: str
    sha256: str
    available: int
    counts: tuple[int, ...]
    class_names: tuple[str, ...]
    label_source: str
    skipped: tuple[Skipped, ...]


@dataclass(frozen=True)
class LabelProposal:
    """Another order of the class folders that explains the predictions far better.

    Attributes:
        of_folder: a class index for each folder name; −1 where none is left.
        accuracy: on the trial images, in that order.
    """

    of_folder: dict[str, int]
    accuracy: float


@dataclass(frozen=True)
class Audit:
    """Everything an audit found. ``embedding`` is None in an audit file saved without it."""

    model: ModelRecord
    images: ImagesRecord
    settings: ScanSettings
    trials: tuple[Trial, ...]
    accuracy: float
    embedding: Embedding | None
    shifts: Shifts
    verdict: Verdict
    warnings: tuple[str, ...]
    device: str
    precision: Precision
    seconds_embed: float
    proposal: LabelProposal | None = None
    tac: tuple[Tac, ...] = ()
    versions: dict[str, str] = field(default_factory=dict)

    @property
    def preprocessing(self) -> Trial:
        """The chosen preprocessing: the best trial."""
        return self.trials[0]


@dataclass(frozen=True)
class CleanSet:
    """The images of an audit: the collection, the files sampled from it, and their classes."""

    collection: ImageCollection
    files: tuple[ImageFile, ...]
    class_map: ClassMap


def open_clean_set(path: str | Path, classes: int, settings: ScanSettings) -> CleanSet:
    """List, sample and label the clean images. Raises as `open_images` and `map_classes` do."""
    collection = open_images(path)
    files = sample_files(collection.files, settings.sample, seed=settings.seed)
    return CleanSet(
        collection, tuple(files), map_classes(collection.folders, classes, settings.labels)
    )


def native_size(collection: ImageCollection, files: Sequence[ImageFile]) -> int | None:
    """Side of the images in pixels, if a few of them are all squares of one size."""
    sizes = set()
    for file in files[:: max(1, len(files) // 12)]:
        try:
            sizes.add(image_size(collection.read(file)))
        except InputError:
            continue
    if len(sizes) != 1:
        return None
    width, height = sizes.pop()
    return width if width == height else None


def choose_preprocessing(
    opened: Opened,
    clean: CleanSet,
    settings: ScanSettings,
    *,
    device: torch.device,
    job: JobContext = SILENT,
) -> tuple[Settled, LabelProposal | None]:
    """Settle architecture and preprocessing by clean accuracy on up to 500 images.

    If even the best is poor, but another order of the folders would explain the predictions, that
    order is proposed and the preprocessing chosen under it. It is not applied to the audit's
    labels: the user knows what the folders mean.
    """
    rng = np.random.default_rng(settings.seed)
    picked = sample_files(clean.files, TRIAL_IMAGES, seed=settings.seed)
    picked = [picked[i] for i in rng.permutation(len(picked))]
    pixels, folders = _trial_pixels(clean.collection, picked, job)
    labels = np.asarray(clean.class_map.of_folder)[folders]
    side = native_size(clean.collection, picked)

    common: dict[str, Any] = {
        "sizes": [side] if side else [],
        "device": device,
        "precision": "bfloat16" if has_native_bfloat16(device) else "float32",
        "job": job,
    }
    normalisation = parse_normalisation(settings.normalise) if settings.normalise else None

    def choose(labels: NDArray[np.int64]) -> Settled:
        return settle(opened, pixels, labels, normalisation=normalisation, **common)

    plain = choose(labels)
    if not _is_poor(plain.ranking[0].accuracy, plain.classifier.classes):
        return plain, None
    if len(labels) < 5 * len(clean.collection.folders):
        return plain, None  # with so few images some order explains anything
    accuracy, order = matched_accuracy(confusion_of_folders(opened, pixels, folders, **common))
    if accuracy < max(_EXPLAINED, 2 * plain.ranking[0].accuracy):
        return plain, None
    names = dict(zip(clean.collection.folders, order, strict=True))
    return choose(np.asarray(order)[folders]), LabelProposal(names, accuracy)


def _trial_pixels(
    collection: ImageCollection, files: Sequence[ImageFile], job: JobContext
) -> tuple[Callable[[int], NDArray[np.uint8]], NDArray[np.int64]]:
    """The trial images at any size, decoded once a size; and the folder of each."""
    small = decode_all(collection, files, 32, job=job, stage="Reading trial images")
    if not len(small.files):
        reason = small.skipped[0].reason if small.skipped else "no files"
        raise InputError(f"{collection.path}: none of its images can be decoded ({reason})")
    cache = {32: small.pixels}

    def pixels(size: int) -> NDArray[np.uint8]:
        if size not in cache:
            cache[size] = decode_all(
                collection, small.files, size, job=job, stage=f"Reading trial images at {size} px"
            ).pixels
        return cache[size]

    return pixels, small.labels


def _is_poor(accuracy: float, classes: int) -> bool:
    return accuracy < (_POOR_MANY if classes >= 100 else _POOR)


def solve(
    logits: NDArray[np.float32],
    weight: NDArray[np.float32],
    settings: ScanSettings,
    *,
    device: torch.device | None = None,
    job: JobContext = SILENT,
) -> Shifts:
    """Eq. 4 by the chosen solver; on the CPU where the device has no float64 (MPS)."""
    where = "cpu" if device is None or device.type == "mps" else device
    return SOLVERS[settings.solver](logits, weight, alpha=settings.alpha, device=where, job=job)


def embed_cached(
    cache: EmbeddingCache | None,
    classifier: Classifier,
    clean: CleanSet,
    *,
    trigger: Trigger | None = None,
    device: torch.device | None = None,
    precision: Precision | None = None,
    batch: int | None = None,
    job: JobContext = SILENT,
) -> Embedding:
    """`embed_images` of the clean set, from the cache if it is there."""
    mapping = clean.class_map.of_folder

    def embed() -> Embedding:
        return embed_images(
            classifier, clean.collection, clean.files, mapping,
            trigger=trigger, device=device, precision=precision, batch=batch, job=job,
        )  # fmt: skip

    if cache is None:
        return embed()
    digests = file_digests(clean.collection, clean.files, job=job)
    images_hash = requested_hash(clean.files, digests)
    key = cache.key(classifier, images_hash, mapping, trigger.spec if trigger else "", precision)
    found = cache.load(key)
    if found is not None:
        job.note("The embeddings are in the cache")
        return found
    found = embed()
    cache.save(key, found)
    return found


def scan(
    model: str | Path,
    images: str | Path,
    settings: ScanSettings | None = None,
    *,
    cache: EmbeddingCache | None = None,
    job: JobContext = SILENT,
) -> Audit:
    """Audit a checkpoint with a clean set: the whole story.

    With a ``cache``, embeddings that were computed before are taken from it.

    Raises `InputError` if a file cannot be read or used, `UsageError` if a setting makes no sense,
    `bdshift.jobs.Cancelled` if the job was cancelled.
    """
    settings = settings or ScanSettings()
    device = pick_device(settings.device)
    opened = open_checkpoint(model, arch=settings.arch, job=job)
    classes = opened.classifier(opened.candidates[0]).classes
    clean = open_clean_set(images, classes, settings)
    settled, proposal = choose_preprocessing(opened, clean, settings, device=device, job=job)
    classifier = settled.classifier
    embedding = embed_cached(cache, classifier, clean, device=device, batch=settings.batch, job=job)
    weight, bias = classifier.weight.cpu().numpy(), classifier.bias.cpu().numpy()
    shifts = solve(embedding.logits, weight, settings, device=device, job=job)
    verdict = judge(shifts.l2, clean.class_map.names, rule=settings.rule, beta=settings.beta)
    return Audit(
        model=ModelRecord(
            path=str(classifier.path),
            sha256=classifier.sha256,
            container=classifier.layout.container,
            architecture=classifier.architecture,
            head=classifier.head_name,
            weight=weight,
            bias=bias,
        ),
        images=ImagesRecord(
            path=str(clean.collection.path),
            sha256=embedding.images_hash,
            available=len(clean.collection.files),
            counts=tuple(np.bincount(embedding.labels, minlength=classes).tolist()),
            class_names=clean.class_map.names,
            label_source=clean.class_map.source,
            skipped=clean.collection.skipped + embedding.skipped,
        ),
        settings=settings,
        trials=settled.ranking,
        accuracy=embedding.accuracy,
        embedding=embedding,
        shifts=shifts,
        verdict=verdict,
        warnings=_warnings(embedding, shifts, verdict, clean, proposal),
        device=device.type,
        precision=embedding.precision,
        seconds_embed=embedding.seconds,
        proposal=proposal,
        versions=versions(),
    )


def versions() -> dict[str, str]:
    """Versions that a result depends on."""
    return {
        "bdshift": __version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
    }


def _warnings(
    embedding: Embedding,
    shifts: Shifts,
    verdict: Verdict,
    clean: CleanSet,
    proposal: LabelProposal | None,
) -> tuple[str, ...]:
    found = []
    classes = len(clean.class_map.names)
    accuracy = embedding.accuracy
    if proposal is not None:
        found.append(
            f"Clean accuracy is {accuracy:.1%}, but another order of the class folders explains "
            f"{proposal.accuracy:.1%} of the predictions: the classes are probably numbered in "
            "another order. Give it with --labels; until then class names are wrong."
        )
    elif _is_poor(accuracy, classes):
        found.append(
            f"Clean accuracy is only {accuracy:.1%} under the best preprocessing found: the images "
            "are not what this network was trained on, or are treated wrongly. The verdict means "
            "little."
        )
    if len(embedding.labels) < 5 * classes:
        found.append(
            f"{len(embedding.labels)} images for {classes} classes are few: the norms are rough."
        )
    unfinished = [i for i, status in enumerate(shifts.status) if status == "unfinished"]
    if unfinished:
        names = ", ".join(clean.class_map.names[i] for i in unfinished[:5])
        found.append(
            f"The {shifts.solver} solver did not reach α for {len(unfinished)} of {classes} "
            f"classes ({names}{', …' if len(unfinished) > 5 else ''})."
        )
    return (*found, *verdict.cautions)


def reopen(
    audit: Audit,
    *,
    model: str | Path | None = None,
    images: str | Path | None = None,
    job: JobContext = SILENT,
) -> tuple[Classifier, CleanSet]:
    """The model and images of an audit again, from where they were or where they are now.

    Raises `InputError` if either is missing or is not the same as then (by SHA-256).
    """
    opened = open_checkpoint(model or audit.model.path, arch=audit.settings.arch, job=job)
    if opened.file.sha256 != audit.model.sha256:
        raise InputError(f"{opened.file.path}: is not the model that was audited (SHA-256 differs)")
    chosen = [c for c in opened.candidates if c.name == audit.model.architecture]
    if not chosen:
        raise InputError(
            f"{opened.file.path}: is no longer recognised as {audit.model.architecture}"
        )
    classifier = opened.classifier(chosen[0]).with_preprocessing(audit.preprocessing.preprocessing)
    path = images or audit.images.path
    clean = open_clean_set(path, classifier.classes, audit.settings)
    return classifier, clean


def add_tac(
    audit: Audit,
    classifier: Classifier,
    clean: CleanSet,
    trigger: Trigger,
    target: int,
    *,
    cache: EmbeddingCache | None = None,
    job: JobContext = SILENT,
) -> Audit:
    """The audit with TAC under ``trigger`` for class ``target`` added (or renewed).

    Raises `InputError` if the images are not those of the audit.
    """
    embed = partial(
        embed_cached,
        cache,
        classifier,
        clean,
        device=pick_device(audit.settings.device),
        precision=audit.precision,
        batch=audit.settings.batch,
        job=job,
    )
    triggered = embed(trigger=trigger)
    if triggered.images_hash != audit.images.sha256:
        raise InputError(f"{clean.collection.path}: is not the set that was audited (hash differs)")
    before = audit.embedding or embed()
    found = measure_tac(before, triggered, trigger.spec, target)
    kept = [t for t in audit.tac if (t.trigger, t.target) != (found.trigger, found.target)]
    return replace(audit, tac=(*kept, found))
