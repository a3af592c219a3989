"""The stages of an audit, each a function of what came before."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from bdshift.audit.records import (
    SOLVERS,
    Audit,
    ImagesRecord,
    LabelProposal,
    ModelRecord,
    ScanSettings,
    is_poor,
    versions,
)
from bdshift.checkpoints.classifier import Classifier, Opened
from bdshift.checkpoints.contest import Trial, matched_accuracy
from bdshift.checkpoints.layout import PROGRAMS
from bdshift.checkpoints.names import foreign
from bdshift.checkpoints.settle import Settled, confusion_of_folders, settle
from bdshift.devices import has_native_bfloat16
from bdshift.errors import InputError
from bdshift.images.collection import ImageCollection, ImageFile, sample_files
from bdshift.images.decode import image_size
from bdshift.images.labels import ClassMap, map_classes
from bdshift.images.loader import decode_all, file_digests
from bdshift.images.preprocessing import parse_normalization
from bdshift.jobs import SILENT, JobContext
from bdshift.shift.cache import EmbeddingCache, requested_hash
from bdshift.shift.embed import Embedding, Precision, embed_images
from bdshift.shift.result import Shifts
from bdshift.shift.verdict import Verdict, judge
from bdshift.triggers import Trigger

TRIAL_IMAGES = 500
_EXPLAINED = 0.5  # accuracy from which another order of the folders is worth proposing


@dataclass(frozen=True)
class CleanSet:
    """The images of an audit: the collection, the files sampled from it, and their classes."""

    collection: ImageCollection
    files: tuple[ImageFile, ...]
    class_map: ClassMap


def open_clean_set(
    collection: ImageCollection,
    classes: int,
    settings: ScanSettings,
    model_names: Sequence[str] = (),
) -> CleanSet:
    """Sample and label the clean images; ``model_names`` are the classes' names as the model's file
    has them. Raises as `sample_files` and `map_classes` do.
    """
    files = sample_files(collection.files, settings.sample, seed=settings.seed)
    class_map = map_classes(collection.folders, classes, settings.labels, model_names)
    return CleanSet(collection, tuple(files), class_map)


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

    Raises `InputError` if the network cannot be run, or does something after its head.
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
    normalization = parse_normalization(settings.normalize) if settings.normalize else None

    def choose(labels: NDArray[np.int64]) -> Settled:
        return settle(opened, pixels, labels, normalization=normalization, **common)

    plain = choose(labels)
    chosen = plain.classifier
    preprocess = plain.ranking[0].preprocessing
    checked = chosen.checked(preprocess(torch.from_numpy(pixels(preprocess.size)[:2]).to(device)))
    plain = replace(plain, classifier=checked)
    if not is_poor(plain.ranking[0].accuracy, chosen.classes):
        return plain, None
    if len(labels) < 5 * len(clean.collection.folders):
        return plain, None  # with so few images some order explains anything
    accuracy, order = matched_accuracy(confusion_of_folders(opened, pixels, folders, **common))
    known = max(accuracy, plain.ranking[0].accuracy)
    if opened.is_rebuilt and known < min(_EXPLAINED, 3 / chosen.classes):
        networks = len({trial.architecture for trial in plain.ranking})
        raise InputError(
            f"{opened.file.path}: no network is known that has these layers. Of {networks} that "
            "its weights could be, none classifies the images (at best "
            f"{plain.ranking[0].accuracy:.0%} right). If these are its images, name its class with "
            "--arch package.module:callable"
        )
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


def conclude(
    model: ModelRecord,
    images: ImagesRecord,
    settings: ScanSettings,
    trials: tuple[Trial, ...],
    embedding: Embedding,
    clean: CleanSet,
    *,
    proposal: LabelProposal | None = None,
    notes: Sequence[str] = (),
    device: torch.device,
    job: JobContext = SILENT,
) -> Audit:
    """Solve, judge and warn: the audit of ``model`` from its embedding of the images."""
    shifts = solve(embedding.logits, model.weight, settings, device=device, job=job)
    verdict = judge(shifts.l2, images.class_names, rule=settings.rule, beta=settings.beta)
    return Audit(
        model=model,
        images=images,
        settings=settings,
        trials=trials,
        accuracy=embedding.accuracy,
        embedding=embedding,
        shifts=shifts,
        verdict=verdict,
        warnings=(*find_warnings(embedding, shifts, verdict, clean, proposal), *notes),
        device=device.type,
        precision=embedding.precision,
        seconds_embed=embedding.seconds,
        proposal=proposal,
        versions=versions(),
    )


def model_notes(opened: Opened, settled: Settled) -> list[str]:
    """What a person should know of how the model was read, in plain sentences."""
    found = []
    chosen = settled.classifier
    if settled.ties:
        count = len(settled.ties)
        others = f"{count} other networks" if count > 1 else "another network"
        found.append(
            f"The weights fit {others} that classify the trial images as well (as "
            f"{settled.ties[0]}); the audit is of {chosen.architecture}."
        )
    if opened.ignored:
        names = ", ".join(opened.ignored[:4])
        more = f" and {len(opened.ignored) - 4} more" if len(opened.ignored) > 4 else ""
        found.append(f"Tensors that the network has no use for were ignored: {names}{more}.")
    if opened.state.layout.others:
        names = ", ".join(opened.state.layout.others)
        found.append(f"The file holds other models too ({names}); --weights chooses.")
    if chosen.softmax_inside:
        found.append("The network ends in a softmax; its logits are taken before it.")
    if opened.file.container in PROGRAMS:
        found.append(
            "The file holds a program, which was not looked at and may do something else than its "
            "weights say. Exported as it came, it keeps that program."
        )
    strange = foreign(opened.file.names)
    if strange:
        names = ", ".join(strange[:3])
        more = f" and {len(strange) - 3} more" if len(strange) > 3 else ""
        found.append(
            f"The file names code that torch.load would import and run ({names}{more}). Nothing of "
            "it was run here."
        )
    return found


def find_warnings(
    embedding: Embedding,
    shifts: Shifts,
    verdict: Verdict,
    clean: CleanSet,
    proposal: LabelProposal | None,
) -> tuple[str, ...]:
    """What limits the verdict, in plain sentences, the most serious first."""
    found = []
    classes = len(clean.class_map.names)
    accuracy = embedding.accuracy
    if proposal is not None:
        found.append(
            f"Clean accuracy is {accuracy:.1%}, but another order of the class folders explains "
            f"{proposal.accuracy:.1%} of the predictions: the classes are probably numbered in "
            "another order. Give it with --labels; until then class names are wrong."
        )
    elif is_poor(accuracy, classes):
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
