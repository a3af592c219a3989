"""How often clean models that a table was not fitted on get a p as small as p."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

ROUND_LEVELS = 0.05, 0.1
"""Values of p for which a calibration is told in words."""
_DECIMALS = 4  # of a p that is kept


@dataclass(frozen=True)
class Calibration:
    """What p is for clean models of which the table that gave it knew nothing, each list ascending.

    Attributes:
        left_out: of the models of the table, each by one that was fitted without its cluster.
        held_out: of models that were never in it.
    """

    left_out: tuple[float, ...] = ()
    held_out: tuple[float, ...] = ()


def calibrated(left_out: Sequence[float], held_out: Sequence[float]) -> Calibration:
    """The calibration for these p, in any order; rounded to four decimals, as in a table."""
    first, second = (
        tuple(sorted(round(one, _DECIMALS) for one in some)) for some in (left_out, held_out)
    )
    return Calibration(first, second)


def count_up_to(values: Sequence[float], p: float) -> int:
    """How many of them are at most ``p``."""
    return sum(one <= p for one in values)


def share_curve(values: Sequence[float]) -> list[tuple[float, float]]:
    """The share of ``values`` of at most x, for x from 0 to 1, as a line (x, share) with steps. For
    a p that is right it is nowhere above its diagonal, but for chance.
    """
    points, below = [(0.0, 0.0)], 0.0
    for place, value in enumerate(sorted(values), 1):
        points += [(value, below), (value, below := place / len(values))]
    return [*points, (1.0, below)]
