"""Which models come from one base: they share their fate, and count as one surprise."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

_BUCKETS = 64
_BLOCK = 1024  # rows compared at a time
NEAR = 0.5
"""Distance of two sketches, as a share of their length, up to which one model comes from the other.
Independent trainings are about √2 apart.
"""


def sketch(network: nn.Module, head: nn.Module) -> NDArray[np.float32]:
    """The weights of a network but for its head as float32 (64,): every number is added, with a
    sign, to one of 64 sums (a count sketch), so that distances of networks of one architecture are
    kept, about. Vectors are left out: scales of batch norms are alike everywhere. (0,) if any
    weight is infinite or NaN.
    """
    found = np.zeros(_BUCKETS)
    left_out = {id(one) for one in head.parameters()}
    for number, tensor in enumerate(network.parameters()):
        if tensor.dim() < 2 or id(tensor) in left_out:
            continue
        values = tensor.detach().to(torch.float64).cpu().numpy().ravel()
        place = np.arange(len(values), dtype=np.uint64) + np.uint64(number << 40)
        mixed = (place * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(40)
        signs = np.where(mixed & np.uint64(1), 1.0, -1.0)
        buckets = ((mixed >> np.uint64(1)) % np.uint64(_BUCKETS)).astype(np.int64)
        found += np.bincount(buckets, values * signs, _BUCKETS)
    sums = found.astype(np.float32)
    return sums if np.isfinite(sums).all() else np.empty(0, np.float32)


def families(kinds: Sequence[str], sketches: Sequence[Sequence[float]]) -> NDArray[np.int64]:
    """For each of n models the number of its family, int64 (n,), numbered in order of their first
    model: models of one kind (architecture) are in one family if a chain of near ones joins them.
    One without a sketch is a family of its own.
    """
    roots = np.arange(len(kinds))
    by_kind: dict[str, list[int]] = {}
    for at, (kind, one) in enumerate(zip(kinds, sketches, strict=True)):
        if len(one) == _BUCKETS and np.isfinite(one).all():
            by_kind.setdefault(kind, []).append(at)
    for members in by_kind.values():
        table = np.array([sketches[at] for at in members], dtype=np.float64)
        roots[members] = np.array(members)[_first_joined(table)]
    numbers = {one: at for at, one in enumerate(dict.fromkeys(roots.tolist()))}
    return np.array([numbers[one] for one in roots.tolist()], dtype=np.int64)


def _first_joined(table: NDArray[np.float64]) -> NDArray[np.int64]:
    """For each of n sketches the first one that a chain of near ones joins it to, int64 (n,)."""
    squares = (table * table).sum(1)
    first = np.arange(len(table))
    while True:
        before = first.copy()
        for start in range(0, len(table), _BLOCK):
            block = slice(start, start + _BLOCK)
            own = squares[block, None]
            distance = own + squares - 2 * table[block] @ table.T
            near = distance <= NEAR**2 * np.maximum(own, squares)
            first[block] = np.where(near, first, len(table)).min(1)
        first = first[first]
        if (first == before).all():
            return first
