"""The rows of the papers' tables, one file each, so that a stopped run can resume."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from bdshift.audit import Audit, Material, ScanSettings, add_tac, scan_opened
from bdshift.audit.made import versions
from bdshift.audit.purifying import purify_model
from bdshift.checkpoints.classifier import open_checkpoint
from bdshift.detect.rule import z_scores
from bdshift.detect.rules.grubbs import Grubbs
from bdshift.devices import pick_device
from bdshift.errors import InputError, UsageError
from bdshift.images.collection import open_images
from bdshift.images.sign_faces import SIZE
from bdshift.images.signs import CLASSES, draw_signs
from bdshift.jobs import SILENT, Canceled, JobContext
from bdshift.lab.ablations import ablate, ablation_table, foreign_logits, noise
from bdshift.lab.data import LabData, load_lab_data
from bdshift.lab.figures import figures
from bdshift.lab.protocol import TROJAN, Attack, Row, TableScale
from bdshift.lab.recipe import Recipe
from bdshift.lab.tables import tables
from bdshift.lab.train import train_victim
from bdshift.lab.trojan import draw_on, write_patch
from bdshift.measure import der
from bdshift.neurons.rankings import Agreement, agreement, compare_with_tac, data_free_direction
from bdshift.outputs import Output
from bdshift.purification import METHODS, LabeledImages
from bdshift.shift.cache import EmbeddingCache
from bdshift.spec import split_spec
from bdshift.triggers import Trigger, parse_trigger
from bdshift.writing import make_folder, remove

CLEAN = "clean"
"""Stands for no attack among the ablations."""

FOREIGN = 1200
"""Drawn signs that are tried in place of clean images."""


@dataclass(frozen=True)
class Places:
    """Where things are.

    Attributes:
        train, test: images, as `load_lab_data` takes them.
        work: folder for victims, audits and states: gigabytes at the paper's scale.
        out: folder for the rows, a few kB each.
    """

    train: str
    test: str
    work: Path
    out: Path


@dataclass(frozen=True)
class _Audited:
    """A victim's audit, what it was made of, and its trigger."""

    audit: Audit
    material: Material
    trigger: Trigger


