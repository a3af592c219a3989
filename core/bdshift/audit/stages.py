"""The stages of a scan, each a function of what came before."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from bdshift.audit.finished import FinishedDetectors, find_evidence
from bdshift.audit.framing import framed, settle_framing
from bdshift.audit.images_record import ImagesRecord, LabelProposal
from bdshift.audit.made import now, versions
from bdshift.audit.reading_doubts import is_poor
from bdshift.audit.reading_notes import BY_RANGE
from bdshift.audit.records import Alternative, Audit, ModelRecord
from bdshift.audit.scan_settings import ScanSettings
from bdshift.audit.trial_images import TrialImages
from bdshift.checkpoints.as_given import settled_as_given
from bdshift.checkpoints.classifier import Classifier, Opened
from bdshift.checkpoints.contest import TrialSet
from bdshift.checkpoints.entrant import NO_LABEL, Trial, matched_accuracy
from bdshift.checkpoints.settle import Settled, confusion_of_folders, settle
from bdshift.detect.detector import Subject
from bdshift.devices import usual_precision
from bdshift.errors import InputError
from bdshift.files import is_in_memory
from bdshift.images.collection import ImageCollection, ImageFile, sample_files
from bdshift.images.decode import image_size
from bdshift.images.framing import USUAL, Framing, check_fit
from bdshift.images.labels import LEFT_OUT, ClassMap, map_classes, unlabeled_classes
from bdshift.images.loader import content_hash, file_digests
from bdshift.images.preprocessing import parse_normalization
from bdshift.jobs import SILENT, JobContext
from bdshift.remark import Remark
from bdshift.shift.cache import EmbeddingCache, requested_hash
from bdshift.shift.embed import Embedding, Precision, embed_images
from bdshift.triggers import Trigger

TRIAL_IMAGES = 500
_COMPARED_IMAGES = 4  # of an embedding from the cache
_MAX_OFF = {"float32": 1e-3, "bfloat16": 0.1}  # of a row of φ in another batch, as a share
_EXPLAINED = 0.5  # accuracy from which another order of the folders is worth proposing


@dataclass(frozen=True)
class CleanSet:
    """The images of an audit: the collection, the files sampled from it, and their classes.

    Of images without labels, the files have those that the audited model predicts, once they are
    ``predicted``.
    """

    collection: ImageCollection
    files: tuple[ImageFile, ...]
    class_map: ClassMap
    predicted: bool = False

    def labeled_as(self, embedding: Embedding) -> CleanSet:
        """The same images, which have no labels, with those that were predicted for
        ``embedding``; whatever other models predict, these stay.
        """
        known = dict(zip((one.name for one in embedding.files), embedding.labels, strict=True))
        files = (replace(one, label=int(known.get(one.name, 0))) for one in self.files)
        return replace(self, files=tuple(files), predicted=True)

    @property
    def available(self) -> list[ImageFile]:
        """All images of the collection that take part."""
        of_folder = self.class_map.of_folder
        return [one for one in self.collection.files if of_folder[one.label] != LEFT_OUT]

    @property
    def left_out(self) -> tuple[str, ...]:
        """The folders that do not; images without labels have none."""
        if not self.collection.labeled:
            return ()
        both = zip(self.collection.folders, self.class_map.of_folder, strict=True)
        return tuple(folder for folder, index in both if index == LEFT_OUT)


@dataclass(frozen=True)
class Material:
    """The live half of an audit: the model with its preprocessing, and the clean images. As long as
    it is kept, nothing is read, hashed or recognized again.
    """

    classifier: Classifier
    clean: CleanSet

    def subject(
        self, embedding: Embedding, class_names: Sequence[str], device: torch.device, seed: int
    ) -> Subject:
        """What detectors look at; ``embedding`` is what the network makes of the images."""
        clean, weight = self.clean, self.classifier.weight.cpu().numpy()
        return Subject(
            embedding, weight, class_names, self.classifier, clean.collection, clean.files,
            device, seed,
        )  # fmt: skip


def open_clean_set(
    collection: ImageCollection,
    classes: int,
    settings: ScanSettings,
    model_names: Sequence[str] = (),
    model: Path | None = None,
) -> CleanSet:
    """Sample and label the clean images; ``model_names`` are the class names in the model's file,
    and ``model`` is that file, next to which others may be.

    Raises `InputError` if all images are of one class, and as `sample_files` and `map_classes` do.
    """
    places = places_of_names(collection, model)
    if not collection.labeled:
        files = sample_files(collection.files, settings.sample, seed=settings.seed)
        names = unlabeled_classes(classes, settings.labels, model_names, places)
        return CleanSet(collection, tuple(files), names)
    present = {file.label for file in collection.files}
    if len(present) == 1:
        raise InputError(
            "{path}: all of its {count:|image|images} have one label, {name}. A scan compares "
            "classes: put the images of each class in a folder of its own, or put a table with "
            "their labels beside them (labels.csv with the columns filename and label)",
            path=collection.path, count=len(collection.files),
            name=repr(collection.folders[present.pop()]),
        )  # fmt: skip
    class_map = map_classes(collection.folders, classes, settings.labels, model_names, places)
    found = CleanSet(collection, (), class_map)
    left = {one.label for one in found.available}
    if len(left) == 1:
        raise InputError(
            "{path}: only one folder, {name}, is not left out. A scan compares classes",
            path=collection.path, name=repr(collection.folders[left.pop()]),
        )  # fmt: skip
    files = sample_files(found.available, settings.sample, seed=settings.seed)
    return replace(found, files=tuple(files))


def places_of_names(collection: ImageCollection, model: Path | None) -> list[Path]:
    """Folders in which a class-name file may be: that of the images, the one around it, and that of
    the file ``model``; none for what is in memory.
    """
    of_model = [] if model is None or is_in_memory(model) else [model.parent]
    if is_in_memory(collection.path):
        return of_model
    images = collection.path if collection.path.is_dir() else collection.path.parent
    return [images, images.absolute().parent, *of_model]


def native_size(collection: ImageCollection, files: Sequence[ImageFile]) -> int | None:
    """Side of the images in pixels, if a sample of them are all squares of one size."""
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
) -> tuple[Settled, LabelProposal | None, list[Remark]]:
    """Settle architecture and preprocessing by clean accuracy on up to 500 images, and on more if
    these do not tell the networks apart that fit; with notes on how pictures become squares. Images
    without labels settle it by how much the predictions say (`Entrant.score`).

    If even the best is poor, but another order of the folders would explain the predictions, that
    order is proposed and the preprocessing chosen under it. It is not applied to the audit's
    labels: the user knows what the folders mean.

    Raises `InputError` if the network cannot be run, or does something after its head.
    """
    picked = _shuffled(clean.files, TRIAL_IMAGES, settings.seed)
    shown = set(picked)
    others = [file for file in clean.files if file not in shown]
    images = TrialImages(clean.collection, picked, job)
    folders = images.folders
    side = native_size(clean.collection, picked)

    common: dict[str, Any] = {
        "sizes": [one for one in (opened.file.beside.size, side) if one],
        "device": device,
        "precision": usual_precision(device),
        "job": job,
    }
    normalization = parse_normalization(settings.normalize) if settings.normalize else None

    def labels_of(some: TrialImages, of_folder: Sequence[int]) -> NDArray[np.int64]:
        if not clean.collection.labeled:
            return np.full(len(some.folders), NO_LABEL)
        return np.asarray(of_folder)[some.folders]

    as_given = clean.collection.as_given
    said = [Remark(BY_RANGE)] if as_given is not None and as_given.by_range else []
    if as_given is not None and opened.from_user:
        settled = settled_as_given(
            opened, images.framed(USUAL), labels_of(images, clean.class_map.of_folder),
            as_given.preprocessing, device=device, precision=common["precision"], job=job,
        )  # fmt: skip
        return settled, None, said

    def choose(of_folder: Sequence[int], framing: Framing) -> Settled:
        """With these classes of the folders."""

        def more(count: int) -> TrialSet:
            files = _shuffled(others, count, settings.seed)
            further = TrialImages(clean.collection, files, job)
            own = labels_of(further, of_folder)
            return TrialSet(further.framed(framing), own, own)

        return settle(
            opened, images.framed(framing), labels_of(images, of_folder),
            normalization=normalization, more=more if others else None, **common,
        )  # fmt: skip

    labels = labels_of(images, clean.class_map.of_folder)
    plain, notes = settle_framing(
        partial(choose, clean.class_map.of_folder), images, labels, first=opened.file.beside.fit,
        only=None if settings.fit is None else check_fit(settings.fit),
        device=device, precision=common["precision"], job=job,
    )  # fmt: skip
    notes = [*said, *notes]
    chosen = plain.classifier
    preprocess = plain.ranking[0].preprocessing
    framing = preprocess.framing
    pixels = images.framed(framing)
    checked = chosen.checked(preprocess(torch.from_numpy(pixels(preprocess.size)[:2]).to(device)))
    plain = replace(plain, classifier=checked)
    if not is_poor(plain.ranking[0].accuracy, chosen.classes):
        return plain, None, notes
    if opened.prompts is not None:  # another order would give the head's rows other names
        return plain, None, notes
    if len(labels) < 5 * len(clean.collection.folders):
        return plain, None, notes  # with so few images, some order always fits
    accuracy, order = matched_accuracy(confusion_of_folders(opened, pixels, folders, **common))
    known = max(accuracy, plain.ranking[0].accuracy)
    if opened.is_rebuilt and known < min(_EXPLAINED, 3 / chosen.classes):
        raise InputError(
            "{path}: no network is known that has these layers. Of {count} that its weights could "
            "be, none classifies the images (at best {share:.0%} right). If these are its images, "
            "name its class with --arch package.module:callable",
            path=opened.file.path, count=len({trial.architecture for trial in plain.ranking}),
            share=plain.ranking[0].accuracy,
        )  # fmt: skip
    if accuracy < max(_EXPLAINED, 2 * plain.ranking[0].accuracy):
        return plain, None, notes
    of_folder = clean.class_map.of_folder
    names = {
        folder: LEFT_OUT if of_folder[at] == LEFT_OUT else order[at]
        for at, folder in enumerate(clean.collection.folders)
    }
    return framed(choose(order, framing), framing), LabelProposal(names, accuracy), notes


def _shuffled(files: Sequence[ImageFile], count: int, seed: int) -> list[ImageFile]:
    """A sample of the files, of every class, in random order."""
    picked = sample_files(files, count, seed=seed)
    return [picked[i] for i in np.random.default_rng(seed).permutation(len(picked))]


def embed_cached(
    cache: EmbeddingCache | None,
    material: Material,
    *,
    trigger: Trigger | None = None,
    device: torch.device | None = None,
    precision: Precision | None = None,
    batch: int | None = None,
    job: JobContext = SILENT,
) -> Embedding:
    """`embed_images` of the clean set, from the cache if it is there."""
    classifier, clean = material.classifier, material.clean
    mapping = clean.class_map.of_folder

    embed = partial(
        embed_images, classifier, clean.collection, class_of_folder=mapping, trigger=trigger,
        device=device, batch=batch,
    )  # fmt: skip
    if cache is None:
        return embed(clean.files, precision=precision, job=job)
    digests = file_digests(clean.collection, clean.files, job=job)
    images_hash = requested_hash(clean.files, digests)
    spec = trigger.spec if trigger else ""
    key = cache.key(classifier, images_hash, mapping, spec, precision, batch)
    found = cache.load(key, classifier, clean.files, digests, mapping)
    if found is not None and _is_reproduced(found, embed):
        job.note("The embeddings are in the cache")
        return found
    found = embed(clean.files, precision=precision, job=job)
    contents = dict(zip(clean.files, digests, strict=True))
    if found.images_hash == content_hash(found.files, [contents[one] for one in found.files]):
        cache.save(key, found)  # else images changed since they were hashed
    return found


def _is_reproduced(found: Embedding, embed: Callable[..., Embedding]) -> bool:
    """Whether a few images, drawn at random, give what a cache says they do: its files may be
    anyone's.
    """
    count = min(_COMPARED_IMAGES, len(found.files))
    rows = np.sort(np.random.default_rng().choice(len(found.files), count, replace=False))
    again = embed([found.files[row] for row in rows], precision=found.precision)
    if len(again.files) < count:
        return False
    off = np.linalg.norm(again.phi - found.phi[rows], axis=1)
    size = np.linalg.norm(again.phi, axis=1)
    same = np.array_equal(again.thumbnails, found.thumbnails[rows])
    return same and bool((off <= _MAX_OFF[found.precision] * (size + 1e-3)).all())


def examine(
    model: ModelRecord,
    images: ImagesRecord,
    settings: ScanSettings,
    trials: tuple[Trial, ...],
    embedding: Embedding,
    material: Material,
    *,
    proposal: LabelProposal | None = None,
    notes: Sequence[Remark] = (),
    finished: FinishedDetectors | None = None,
    device: torch.device,
    job: JobContext = SILENT,
) -> Audit:
    """Run the detectors, but for those that are ``finished``: the audit of ``model`` from its
    embedding of the images.
    """
    subject = material.subject(embedding, images.class_names, device, settings.seed)
    return Audit(
        model=model,
        images=images,
        settings=settings,
        trials=trials,
        accuracy=embedding.accuracy,
        embedding=embedding,
        evidence=find_evidence(subject, settings.detectors, model, finished, job),
        device=device.type,
        precision=embedding.precision,
        seconds_embed=embedding.seconds,
        notes=tuple(notes),
        proposal=proposal,
        versions=versions(),
        date=now(),
    )


def examine_alternative(
    classifier: Classifier,
    material: Material,
    audit: Audit,
    *,
    device: torch.device,
    cache: EmbeddingCache | None = None,
    job: JobContext = SILENT,
) -> Alternative:
    """The embedding shift of another network with the same weights, on the images of ``audit``."""
    own = replace(material, classifier=classifier)
    embedding = embed_cached(
        cache, own, device=device, precision=audit.precision, batch=audit.settings.batch, job=job
    )
    subject = own.subject(embedding, audit.images.class_names, device, audit.settings.seed)
    evidence = audit.settings.detectors[0].detect(subject, job)
    return Alternative(
        classifier.architecture, classifier.preprocessing, embedding.accuracy, evidence.scores
    )
