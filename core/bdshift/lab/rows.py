"""The rows of the papers' tables, one file each, so that a run that stopped goes on."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from bdshift.audit import Audit, ScanSettings, add_tac, reopen, scan
from bdshift.audit.cleaning import clean_model
from bdshift.audit.records import versions
from bdshift.checkpoints.classifier import open_checkpoint
from bdshift.devices import pick_device
from bdshift.errors import InputError, UsageError
from bdshift.images.preprocessing import Preprocessing, parse_normalization
from bdshift.images.signs import CLASSES, SIZE, draw_signs
from bdshift.jobs import SILENT, JobContext
from bdshift.lab.ablations import ablate, ablation_table, foreign_logits, noise
from bdshift.lab.data import LabData, load_lab_data
from bdshift.lab.figures import figures
from bdshift.lab.protocol import BY_SHIFT, SHARE, TROJAN, Attack, Scale
from bdshift.lab.recipe import Recipe
from bdshift.lab.tables import Row, tables
from bdshift.lab.train import train_victim
from bdshift.lab.trojan import PICTURES, TrojanPatch, write_patch
from bdshift.neurons.rankings import Agreement, agreement, compare_with_tac, data_free_direction
from bdshift.purify import parse_method
from bdshift.purify.measure import der
from bdshift.report.cleaning_report import write_text
from bdshift.shift.cache import EmbeddingCache
from bdshift.spec import split_spec
from bdshift.triggers import Trigger, parse_trigger

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


class Tables:
    """Makes rows in turn; `rows` yields each as it is there."""

    def __init__(
        self, scale: Scale, places: Places, *, device: str = "auto", job: JobContext = SILENT
    ) -> None:
        self.scale, self.places, self.device, self.job = scale, places, device, job
        self._lab: LabData | None = None
        self._audit: tuple[str, Audit, Trigger] | None = None

    def rows(self, attacks: list[str], methods: list[str], seeds: list[int]) -> Iterator[Row]:
        """All rows of these, victims first; what is in ``out`` already is not made again."""
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
            json.loads(path.read_text("utf-8"))
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
            write_text(self.places.out / name, text)

    def _kept(self, name: str, make: Callable[[], Row]) -> Row:
        path = self.places.out / f"{_slug(name)}.json"
        if path.exists():
            found: Row = json.loads(path.read_text(encoding="utf-8"))
            self._check(path, found)
            return found
        self.job.note(name)
        row = make()
        self.places.out.mkdir(parents=True, exist_ok=True)
        write_text(path, json.dumps(row, indent=1) + "\n")
        self._state(name).unlink(missing_ok=True)  # not before: a kill would lose the work
        return row

    def _check(self, path: Path, row: Row) -> None:
        """A row may be older than a setting, but must not have another value of one."""
        if row["scale"] != self.scale.name:
            raise InputError(f"{path}: is of scale {row['scale']}; give each its own --out")
        if "spec" in row:
            text = parse_method(self.scale.every_method[row["method"]]).spec
            ours, theirs = (split_spec(one)[1] for one in (text, row["spec"]))
            if any(ours[key] != theirs[key] for key in ours.keys() & theirs.keys()):
                raise InputError(f"{path}: was made by {row['spec']}, not {text}; remove it first")

    def _state(self, name: str) -> Path:
        """Of a purification that is under way."""
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
            raise UsageError(f"{attack}: there are {len(names)} classes, from 0")
        target = names[asked.target]
        return replace(self.scale.recipe, attack=text, target=target, rate=asked.rate, seed=seed)

    def _attack(self, name: str) -> Attack:
        return (self.scale.attacks | self.scale.more)[name]

    def _trained(self, attack: str, seed: int) -> Path:
        """The victim's folder; without an attack, the clean model's."""
        folder = self.places.work / f"{_slug(attack) or 'clean'}-{seed}"
        recipe = self._recipe(attack, seed)
        train_victim(recipe, self._images(), folder, device=self.device, job=self.job)
        return folder

    def _patch(self) -> Path:
        """The Trojan patch, drawn on a clean model of seed 0."""
        path = self.places.work / "trojan.png"
        if not path.exists():
            opened = open_checkpoint(self._trained("", 0) / "model.pth")
            pixels = self._images().train_pixels
            size = pixels.shape[-1]
            plain = Preprocessing(size, parse_normalization(self.scale.recipe.normalization))
            classifier = opened.classifier(opened.candidates[0]).with_preprocessing(plain)
            every = max(1, len(pixels) // PICTURES)
            some = torch.from_numpy(pixels[::every][:PICTURES].copy())
            patch, _ = TrojanPatch(side=size // 4).draw(classifier, some, job=self.job)
            write_patch(path, patch)
        return path

    def _audited(self, attack: str, seed: int) -> tuple[Audit, Trigger]:
        name = f"{attack}-{seed}"
        if self._audit is None or self._audit[0] != name:
            folder = self._trained(attack, seed)
            trigger = parse_trigger(self._recipe(attack, seed).attack)
            settings = ScanSettings(sample=SHARE, seed=seed, device=self.device)
            cache = EmbeddingCache()
            audit = scan(
                folder / "model.pth", self.places.train, settings, cache=cache, job=self.job
            )
            classifier, clean = reopen(audit)
            target = self._attack(attack).target
            audit = add_tac(audit, classifier, clean, trigger, target, cache=cache, job=self.job)
            self._audit = name, audit, trigger
        return self._audit[1:]

    def _victim(self, attack: str, seed: int) -> Row:
        audit, _ = self._audited(attack, seed)
        card = json.loads((self._trained(attack, seed) / "card.json").read_text(encoding="utf-8"))
        target = self._attack(attack).target
        data_free = data_free_direction(audit.model.weight, target)
        (tac,) = audit.tac
        found = compare_with_tac(audit.shifts.shift[target], data_free, tac)
        return {
            **self._told(attack, seed),
            "training": {key: card[key] for key in ("outcome", "precision", "threads")},
            "l2": audit.shifts.l2.tolist(),
            "z": [score.z for score in audit.verdict.scores],
            "p": audit.verdict.scores[target].grubbs_p,
            "flagged": list(audit.verdict.poisoned),
            "agreement": {name: _figures(one) for name, one in found.items()},
            "shift": audit.shifts.shift[target].tolist(),
            "tac": tac.change.tolist(),
        }

    # Purifications

    def _purified(self, attack: str, seed: int, method: str) -> Row:
        audit, trigger = self._audited(attack, seed)
        chosen = parse_method(self.scale.every_method[method])
        target = self._attack(attack).target
        cleaned = clean_model(
            audit, chosen, target, trigger=trigger, test=self.places.test, seed=seed,
            device=self.device, resume=self._state(f"{attack}-{seed}-{method}"), job=self.job,
        )  # fmt: skip
        run, again = cleaned.run, cleaned.rescan
        by_shift = method in BY_SHIFT  # the victim's row has it
        ranks = (
            None
            if run.ranking is None
            else agreement(run.ranking.astype(np.float64), audit.tac[0].change)
        )
        return {
            **self._told(attack, seed, method),
            "method": method,
            "spec": run.method,
            "before": {"acc": cleaned.before.acc, "asr": cleaned.before.asr},
            "acc": cleaned.after.acc,
            "asr": cleaned.after.asr,
            "ra": cleaned.after.ra,
            "der": der(cleaned.before, cleaned.after),
            "kept": run.kept,
            "steps": len(run.rows),
            "last_step": dict(run.rows[-1].step.figures),
            "seconds": run.seconds,
            "images_forward": run.forwards,
            "images_back": run.backwards,
            "norm": float(again.shifts.l2[target]),
            "flagged": list(again.verdict.poisoned),
            "agreement": None if ranks is None else _figures(ranks),
            "ranking": None if run.ranking is None or by_shift else run.ranking.tolist(),
        }

    # Ablations

    def ablations(self, attacks: list[str], seeds: list[int]) -> Iterator[Row]:
        """What `bdshift.lab.ablations` tries, a row a victim; attack "clean" is none. The clean
        images are a tenth of those for training.
        """
        for attack in attacks:
            for seed in seeds:
                name = f"ablation-{attack}-{seed}"
                yield self._kept(name, lambda a=attack, s=seed: self._ablated(a, s))  # type: ignore[misc]

    def _ablated(self, attack: str, seed: int) -> Row:
        folder = self._trained("" if attack == CLEAN else attack, seed)
        settings = ScanSettings(sample=2 * SHARE, seed=seed, device=self.device)
        audit = scan(folder / "model.pth", self.places.train, settings, job=self.job)
        classifier, clean = reopen(audit)
        tac, target = None, -1
        if attack != CLEAN:
            target = self._attack(attack).target
            trigger = parse_trigger(self._recipe(attack, seed).attack)
            audit = add_tac(audit, classifier, clean, trigger, target, job=self.job)
            tac = audit.tac[0].change
        assert audit.embedding is not None
        size = audit.preprocessing.preprocessing.size
        others = {"random noise": noise(len(audit.embedding.labels) // 2, size)}
        if size == SIZE:
            signs = draw_signs(FOREIGN // len(CLASSES), seed=seed, split="clean")[0]
            others["drawn traffic signs"] = torch.from_numpy(signs)
        logits = {name: foreign_logits(classifier, some) for name, some in others.items()}
        return {
            **self._told(attack, seed),
            "command": self._command("ablations", attack, seed),
            "images": len(audit.embedding.labels),
            "rows": ablate(
                audit.embedding.logits, audit.model.weight, tac, target, logits, seed=seed,
                job=self.job,
            ),
        }  # fmt: skip

    def write_ablations(self) -> None:
        """``ablations.md`` from every ablation that lies in ``out``."""
        found = [
            json.loads(path.read_text("utf-8"))
            for path in sorted(self.places.out.glob("ablation-*.json"))
        ]
        text = ablation_table({f"{row['attack']} {row['seed']}": row["rows"] for row in found})
        write_text(self.places.out / "ablations.md", text)

    def _command(self, what: str, attack: str, seed: int, *more: str) -> str:
        """That makes this row alone, without paths of this machine."""
        places = Path(self.places.train).name, Path(self.places.test).name
        return shlex.join(
            [
                *("bdshift", "lab", what, "--scale", self.scale.name, "--data", places[0]),
                *("--test", places[1], "--attacks", attack, "--seeds", str(seed), *more),
            ]
        )

    def _told(self, attack: str, seed: int, method: str = "") -> Row:
        where = pick_device(self.device)
        return {
            "attack": attack,
            "seed": seed,
            "scale": self.scale.name,
            "command": self._command("tables", attack, seed, "--methods", method or "none"),
            "versions": versions(),
            "device": torch.cuda.get_device_name(where) if where.type == "cuda" else where.type,
        }


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
