"""Scans of models with known ground truth, with the images that a user may bring: a row for each
model and condition.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch

from bdshift.audit import Audit, Material, ScanSettings, scan_opened
from bdshift.audit.scan_settings import DEFAULT_SAMPLE
from bdshift.audit.stages import native_size, open_clean_set
from bdshift.audit.zero_shot import with_names
from bdshift.checkpoints.classifier import Classifier, Opened, open_checkpoint
from bdshift.detect.rule import default_rule
from bdshift.errors import InputError
from bdshift.images.collection import ImageCollection, open_images
from bdshift.images.loader import decode_all
from bdshift.jobs import SILENT, JobContext
from bdshift.lab.condition import CONDITIONS, Circumstances, CleanImages, Condition
from bdshift.lab.image_sets import write_image_zip
from bdshift.lab.relatives import beside_others
from bdshift.lab.row_file import KnownRow, about, read_table, write_table
from bdshift.lab.truths import KnownModel
from bdshift.outputs import Output
from bdshift.store.read import load_audit
from bdshift.store.write import save_audit
from bdshift.writing import make_folder

USUAL = (
    "no-labels", "as-they-are", "number:images=50", "without-class", "wrong-labels:share=0.3",
    "number:images=20", "number:images=100", "hardly-recognized", "two-classes", "noisy",
    "without-class:told=false", "brighter", "wrong-labels", "without-class:which=other",
    "blurred", "compressed", "number:images=500", "other-images", "number:images=2000",
    "number:images=5000",
)  # fmt: skip
"""Conditions that are measured if none is named, the most telling first."""


@dataclass(frozen=True)
class RobustnessRow(KnownRow):
    """What a scan said about one model under one condition. Everything is text, as in the table.

    Attributes:
        condition: its text, with all settings.
        seed: of the condition and the scan.
        error: why there is nothing else: the scan was refused; empty if it was not.
        images: how many were used.
        accuracy: on them.
        level: of the finding.
        suspected: classes that it names, joined by semicolons.
        top: the most suspicious class beside clean models.
        p: its p.
        codes: of the finding, the decisive one first, joined by spaces.
        first: classes that the norms alone suspect, under the default rule, joined by semicolons.
        seconds: of the embedding pass and the detectors.
        versions: of what it was made with.
    """

    condition: str
    seed: str
    error: str = ""
    images: str = ""
    accuracy: str = ""
    level: str = ""
    suspected: str = ""
    top: str = ""
    p: str = ""
    codes: str = ""
    first: str = ""
    seconds: str = ""
    versions: str = ""

    @property
    def key(self) -> tuple[str, str, str]:
        """What there is one row of."""
        return self.model, self.condition, self.seed


_ZIP = re.compile(r"\S+images\.zip")  # in a folder of the moment


def measure_robustness(
    known: Sequence[KnownModel],
    conditions: Sequence[Condition],
    work: Path,
    done: Iterable[RobustnessRow] = (),
    *,
    others: Mapping[Path, Path] | None = None,
    settings: ScanSettings | None = None,
    job: JobContext = SILENT,
) -> Iterator[RobustnessRow]:
    """A row for every condition and model that is not among ``done``, condition by condition. A
    scan that is refused has a row that says why; a condition that cannot be made of a model's
    images has none. Audits are kept in the folder ``work``; one that is there is not made again.

    The conditions change up to 2500 of a model's clean images, or more if they say how many.
    ``others`` are other images of the same classes, by the path of the usual ones. A model is
    compared with the shipped table of clean models without its relatives.
    """
    settings = replace(settings or ScanSettings(), sample=None)
    keys = {row.key for row in done}
    make_folder(work)
    subjects = [_Subject(one, work, others or {}, settings, job) for one in known]
    for condition in conditions:
        for subject in subjects:
            key = (subject.known.name, condition.spec, str(settings.seed))
            if key in keys:
                continue
            job.note("{row}", row=f"{subject.known.name}, {condition.spec}")
            row = subject.row(condition)
            if row is not None:
                yield row


class _Subject:
    """A model, with what is read of it once."""

    def __init__(
        self, known: KnownModel, work: Path, others: Mapping[Path, Path], settings: ScanSettings,
        job: JobContext,
    ) -> None:  # fmt: skip
        self.known, self.work, self.settings, self.job = known, work, settings, job
        self._others = others.get(known.images)

    @cached_property
    def opened(self) -> Opened:
        """The model."""
        return open_checkpoint(self.known.file, job=self.job)

    def row(self, condition: Condition) -> RobustnessRow | None:
        """The row of a condition; None if it cannot be made of these images."""
        known = self.known
        seed = str(self.settings.seed)
        row = RobustnessRow(**about(known), condition=condition.spec, seed=seed)
        try:
            audit = self._audit(condition)
        except InputError as error:
            text = _ZIP.sub("images.zip", str(error)).replace(str(known.file), known.file.name)
            return replace(row, error=text)
        return None if audit is None else replace(row, **_said(audit, known))

    def _audit(self, condition: Condition) -> Audit | None:
        """The audit under a condition, from the folder of all of them if it is there."""
        spec = re.sub(r"[^a-z0-9.]+", "-", condition.spec.lower())
        file = self.work / f"{self.known.name}-{spec}-{self.settings.seed}.h5"
        if file.exists():
            return load_audit(file)
        targets = self.known.targets
        about = Circumstances(
            targets[0] if targets else 0, np.random.default_rng(self.settings.seed),
            self._accuracy, self._other_images,
        )  # fmt: skip
        most = None if condition.name == "number" else DEFAULT_SAMPLE
        images = condition.change(self._images(self.known.images, most), about)
        if images is None:
            return None
        audit, _ = self._scan(images, self.settings)
        save_audit(audit, Output(file), job=self.job)
        return audit

    def _images(self, path: Path, most: int | None = DEFAULT_SAMPLE) -> CleanImages:
        """The images in ``path``, up to so many of them, in their own size. Raises `InputError` if
        they are not squares of one size.
        """
        collection = open_images(path, job=self.job)
        settings = replace(self.settings, sample=most)
        opened, settings = with_names(self.opened, collection, settings)
        clean = open_clean_set(
            collection, opened.classes, settings, opened.class_names, opened.file.path
        )
        size = native_size(collection, clean.files)
        if size is None:
            raise InputError("{path}: its images are not squares of one size", path=path)
        found = decode_all(collection, clean.files, size, job=self.job)
        of_folder = np.asarray(clean.class_map.of_folder)
        return CleanImages(found.pixels, of_folder[found.labels], clean.class_map.names)

    def _other_images(self) -> CleanImages | None:
        return None if self._others is None else self._images(self._others)

    def _scan(self, images: CleanImages, settings: ScanSettings) -> tuple[Audit, Material]:
        """As the command does it."""
        missing = len(np.unique(images.labels)) < images.classes
        if images.told and images.labeled and missing:
            settings = replace(settings, labels={name: i for i, name in enumerate(images.names)})
        with _written(images) as collection:
            return scan_opened(self.opened, collection, settings, job=self.job)

    @cached_property
    def _classifier(self) -> Classifier:
        """The network with its preprocessing, as the clean images settle it."""
        plain = self._images(self.known.images)
        return self._scan(plain, replace(self.settings, search=0))[1].classifier

    def _accuracy(self, images: CleanImages) -> float:
        network, plain = self._classifier.network, self._classifier.preprocessing
        with _written(images) as collection:
            found = decode_all(collection, collection.files, plain.size, framing=plain.framing)
        labels = np.array([images.names.index(one) for one in collection.folders])[found.labels]
        device = next(network.parameters()).device
        with torch.no_grad():
            said = network(plain(torch.from_numpy(found.pixels).to(device))).argmax(1)
        return float((said.cpu().numpy() == labels).mean())


@contextmanager
def _written(images: CleanImages) -> Iterator[ImageCollection]:
    """Images as a user brings them: a zip of class folders, or of one without labels."""
    labels, names = images.labels, images.names
    if not images.labeled:
        labels, names = np.zeros_like(labels), ("images",)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "images.zip"
        write_image_zip(Output(path), images.pixels, labels, names, every=True)
        yield open_images(path)


def _said(audit: Audit, known: KnownModel) -> dict[str, str]:
    finding, verdict = beside_others(audit, known)
    shift = audit.judged[0]
    first = shift.detector.judge(shift.evidence.scores, default_rule()).suspected
    return {
        "network": known.network or audit.model.architecture,
        "images": str(sum(audit.images.counts)),
        "accuracy": f"{audit.accuracy:.4f}" if audit.images.labeled else "",
        "level": finding.level,
        "suspected": ";".join(map(str, finding.suspected)),
        "top": "" if verdict is None else str(verdict.index),
        "p": "" if verdict is None else f"{verdict.standing.p:.3f}",
        "codes": " ".join(one.code for one in (*finding.reasons, *finding.cautions)),
        "seconds": f"{audit.seconds_embed + sum(one.seconds for one in audit.evidence):.0f}",
        "first": ";".join(map(str, first)),
        "versions": " ".join(f"{name} {number}" for name, number in audit.versions.items()),
    }


def usual_conditions() -> list[Condition]:
    """Those that are measured if none is named."""
    return [CONDITIONS.parse(one) for one in USUAL]


def read_robustness(path: Path) -> list[RobustnessRow]:
    """The rows of a table; none if there is no table. Raises `InputError` for another file."""
    found = read_table(path, RobustnessRow)
    if found is None:
        raise InputError("{path}: holds something else than rows of conditions", path=path)
    return found


def write_robustness(path: Path, rows: Iterable[RobustnessRow]) -> None:
    """Replace the table."""
    write_table(path, RobustnessRow, rows)
