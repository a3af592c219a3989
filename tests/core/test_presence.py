"""Whether clean images carry a change already."""

from __future__ import annotations

import math

import pytest
import torch

from bdshift.changes import CHANGES
from bdshift.recovery.presence import presence


def images(count: int, seed: int) -> torch.Tensor:
    rng = torch.Generator().manual_seed(seed)
    return 0.3 + 0.4 * torch.rand((count, 3, 16, 16), generator=rng)


@pytest.mark.parametrize("name", ["mask", "additive", "frequency"])
def test_images_that_were_changed_are_recognized(name: str) -> None:
    kind = CHANGES.parse(name)
    params = kind.scout(torch.tensor([3]), 16, 0)
    own, others = images(50, 1), images(200, 2)
    assert presence(kind, params, own, others) <= 0.06
    some = own.clone()
    some[:20] = kind.changed(params, own[:20])[0]
    assert 0.3 <= presence(kind, params, some, others) <= 0.46


def test_where_nothing_can_be_said() -> None:
    kind = CHANGES.parse("mask")
    params = kind.scout(torch.tensor([3]), 16, 0)
    own = images(10, 1)
    assert math.isnan(presence(kind, params, own[:9], own))
    assert math.isnan(presence(kind, params, own, own[:0]))
    same = {key: value[:1] for key, value in params.items()}
    black = torch.zeros_like(own)
    additive = CHANGES.parse("additive")
    nothing = {key: torch.zeros_like(value) for key, value in
               additive.scout(torch.tensor([0]), 16, 0).items()}  # fmt: skip
    assert math.isnan(presence(additive, nothing, own, black))
    assert presence(kind, same, black, black) <= 0.01
