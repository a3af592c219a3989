"""What a run is given, and what all its steps share."""

from __future__ import annotations

import os
import zipfile
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, Literal, TypeVar

import numpy as np
import torch

from bdshift.audit.made import versions
from bdshift.jobs import JobContext
from bdshift.lab.data import LabData, load_lab_data
from bdshift.registry import Configured
from bdshift.setting import options_of
from bdshift.writing import written_whole

Compile = Literal["auto", "yes", "no"]

_Member = TypeVar("_Member", bound=Configured)

DEMO = Path(__file__).parents[2] / "resources" / "demo" / "victim.pth"
"""A victim whose card is beside it; its images are drawn signs."""


@dataclass(frozen=True)
class Plan:
    """A run.

    Attributes:
        work: folder for everything; what comes back is in its subfolder ``results``.
        train, test: photos, as `load_lab_data` takes them; empty if they are not there yet.
        digits: such as MNIST's, for the zoo; empty for none.
        victim: what the checks are made with.
        scale: of the ResNet-18 tables, such as ``paper-30``.
        compiled: whether trainings use `torch.compile`; ``auto`` if the checks have found that it
            pays.
        trained: a table of models of the zoo that need not be trained; None for none.
        dry: tiny sizes on the CPU, to test every step.
        device: where to work.
    """

    work: Path
    train: str = ""
    test: str = ""
    digits: str = ""
    victim: Path = DEMO
    scale: str = "paper-30"
    compiled: Compile = "auto"
    trained: Path | None = None
    dry: bool = False
    device: str = "cuda"

    @property
    def results(self) -> Path:
        """What comes back."""
        return self.work / "results"

    @property
    def images(self) -> Path:
        """The photos, decoded once for all processes."""
        return self.work / "images.npz"

    @property
    def where(self) -> torch.device:
        """The device."""
        return torch.device(self.device)

    def about(self, stage: str) -> dict[str, Any]:
        """What every row says of how it was made."""
        name = torch.cuda.get_device_name(self.where) if self.where.type == "cuda" else "cpu"
        command = f"python tools/gpu/run.py WORK --only {stage}{' --dry-run' * self.dry}"
        return {"command": command, "seed": 0, "versions": versions(), "device": name}


def prepare(plan: Plan) -> None:
    """Settings of this process. What was compiled is kept for the next call."""
    os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(plan.work / "compiled"))
    torch.backends.cudnn.benchmark = plan.where.type == "cuda"


def decode(plan: Plan, job: JobContext) -> dict[str, Any]:
    """Decode the photos into one file, which every process then reads in a moment."""
    lab = load_lab_data(plan.train, plan.test, job=job)
    with written_whole(plan.images) as stream:
        np.savez(
            stream, train_pixels=lab.train_pixels, train_labels=lab.train_labels,
            test_pixels=lab.test_pixels, test_labels=lab.test_labels,
            class_names=np.array(lab.class_names),
        )  # fmt: skip
    counts = {"train": len(lab.train_labels), "test": len(lab.test_labels)}
    return {**plan.about("images"), **counts, "sha256": lab.digest}


@cache
def decoded(plan: Plan) -> LabData:
    """The photos."""
    try:
        with np.load(plan.images) as found:
            parts = {name: found[name] for name in found.files}
    except (OSError, zipfile.BadZipFile):
        return load_lab_data(plan.train, plan.test)
    names = tuple(parts.pop("class_names").tolist())
    return LabData(**parts, class_names=names)


_BRIEF = {"images": 48, "rounds": 40, "budget": 4, "inner": 3, "iterations": 40, "batches": 3}
_TINY = {"images": 24, "rounds": 3, "budget": 0.1, "inner": 1, "iterations": 1, "batches": 1}
_COUNTED = ("epochs", "steps", "starts")


def brief(member: _Member, *, dry: bool) -> _Member:
    """The same member with so little work that it takes seconds: by the names of its settings."""
    sizes = _TINY if dry else _BRIEF
    chosen: dict[str, Any] = {}
    for one in options_of(type(member)):
        wanted: float
        if one.name in sizes:
            wanted = sizes[one.name]
        elif one.name.endswith(_COUNTED):
            wanted = 1 if dry else 20 if one.name == "steps" else 2
        else:
            continue
        value = max(one.about.low or 0, wanted)
        if value < getattr(member, one.name):
            chosen[one.name] = one.kind(value)
    return replace(member, **chosen)
