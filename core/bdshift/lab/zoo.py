"""Trains a suite's victims, each into a folder of its own, and tells how they came out."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, fields, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from PIL import Image

from bdshift.errors import InputError
from bdshift.images.collection import open_images, sample_files
from bdshift.images.loader import decode_all
from bdshift.images.signs import CLASSES, SIZE, draw_signs, write_signs
from bdshift.jobs import SILENT, JobContext
from bdshift.lab.data import LabData
from bdshift.lab.folder import CARD, MODEL
from bdshift.lab.protocol import TROJAN
from bdshift.lab.recipe import Recipe
from bdshift.lab.suite import ATTACKS, CLEAN, RANDOM, Images, Victim, recipe_of
from bdshift.lab.train import train_victim
from bdshift.lab.trojan import draw_on, write_patch
from bdshift.outputs import Output
from bdshift.text import csv_rows, csv_text
from bdshift.triggers.labeling import LABELINGS
from bdshift.writing import make_folder

OUTCOMES = "outcomes.csv"
"""The table in the folder of all victims."""

TOOK = 0.5
"""ASR from which an attack counts as having worked."""

SIGNS = "signs"
"""The folder of clean signs to audit with."""

_SIGNS_PER_CLASS = 100  # to audit with


@dataclass(frozen=True)
class Sizes:
    """How many photos victims are trained and tested on, whatever their set holds; of signs, which
    are easier, a third.
    """

    train: int = 12_000
    test: int = 3_000


@dataclass(frozen=True)
class Outcome:
    """A row of the table; indices of classes are joined by semicolons, empty without any.
    ``trigger`` is as in `SuiteAttack.text`; the victim's card says where drawn pictures are.
    """

    name: str
    run: str
    images: str
    network: str
    seed: int
    attack: str
    trigger: str
    labels: str
    target: str
    source: str
    acc: float
    asr: float | None
    took: bool | None
    seconds: float


class Zoo:
    """The victims in ``folder``. ``train`` and ``test`` are photos, as `open_images` takes them;
    signs are drawn.
    """

    def __init__(
        self, folder: Path, train: str, test: str, *, sizes: Sizes | None = None,
        device: str = "auto", job: JobContext = SILENT,
    ) -> None:  # fmt: skip
        self.folder, self.train, self.test = folder, train, test
        self.sizes, self.device, self.job = sizes or Sizes(), device, job

    @cached_property
    def _signs(self) -> LabData:
        each = [count // 3 // len(CLASSES) for count in (self.sizes.train, self.sizes.test)]
        self.job.note("Drawing {count} signs", count=sum(each) * len(CLASSES))
        taught = draw_signs(each[0], split="train", job=self.job)
        return LabData(*taught, *draw_signs(each[1], split="test", job=self.job), CLASSES)

    @cached_property
    def _photos(self) -> LabData:
        collections = [open_images(Path(path), job=self.job) for path in (self.train, self.test)]
        first, second = collections
        if first.folders != second.folders:
            raise InputError(
                "{first} and {second} do not have the same class folders",
                first=self.train, second=self.test,
            )  # fmt: skip
        parts = [
            decode_all(found, sample_files(found.files, count), SIZE, job=self.job)
            for found, count in zip(collections, (self.sizes.train, self.sizes.test), strict=True)
        ]
        pixels = [part.pixels for part in parts]
        labels = [part.labels for part in parts]
        return LabData(pixels[0], labels[0], pixels[1], labels[1], first.folders)

    def data_of(self, images: Images) -> LabData:
        """What victims of these images are trained and tested on."""
        return self._signs if images == "signs" else self._photos

    def audit_images(self, images: Images) -> Path:
        """Clean images to audit with: none of them was trained on."""
        if images == "cifar10":
            return Path(self.test)
        folder = self.folder / SIGNS
        if not folder.exists():
            write_signs(folder, _SIGNS_PER_CLASS, job=self.job)
        return folder

    def recipe(self, victim: Victim) -> Recipe:
        """Its recipe. A picture that its trigger is made of is drawn if it is not there; Trojan's
        on the clean twin, which is trained first.
        """
        plain = recipe_of(victim)
        if victim.is_clean:
            return plain
        attack = ATTACKS[victim.attack]
        labeling = LABELINGS.parse(attack.labels)
        names = self.data_of(victim.images).class_names
        targets, source = victim.classes_of(len(names))
        return replace(
            plain, attack=self._text(victim), labels=attack.labels, rate=attack.rate,
            target=";".join(names[one] for one in targets) if labeling.has_target else "",
            source=names[source] if labeling.has_source else "",
        )  # fmt: skip

    def model(self, victim: Victim) -> Path:
        """Its file, if it is trained."""
        return self.folder / victim.name / MODEL

    def _text(self, victim: Victim) -> str:
        text = ATTACKS[victim.attack].text
        if text == RANDOM:
            rng = np.random.default_rng(victim.seed)
            path = self.folder / f"random-{victim.seed}.png"
            side = 5
            if not path.exists():
                made = io.BytesIO()
                noise = rng.integers(0, 256, (side, side, 3), dtype=np.uint8)
                Image.fromarray(noise).save(made, "PNG")
                Output(path).write(made.getbuffer())
            row, column = np.random.default_rng(victim.seed).integers(4, SIZE - side - 3, 2)
            return f"patch:file={path},row={row},column={column}"
        if text == TROJAN:
            path = self.folder / f"trojan-{victim.run}.png"
            if not path.exists():
                twin = replace(victim, attack=CLEAN)
                self._train(twin)
                pixels = self.data_of(victim.images).train_pixels
                drawn = draw_on(self.model(twin), recipe_of(twin), pixels, self.job)
                write_patch(Output(path), drawn.pixels)
            return f"patch:file={path}"
        return text

    def _train(self, victim: Victim) -> Outcome:
        recipe, lab = self.recipe(victim), self.data_of(victim.images)
        made = train_victim(
            recipe, lab, self.folder / victim.name, device=self.device, job=self.job
        )
        targets, source = ((), -1) if victim.is_clean else victim.classes_of(len(lab.class_names))
        return Outcome(
            victim.name, victim.run, victim.images, victim.network, victim.seed, victim.attack,
            *(("", "") if victim.is_clean else (ATTACKS[victim.attack].text, recipe.labels)),
            ";".join(map(str, targets)) if recipe.target else "",
            str(source) if recipe.source else "", made.acc, made.asr,
            None if made.asr is None else made.asr >= TOOK, made.seconds,
        )  # fmt: skip

    def victims(self, chosen: Iterable[Victim]) -> Iterator[Outcome]:
        """Train these in turn; those that are finished only get their row. Raises as
        `train_victim` does.
        """
        make_folder(self.folder)
        for victim in chosen:
            self.audit_images(victim.images)
            if not (self.folder / victim.name / CARD).exists():
                self.job.note(victim.name)
            yield self._train(victim)


def write_outcomes(path: Path, rows: Iterable[Outcome]) -> None:
    """Add rows to the table, or replace those of the same victims."""
    found: dict[str, list[object]] = {row["name"]: [*row.values()] for row in read_outcomes(path)}
    found |= {row.name: [_cell(value) for value in asdict(row).values()] for row in rows}
    names = [field.name for field in fields(Outcome)]
    Output(path, overwrite=True).write_text(csv_text([names, *found.values()]))


def _cell(value: object) -> object:
    if isinstance(value, float):
        return f"{value:.4f}"
    return "" if value is None else value


def read_outcomes(path: Path) -> list[dict[str, str]]:
    """Rows of the table, as text; none if there is no table."""
    return csv_rows(path.read_text(encoding="utf-8")) if path.exists() else []
