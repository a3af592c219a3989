"""Settings with which detectors that run the network take little time, where a test is about what
all detectors have in common.
"""

from __future__ import annotations

import pytest

from bdshift.changes import CHANGES
from bdshift.detect.detector import DETECTORS, Detector
from bdshift.recovery import curve

_QUICK = {
    "additive": "additive:images=8",
    "depth": "depth:steps=4",
    "frequency": "frequency:images=8",
    "mask": "mask:images=8",
    "pair-mask": "pair-mask:images=10",
    "pixels": "pixels:images=8",
    "warp": "warp:images=8",
    "decree": "decree:rounds=2,images=16",
    "margin": "margin:steps=2,starts=1",
    "mm-bd": "mm-bd:steps=2,images=2",
    "neural-cleanse": "neural-cleanse:steps=2,batches=1,batch=4",
}


def quick_detector(name: str) -> Detector:
    """The detector of this name, with as little work as it takes to run."""
    return DETECTORS.parse(_QUICK.get(name, name))


def shorten_searches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every search for a change end after two steps, from four scouts, and measure it at one
    size alone.
    """
    monkeypatch.setattr(curve, "FACTORS", (1.0,))
    for kind in CHANGES.kinds():
        monkeypatch.setattr(kind, "steps", 2)
        monkeypatch.setattr(kind, "scouts", 4)
