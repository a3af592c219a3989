"""The weights of purified models, and whether two are the same."""

from __future__ import annotations

import torch

from bdshift.audit import Cleaned
from bdshift.purify import Purified


def of(found: Cleaned | Purified) -> dict[str, torch.Tensor]:
    weights = (found.run if isinstance(found, Cleaned) else found).weights
    assert weights is not None
    return weights


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a)
