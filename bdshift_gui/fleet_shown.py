"""The audits of many models: a part of the state."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bdshift.fleet.table import Ranked
    from bdshift.fleet.task import Stage


@dataclass(frozen=True)
class AskedAgain:
    """Models that are audited again in another way.

    Attributes:
        models: each with its clean set.
        settings: fields of `bdshift.audit.asked.AskedScan` that are other than before.
        counts: how many of all models were done, and how many there are, before that.
    """

    models: tuple[tuple[str, str], ...]
    settings: Mapping[str, Any]
    counts: tuple[int, int]


@dataclass(frozen=True)
class FleetShown:
    """A fleet.

    Attributes:
        folder: of its results.
        named: what it was started with, files and folders; () if its results were only opened.
        images: the clean set; "" if its results were only opened.
        other: what is asked of some of its models beside that, until it is done.
        found: its rows, the most suspicious first.
        done, total: models; 0 of 0 until that is known.
        left: seconds that the rest is going to take, None if unknown.
        running: whether models are being audited now.
        stages: what is being done with those, by their path; None until that is told.
        chosen: the models whose rows are selected.
    """

    folder: Path
    named: tuple[str, ...] = ()
    images: str = ""
    other: AskedAgain | None = None
    found: tuple[Ranked, ...] = ()
    done: int = 0
    total: int = 0
    left: float | None = None
    running: bool = False
    stages: Mapping[str, Stage | None] = field(default_factory=dict)
    chosen: frozenset[str] = frozenset()