class Tables:
    """Makes rows in turn; `rows` yields each as soon as it is ready."""

    def __init__(
        self, scale: TableScale, places: Places, *, lab: LabData | None = None,
        device: str = "auto", compiled: bool = False, job: JobContext = SILENT,
    ) -> None:  # fmt: skip
        """``lab`` are the images of ``places``, if they have been read; ``compiled`` is of
        `train_victim`.
        """
        self.scale, self.places, self.device, self.job = scale, places, device, job
        self.compiled = compiled
        self._lab = lab
        self._audited_last: tuple[str, _Audited] | None = None

    def rows(self, attacks: list[str], methods: list[str], seeds: list[int]) -> Iterator[Row]:
        """All rows of these, victims first; those already in ``out`` are not computed again.

        Raises `UsageError` if ``out`` holds something else than rows, and pages of them.
        """
        self._prepare()
        for seed in seeds:
            for attack in attacks:
                yield self._kept(f"{attack}-{seed}", lambda a=attack, s=seed: self._victim(a, s))  # type: ignore[misc]
                for method in methods:
                    yield self._kept(
                        f"{attack}-{seed}-{method}",
                        lambda a=attack, s=seed, m=method: self._purified(a, s, m),  # type: ignore[misc]
                    )

    def write_tables(self) -> None:
        """Tables and figures from every row in ``out`` of the scale's attacks and methods."""
        found = [
            _read(path)
            for path in self.places.out.glob("*.json")
            if not path.name.startswith("ablation-")
        ]
        attacks = [*self.scale.attacks, *self.scale.more]
        methods = ["", *self.scale.every_method]
        found = [
            row
            for row in found
            if row["scale"] == self.scale.name
            and row["attack"] in attacks
            and row.get("method", "") in methods
        ]  # others came from another version
        found.sort(
            key=lambda row: (
                attacks.index(row["attack"]), row["seed"], methods.index(row.get("method", "")),
            )
        )  # fmt: skip
        made = {"tables.md": tables(found, self.scale), **figures(found, self.scale)}
        for name, text in made.items():
            Output(self.places.out / name, overwrite=True).write_text(text)

    def _prepare(self) -> None:
        """Make ``out`` and ``work``; no page is to replace a file of something else."""
        for folder in (self.places.out, self.places.work):
            make_folder(folder)
        inside = self.places.out.iterdir()
        there = [one for one in inside if one.is_file() and not one.name.startswith(".")]
        rows = [_read(one) for one in there if one.suffix == ".json"]
        if there and not rows:
            raise UsageError(
                "{path}: holds something else than rows; choose another folder",
                path=self.places.out,
            )

    def _kept(self, name: str, make: Callable[[], Row]) -> Row:
        path = self.places.out / f"{_slug(name)}.json"
        if path.exists():
            found = _read(path)
            self._check(path, found)
            return found
        self.job.note(name)
        row = make()
        Output(path).write_text(json.dumps(row, indent=1) + "\n")
        remove(self._state(name))  # not before: a kill would lose the work
        return row

    def _check(self, path: Path, row: Row) -> None:
        """A row may be older than a setting, but must not have a different value for one."""
        if row["scale"] != self.scale.name:
            raise InputError(
                "{path}: is of scale {scale}; give each scale its own --out",
                path=path, scale=row["scale"],
            )  # fmt: skip
        if "spec" in row:
            text = METHODS.parse(self.scale.every_method[row["method"]]).spec
            ours, theirs = (split_spec(one)[1] for one in (text, row["spec"]))
            if any(ours[key] != theirs[key] for key in ours.keys() & theirs.keys()):
                raise InputError(
                    "{path}: was made by {found}, not {wanted}; remove it first",
                    path=path, found=row["spec"], wanted=text,
                )  # fmt: skip

    def _state(self, name: str) -> Path:
        """State file of a purification in progress."""
        return self.places.work / f"{_slug(name)}.state"

    # Victims

    def _images(self) -> LabData:
        if self._lab is None:
            self._lab = load_lab_data(self.places.train, self.places.test, job=self.job)
        return self._lab

    def _recipe(self, attack: str, seed: int) -> Recipe:
        if not attack:
            return replace(self.scale.recipe, seed=seed)
        asked = self._attack(attack)
        text = asked.text
        if text == TROJAN:
            text = f"patch:file={self._patch()}"
        names = self._images().class_names
        if asked.target >= len(names):
            raise UsageError(
                "{attack}: there are {count:|class|classes}, numbered from 0",
                attack=attack, count=len(names),
            )  # fmt: skip
        target = names[asked.target]
        return replace(self.scale.recipe, attack=text, target=target, rate=asked.rate, seed=seed)

    def _attack(self, name: str) -> Attack:
        return (self.scale.attacks | self.scale.more)[name]

    def _trained(self, attack: str, seed: int) -> Path:
        """The victim's folder; without an attack, the clean model's."""
        folder = self.places.work / f"{_slug(attack) or 'clean'}-{seed}"
        self._train(self._recipe(attack, seed), folder)
        return folder

    def _train(self, recipe: Recipe, folder: Path) -> None:
        train_victim(
            recipe, self._images(), folder, device=self.device, compiled=self.compiled, job=self.job
        )

    def _patch(self) -> Path:
        """The Trojan patch, drawn on a clean model of seed 0."""
        path = self.places.work / "trojan.png"
        if not path.exists():
            other = self.scale.drawn_on
            recipe = other or self._recipe("", 0)
            folder = self.places.work / ("drawn-on" if other else "clean-0")
            self._train(recipe, folder)
            pixels = self._images().train_pixels
            model = folder / "model.pth"
            drawn = draw_on(model, recipe, pixels, device=self.device, job=self.job)
            write_patch(Output(path), drawn.pixels)
        return path

    def _audited(self, attack: str, seed: int) -> _Audited:
        name = f"{attack}-{seed}"
        if self._audited_last is None or self._audited_last[0] != name:
            trigger = parse_trigger(self._recipe(attack, seed).attack)
            audit, material = self._scanned(attack, seed, self.scale.share)
            target = self._attack(attack).target
            audit = add_tac(audit, material, trigger, target, cache=EmbeddingCache(), job=self.job)
            self._audited_last = name, _Audited(audit, material, trigger)
        return self._audited_last[1]

    def _scanned(self, attack: str, seed: int, share: float) -> tuple[Audit, Material]:
        """The audit of a victim with a share of its training images."""
        opened = open_checkpoint(self._trained(attack, seed) / "model.pth")
        collection = open_images(self.places.train, job=self.job)
        known = self.scale.recipe.normalization
        settings = ScanSettings(sample=share, seed=seed, normalize=known, device=self.device)
        return scan_opened(opened, collection, settings, cache=EmbeddingCache(), job=self.job)

    def _victim(self, attack: str, seed: int) -> Row:
        audit = self._audited(attack, seed).audit
        card = json.loads((self._trained(attack, seed) / "card.json").read_text(encoding="utf-8"))
        target = self._attack(attack).target
        data_free = data_free_direction(audit.model.weight, target)
        (tac,) = audit.tac
        found = compare_with_tac(audit.shifts.shift[target], data_free, tac)
        return {
            **self._about(attack, seed),
            "training": {key: card[key] for key in ("outcome", "precision", "threads")},
            "l2": audit.shifts.l2.tolist(),
            "z": z_scores(audit.shifts.l2).tolist(),
            "p": float(audit.judgment.statistics[Grubbs.name][target]),
            "flagged": list(audit.finding.classes),
            "agreement": {name: _figures(one) for name, one in found.items()},
            "shift": audit.shifts.shift[target].tolist(),
            "tac": tac.change.tolist(),
        }

    # Purifications

    def _purified(self, attack: str, seed: int, method: str) -> Row:
        audited = self._audited(attack, seed)
        audit = audited.audit
        chosen = METHODS.parse(self.scale.every_method[method])
        target = self._attack(attack).target
        lab = self._images()
        tested = LabeledImages(torch.tensor(lab.test_pixels), torch.tensor(lab.test_labels))
        made = purify_model(
            audit, audited.material, chosen, target, trigger=audited.trigger,
            test=self.places.test, tested=tested, seed=seed, device=self.device,
            resume=self._state(f"{attack}-{seed}-{method}"), job=self.job,
        )  # fmt: skip
        result, again = made.result, made.rescan
        if not result.complete:
            raise Canceled  # what there is so far is no row; its state is kept
        by_shift = chosen.ranks_by_shift  # the victim's row has it
        ranks = (
            None
            if result.ranking is None
            else agreement(result.ranking.astype(np.float64), audit.tac[0].change)
        )
        return {
            **self._about(attack, seed, method),
            "method": method,
            "spec": result.method,
            "before": {"acc": made.before.acc, "asr": made.before.asr},
            "acc": made.after.acc,
            "asr": made.after.asr,
            "ra": made.after.ra,
            "der": der(made.before, made.after),
            "kept": result.kept,
            "steps": len(result.rows),
            "last_step": dict(result.rows[-1].step.figures),
            "seconds": result.seconds,
            "images_forward": result.forwards,
            "images_back": result.backwards,
            "norm": float(again.shifts.l2[target]),
            "flagged": list(again.finding.classes),
            "agreement": None if ranks is None else _figures(ranks),
            "ranking": None if result.ranking is None or by_shift else result.ranking.tolist(),
        }

    # Ablations

    def ablations(self, attacks: list[str], seeds: list[int]) -> Iterator[Row]:
        """What `bdshift.lab.ablations` tries, one row per victim; the attack "clean" is none. The
        clean images are a tenth of the training images. Raises as `rows` does.
        """
        self._prepare()
        for attack in attacks:
            for seed in seeds:
                name = f"ablation-{attack}-{seed}"
                yield self._kept(name, lambda a=attack, s=seed: self._ablated(a, s))  # type: ignore[misc]

    def _ablated(self, attack: str, seed: int) -> Row:
        name = "" if attack == CLEAN else attack
        audit, material = self._scanned(name, seed, 2 * self.scale.share)
        tac, target = None, -1
        if attack != CLEAN:
            target = self._attack(attack).target
            trigger = parse_trigger(self._recipe(attack, seed).attack)
            audit = add_tac(audit, material, trigger, target, job=self.job)
            tac = audit.tac[0].change
        assert audit.embedding is not None
        size = audit.preprocessing.size
        others = {"random noise": noise(len(audit.embedding.labels) // 2, size)}
        if size == SIZE:
            signs = draw_signs(FOREIGN // len(CLASSES), seed=seed, split="clean")[0]
            others["drawn traffic signs"] = torch.from_numpy(signs)
        logits = {name: foreign_logits(material.classifier, some) for name, some in others.items()}
        return {
            **self._about(attack, seed),
            "command": self._command("ablations", attack, seed),
            "images": len(audit.embedding.labels),
            "rows": ablate(
                audit.embedding.logits, audit.model.weight, tac, target, logits, seed=seed,
                job=self.job,
            ),
        }  # fmt: skip

    def write_ablations(self) -> None:
        """``ablations.md`` from every ablation in ``out``."""
        found = [_read(path) for path in sorted(self.places.out.glob("ablation-*.json"))]
        text = ablation_table({f"{row['attack']} {row['seed']}": row["rows"] for row in found})
        Output(self.places.out / "ablations.md", overwrite=True).write_text(text)

    def _command(self, what: str, attack: str, seed: int, *more: str) -> str:
        """The command that makes this row alone, without this machine's paths."""
        places = Path(self.places.train).name, Path(self.places.test).name
        return shlex.join(
            [
                *("bdshift", "lab", what, "--scale", self.scale.name, "--data", places[0]),
                *("--test", places[1], "--attacks", attack, "--seeds", str(seed), *more),
            ]
        )

    def _about(self, attack: str, seed: int, method: str = "") -> Row:
        where = pick_device(self.device)
        return {
            "attack": attack,
            "seed": seed,
            "scale": self.scale.name,
            "command": self._command("tables", attack, seed, "--methods", method or "none"),
            "versions": versions(),
            "device": torch.cuda.get_device_name(where) if where.type == "cuda" else where.type,
        }


def _read(path: Path) -> Row:
    """A row that was written before. Raises `InputError` if it is none."""
    try:
        found: Row = json.loads(path.read_text("utf-8"))
        if not {"scale", "attack", "seed"} <= found.keys():
            raise TypeError("no scale, attack or seed")
    except (OSError, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise InputError("{path}: is not a row ({reason})", path=path, reason=str(error)) from error
    return found


def _slug(name: str) -> str:
    return name.lower().replace(" ", "-").replace("'", "")


def _figures(found: Agreement) -> dict[str, Any]:
    """Overlap at every percent of the neurons, from 1 to 100."""
    return {
        "cosine": found.cosine,
        "cosine_abs": found.cosine_abs,
        "spearman": found.spearman,
        "overlap": [round(found.overlap_at(share), 4) for share in np.arange(0.01, 1.005, 0.01)],
    }
