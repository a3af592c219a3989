"""The weights of purified models, and whether two are the same."""

from __future__ import annotations

import torch

from bdshift.audit import Purification
from bdshift.purification import Purified


def weights_of(found: Purification | Purified) -> dict[str, torch.Tensor]:
    weights = (found.result if isinstance(found, Purification) else found).weights
    assert weights is not None
    return weights


def same_weights(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a)
