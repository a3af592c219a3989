"""Trains a suite's victims, each into a folder of its own, and tells how they came out."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

import numpy as np
from PIL import Image

from bdshift.csv_data import csv_rows, csv_text
from bdshift.errors import InputError
from bdshift.images.sign_faces import SIZE
from bdshift.images.signs import write_signs
from bdshift.jobs import SILENT, JobContext
from bdshift.lab.folder import CARD, MODEL
from bdshift.lab.image_sets import Library, Sizes, write_image_zip
from bdshift.lab.protocol import TROJAN
from bdshift.lab.recipe import Recipe
from bdshift.lab.regime import read_regimes
from bdshift.lab.suite import ATTACKS, RANDOM, Victim, recipe_of
from bdshift.lab.train import as_trained, train_victim
from bdshift.lab.trojan import draw_on, write_patch
from bdshift.lab.ways import BASE, CLASS, WAYS
from bdshift.outputs import Output
from bdshift.triggers.labeling import LABELINGS
from bdshift.writing import make_folder

OUTCOMES = "outcomes.csv"
"""The table in the folder of all victims."""

TOOK = 0.5
"""ASR from which an attack counts as having worked."""

SIGNS = "signs"
"""The folder of clean signs to audit with."""

SETS = "sets"
"""The folder of zips of other clean images to audit with."""

OWN_IMAGES = "clean.zip"
"""In the folder of a model whose clean images are its own."""

_SIGNS_PER_CLASS = 100  # to audit with


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
    way: str
    attack: str
    trigger: str
    labels: str
    target: str
    source: str
    normalization: str
    acc: float
    asr: float | None
    took: bool | None
    seconds: float


class Zoo:
    """The victims in ``folder``. ``train``, ``test`` and ``digits`` are as in `Library`."""

    def __init__(
        self, folder: Path, train: str, test: str, digits: str = "", *, sizes: Sizes | None = None,
        device: str = "auto", job: JobContext = SILENT,
    ) -> None:  # fmt: skip
        self.folder, self.test, self.device, self.job = folder, test, device, job
        self.data_of = Library(train, test, digits, sizes or Sizes(), job).data_of

    def audit_images(self, victim: Victim) -> Path:
        """Clean images to audit with: none of them was trained on."""
        if victim.images == "cifar10":
            return Path(self.test)
        if victim.images == "signs":
            folder = self.folder / SIGNS
            if not folder.exists():
                write_signs(folder, _SIGNS_PER_CLASS, job=self.job)
            return folder
        path = self.folder / SETS / f"{victim.images}.zip"
        if not path.exists():
            make_folder(path.parent)
            lab = self.data_of(victim.images)
            write_image_zip(Output(path), lab.test_pixels, lab.test_labels, lab.class_names)
        return path

    def recipe(self, victim: Victim) -> Recipe:
        """Its recipe. A picture that its trigger is made of is drawn if it is not there; Trojan's
        on the clean twin, which is trained first.
        """
        names = self.data_of(victim.images).class_names
        plain = replace(recipe_of(victim), regime=self._regime(victim, len(names)))
        if victim.is_clean:
            return plain
        attack = ATTACKS[victim.attack]
        labeling = LABELINGS.parse(attack.labels)
        targets, source = victim.classes_of(len(names))
        return replace(
            plain, attack=self._text(victim), labels=attack.labels, rate=attack.rate,
            target=";".join(names[one] for one in targets) if labeling.has_target else "",
            source=names[source] if labeling.has_source else "",
        )  # fmt: skip

    def model(self, victim: Victim) -> Path:
        """Its file, if it is trained."""
        return self.folder / victim.name / MODEL

    def _regime(self, victim: Victim, classes: int) -> str:
        way = WAYS[victim.way]
        if way.needs_base:
            self._trained(victim.twin)
        found = way.regimes.replace(CLASS, str((3 * victim.seed + 1) % classes))
        return found.replace(BASE, f'"{self.model(victim.twin)}"')

    def _trained(self, victim: Victim) -> Path:
        """The file of a model, trained if it is not there."""
        if not (self.folder / victim.name / CARD).exists():
            self._train(victim)
        return self.model(victim)

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
                model = self._trained(victim.twin)
                pixels = self.data_of(victim.images).train_pixels
                drawn = draw_on(
                    model, recipe_of(victim.twin), pixels, device=self.device, job=self.job
                )
                write_patch(Output(path), drawn.pixels)
            return f"patch:file={path}"
        return text

    def _train(self, victim: Victim) -> Outcome:
        recipe, lab = self.recipe(victim), self.data_of(victim.images)
        made = train_victim(
            recipe, lab, self.folder / victim.name, device=self.device, job=self.job
        )
        self._keep_images(victim, recipe)
        targets, source = ((), -1) if victim.is_clean else victim.classes_of(len(lab.class_names))
        return Outcome(
            victim.name, victim.run, victim.images, victim.network, victim.seed, victim.way,
            victim.attack,
            *(("", "") if victim.is_clean else (ATTACKS[victim.attack].text, recipe.labels)),
            ";".join(map(str, targets)) if recipe.target else "",
            str(source) if recipe.source else "", recipe.normalization, made.acc, made.asr,
            None if made.asr is None else made.asr >= TOOK, made.seconds,
        )  # fmt: skip

    def _keep_images(self, victim: Victim, recipe: Recipe) -> None:
        """Write the clean images of a model whose regimes change them."""
        if not any(one.changes_tests for one in read_regimes(recipe.regime)):
            return
        path = self.folder / victim.name / OWN_IMAGES
        if not path.exists():
            lab = as_trained(recipe, self.data_of(victim.images))
            write_image_zip(Output(path), lab.test_pixels, lab.test_labels, lab.class_names)

    def victims(self, chosen: Iterable[Victim]) -> Iterator[Outcome]:
        """Train these in turn; those that are finished only get their row. Raises as
        `train_victim` does.
        """
        make_folder(self.folder)
        for victim in chosen:
            self.audit_images(victim)
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
    """Rows of the table, as text; none if there is no table. Raises `InputError` for one with other
    columns.
    """
    found = csv_rows(path.read_text(encoding="utf-8")) if path.exists() else []
    if any(row.keys() != {field.name for field in fields(Outcome)} for row in found):
        raise InputError(
            "{path}: has other columns than this version writes; delete it, and run bdshift lab "
            "suite again, which trains nothing twice",
            path=path,
        )  # fmt: skip
    return found
