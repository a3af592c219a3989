"""The detectors that an interrupted scan has finished."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import torch

from bdshift.detect.detector import Detector, Evidence
from bdshift.errors import BdshiftError, InputError
from bdshift.files import cache_folder
from bdshift.jobs import SILENT, JobContext
from bdshift.resume import read_state, write_state
from bdshift.store.evidence import pack_evidence, unpack_evidence
from bdshift.writing import make_folder

_FORMAT = 1


def last_scan() -> Path:
    """Where the window keeps the state of its last scan: in the user's cache."""
    return cache_folder() / "scan.state"


class FinishedEvidence:
    """Evidence in a state file, so that a scan that was interrupted goes on after the last detector
    that it finished. What belongs to other models than the last two (such as one and its
    reference) is dropped.

    A scan does not fail because of it: what cannot be read is computed again, and what cannot be
    written is not kept.
    """

    def __init__(self, path: Path, job: JobContext = SILENT) -> None:
        self.path = path
        self._held: list[dict[str, Any]] = []
        if not os.path.lexists(path):
            return
        with suppress(InputError):  # damaged, or of someone else
            state = read_state(path, torch.device("cpu"), job)
            if isinstance(state, dict) and state.get("format") == _FORMAT:
                self._held = state["held"]

    def get(self, identity: dict[str, Any], detector: Detector) -> Evidence | None:
        """What a detector found, if it was finished for the same ``identity``: everything that its
        numbers depend on besides its settings, the model's SHA-256 among it.
        """
        for one in self._held:
            if one["identity"] == identity and one["detector"] == detector.spec:
                try:
                    return unpack_evidence(one["evidence"].numpy().tobytes())
                except Exception:  # whatever is wrong with it, the answer is to compute it again
                    return None
        return None

    def keep(self, identity: dict[str, Any], evidence: Evidence) -> None:
        """Remember one more."""
        content = np.frombuffer(pack_evidence(evidence), np.uint8)
        models = [one["identity"]["model"] for one in self._held]
        kept = {identity["model"], *[one for one in models if one != identity["model"]][-1:]}
        held = [one for one in self._held if one["identity"]["model"] in kept]
        held.append({
            "identity": identity, "detector": evidence.detector,
            "evidence": torch.from_numpy(content.copy()),
        })  # fmt: skip
        self._held = held
        with suppress(BdshiftError):
            make_folder(self.path.parent)
            write_state(self.path, {"format": _FORMAT, "held": held})
