"""Steps that other processes can make: one dies, one fails."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from bdshift.jobs import JobContext
from tools.gpu.steps import WorkStep


def _work(name: str, job: JobContext) -> dict[str, int]:
    if name == "dies":
        os._exit(3)
    if name == "fails":
        raise ValueError("no")
    while name == "lasts":
        job.raise_if_canceled()
    return {"process": os.getpid()}


def steps_in(folder: Path) -> Mapping[str, WorkStep]:
    """By name; their results are in ``folder``."""
    names = "dies", "fails", "works", "works too", "lasts"
    return {
        name: WorkStep(name, name, 1, folder / f"{name}.json", partial(_work, name), rank=rank)
        for rank, name in enumerate(names)
    }


def no_steps() -> Mapping[str, WorkStep]:
    """The process ends before it has any."""
    os._exit(4)
