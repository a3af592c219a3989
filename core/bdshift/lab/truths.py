"""Models with known ground truth: a suite's victims, and third-party files with a table of truth.

The table is tab-separated with the columns ``file``, ``repository``, ``kind``, ``images`` (the name
of a set) and ``target`` ("-" for none); ``normalization`` saves searching for it, and ``notes`` are
for people.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from bdshift.csv_data import csv_rows
from bdshift.errors import InputError, UsageError
from bdshift.lab.folder import CARD, MODEL
from bdshift.lab.zoo import OUTCOMES, OWN_IMAGES, SETS, SIGNS, read_outcomes
from bdshift.spec import split_specs

CLEAN_KINDS = ("clean", "control", "purified")
"""Kinds of models without a backdoor."""

_COLUMNS = "file", "repository", "kind", "images", "target"


@dataclass(frozen=True)
class KnownModel:
    """One of them.

    Attributes:
        name: of the model.
        file, images: of its weights, and of the clean images to audit it with.
        group: what it shares with models that are no independent evidence: the run of a victim and
            its clean twin, or the repository.
        network: the victim's, if known.
        kind: the attack, or one of `CLEAN_KINDS`.
        targets: indices of the classes that triggers send to; () if there are none, or no certain
            ones.
        source: index of the only class that the trigger works on; −1 for all.
        follows: whether each class is sent to the next one.
        took: whether the attack works; of a model without one, True.
        triggers: text of that of each target, or the path of the card that has it; () if they are
            not known.
        asr: its success; None if it is not known.
        normalization: of its images; None to find out.
        notes: for people.
    """

    name: str
    file: Path
    images: Path
    group: str
    network: str
    kind: str
    targets: tuple[int, ...] = ()
    source: int = -1
    follows: bool = False
    took: bool = True
    triggers: tuple[str, ...] = ()
    asr: float | None = None
    normalization: str | None = None
    notes: str = ""

    @property
    def is_clean(self) -> bool:
        """Whether it has no backdoor."""
        return self.kind in CLEAN_KINDS


def known_in_zoo(folder: Path, images: Mapping[str, Path]) -> Iterator[KnownModel]:
    """The victims of `bdshift.lab.zoo` in ``folder`` that are finished. Raises `UsageError` if the
    clean images of one are not among ``images``.
    """
    for row in read_outcomes(folder / OUTCOMES):
        yield known_as(row, folder, images)


def known_as(row: Mapping[str, str], folder: Path, images: Mapping[str, Path]) -> KnownModel:
    """The victim of a row of `read_outcomes`; raises as `known_in_zoo`."""
    texts = tuple(split_specs(row["trigger"]))  # of several, none names a file
    return KnownModel(
        name=row["name"],
        file=folder / row["name"] / MODEL,
        images=_in_zoo(folder, row, {"signs": folder / SIGNS, **images}),
        group=row["run"],
        network=row["network"],
        kind=row["attack"],
        targets=tuple(int(one) for one in row["target"].split(";") if one),
        source=int(row["source"] or -1),
        follows=row["labels"] == "all-to-all",
        took=row["took"] != "False",
        triggers=texts if len(texts) > 1 else (str(folder / row["name"] / CARD),) * len(texts),
        asr=float(row["asr"]) if row["asr"] else None,
        normalization=row["normalization"],
    )


def known_by_table(table: Path, folder: Path, images: Mapping[str, Path]) -> Iterator[KnownModel]:
    """Other people's files in ``folder``. Raises `InputError` if the table lacks a column,
    `UsageError` if images are not among ``images``.
    """
    for row in csv_rows(table.read_text(encoding="utf-8"), "\t"):
        if missing := [column for column in _COLUMNS if column not in row]:
            raise InputError("{path}: has no column {name}", path=table, name=missing[0])
        target = row["target"]
        yield KnownModel(
            name=Path(row["file"]).name,
            file=folder / row["file"],
            images=_images(images, row["images"]),
            group=row["repository"],
            network="",
            kind=row["kind"],
            targets=(int(target),) if target.isdecimal() else (),
            normalization=row.get("normalization") or None,
            notes=row.get("notes", ""),
        )


def _in_zoo(folder: Path, row: Mapping[str, str], images: Mapping[str, Path]) -> Path:
    for path in (folder / row["name"] / OWN_IMAGES, folder / SETS / f"{row['images']}.zip"):
        if path.exists():
            return path
    return _images(images, row["images"])


def _images(images: Mapping[str, Path], name: str) -> Path:
    if name not in images:
        raise UsageError("clean images of {name} are needed: --images {name}=PATH", name=name)
    return images[name]
