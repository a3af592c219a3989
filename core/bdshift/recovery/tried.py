"""A kind of change that was tried for some classes at once, and those that an interrupted recovery
has finished.
"""

from __future__ import annotations

import math
import os
from contextlib import suppress
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any

import torch

from bdshift.changes import ChangeKind, Params
from bdshift.errors import BdshiftError, InputError
from bdshift.files import cache_folder
from bdshift.jobs import JobContext
from bdshift.recovery.recovery import Attempt, SizeOf
from bdshift.recovery.search import Found
from bdshift.resume import read_state, write_state
from bdshift.writing import make_folder

_FORMAT = 2  # of states


@dataclass(frozen=True)
class Tried:
    """What was found with a kind, how large it is on unused images, and what that took."""

    kind: ChangeKind
    found: Found
    sizes: tuple[SizeOf, ...]
    seconds: float
    forwards: int
    backwards: int

    def attempt(self, target: int) -> Attempt:
        """One of the classes, compared with the others."""
        [own] = [one for one in self.sizes if one.target == target]
        others = tuple(one for one in self.sizes if one.target != target)
        return Attempt(self.kind.spec, own, others, self.seconds, self.forwards, self.backwards)

    def params(self, target: int) -> Params:
        """The change toward one of the classes."""
        return self.found.of(self.found.targets.tolist().index(target))

    def merit(self, target: int) -> tuple[bool, float]:
        """Whether the change works on unused images, and how much smaller than others it is; of one
        that does not, its success.
        """
        one = self.attempt(target)
        works = math.isfinite(one.target.size)
        drop = one.drop if works else one.target.asr
        return works, -math.inf if math.isnan(drop) else drop


def last_recovery() -> Path:
    """Where the window keeps the state of its last recovery: in the user's cache."""
    return cache_folder() / "recovery.state"


class FinishedKinds:
    """The kinds that a recovery has finished, in a state file, so that one that was interrupted
    goes on after the last of them. ``identity`` is everything that the numbers of all depend on,
    ``of`` what those of one kind depend on besides. A state of another recovery is replaced.
    Without a path, nothing is kept.

    A recovery does not fail because of it: what cannot be read is searched for again, and what
    cannot be written is not kept.
    """

    def __init__(
        self, path: Path | None, identity: dict[str, Any], device: torch.device, job: JobContext
    ) -> None:
        self.path, self.identity = path, {"format": _FORMAT, **identity}
        self._done: dict[str, dict[str, Any]] = {}
        if path is None or not os.path.lexists(path):
            return
        try:
            state = read_state(path, device, job)
        except InputError:  # damaged, or of someone else
            return
        if isinstance(state, dict) and state.get("identity") == self.identity:
            self._done = state["kinds"]

    def get(self, kind: ChangeKind, *of: object) -> Tried | None:
        """What was found with a kind, if it was finished."""
        held = self._done.get(repr((kind.spec, *of)))
        if held is None:
            return None
        sizes = tuple(SizeOf(target, tuple(sizes), asr) for target, sizes, asr in held["sizes"])
        found = Found(held["targets"], held["params"], held["size"])
        return Tried(kind, found, sizes, *held["cost"])

    def keep(self, tried: Tried, *of: object) -> None:
        """Remember one more."""
        found = tried.found
        self._done[repr((tried.kind.spec, *of))] = {
            "targets": found.targets, "params": dict(found.params), "size": found.size,
            "sizes": [astuple(one) for one in tried.sizes],
            "cost": [tried.seconds, tried.forwards, tried.backwards],
        }  # fmt: skip
        if self.path is not None:
            with suppress(BdshiftError):
                make_folder(self.path.parent)
                write_state(self.path, {"identity": self.identity, "kinds": self._done})
