"""Rankings of the neurons for a target class, and how well two rankings agree."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bdshift.neurons.tac import Tac

Vector = NDArray[np.float64]


def data_free_direction(weight: NDArray[np.floating], target: int) -> Vector:
    """w_t − mean row of W, float64 (d,): what can be said without a single image.

    Eq. 4's solution is λ Wᵀ(e_t − p̄), which is nearly parallel to this when p̄ is nearly uniform
    over the other classes. So it belongs next to every claim about the shift: what the shift
    explains and this does not is what the images contributed.
    """
    rows = np.asarray(weight, dtype=np.float64)
    return rows[target] - rows.mean(0)


def half_of(shift: Vector) -> list[int]:
    """The fewest neurons whose squared shift makes up half of ‖s‖², largest first."""
    order = np.argsort(-np.abs(shift), kind="stable")
    held = np.cumsum(shift[order] ** 2)
    count = int(np.searchsorted(held, held[-1] / 2)) + 1 if held[-1] > 0 else 0
    return [int(k) for k in order[:count]]


def _pearson(a: Vector, b: Vector) -> float:
    a, b = a - a.mean(), b - b.mean()
    return cosine(a, b)


def cosine(a: Vector, b: Vector) -> float:
    """a·b / (‖a‖ ‖b‖); NaN if one is zero."""
    scale = float(np.linalg.norm(a) * np.linalg.norm(b))
    return float(a @ b) / scale if scale > 0 else float("nan")


def overlap_curve(a: Vector, b: Vector) -> Vector:
    """Share of the K largest of ``a`` that are also among the K largest of ``b``, K = 1…d
    (Figure 2).

    Float64 (d,), ending in 1. Ties are broken by index, in both the same way.
    """
    d = len(a)
    rank_a, rank_b = np.empty(d, dtype=int), np.empty(d, dtype=int)
    rank_a[np.argsort(-a, kind="stable")] = np.arange(d)
    rank_b[np.argsort(-b, kind="stable")] = np.arange(d)
    enters = np.maximum(rank_a, rank_b)  # a neuron is in both top-Ks from K = enters + 1 on
    return np.cumsum(np.bincount(enters, minlength=d)) / np.arange(1, d + 1)


def overlap_at(curve: Vector, share: float) -> float:
    """An `overlap_curve` at the top ``share`` (0 < share ≤ 1) of the neurons, at least one."""
    return float(curve[max(1, round(share * len(curve))) - 1])


@dataclass(frozen=True)
class Agreement:
    """How well a ranking agrees with a reference, usually TAC.

    Attributes:
        cosine: of the two rankings as they are (Table 1).
        cosine_abs: of their absolute values.
        pearson, spearman: correlations of the two as they are.
        overlap: `overlap_curve` of the two as they are.
    """

    cosine: float
    cosine_abs: float
    pearson: float
    spearman: float
    overlap: Vector

    def overlap_at(self, share: float) -> float:
        """Overlap of the top ``share`` (0 < share ≤ 1) of the neurons, at least one."""
        return overlap_at(self.overlap, share)


def agreement(values: Vector, reference: Vector) -> Agreement:
    """Compare one value per neuron with a reference, both (d,)."""
    from scipy.stats import rankdata

    return Agreement(
        cosine=cosine(values, reference),
        cosine_abs=cosine(np.abs(values), np.abs(reference)),
        pearson=_pearson(values, reference),
        spearman=_pearson(rankdata(values), rankdata(reference)),
        overlap=overlap_curve(values, reference),
    )


def compare_with_tac(shift: Vector, data_free: Vector, tac: Tac) -> dict[str, Agreement]:
    """The shift and its data-free ablation, each compared with TAC and with the signed change."""
    return {
        "shift": agreement(shift, tac.change),
        "data_free": agreement(data_free, tac.change),
        "shift_signed": agreement(shift, tac.signed),
        "data_free_signed": agreement(data_free, tac.signed),
    }
