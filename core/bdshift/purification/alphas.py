"""Which multiples of a task vector are looked at.

How long a vector is depends on the victim: where the trigger is learned by heart, its loss hardly
has a gradient, and it takes a hundred times the vector to unlearn it; where it is not, a tenth of
it ruins the network. So α is doubled from 1 while enough accuracy is left, or halved until it is;
then what lies below is divided evenly, and what lies around the limit of accuracy again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

_DOUBLINGS = 12  # of α, at most, and as many halvings
_EVEN, _FINER = 12, 4  # parts of the whole range, and of the one around the limit
_GONE = 0.005  # ASR from which on there is nothing left to unlearn
MOST_ALPHAS = 2 + _DOUBLINGS + _EVEN + _FINER
"""That are looked at."""


@dataclass(frozen=True)
class Point:
    """What one α leaves: whether ``fits``, enough accuracy, and the ASR."""

    fits: bool
    asr: float


def next_alpha(curve: Mapping[float, Point]) -> float | None:
    """The next α for a ``curve`` of those that have been looked at; None if it is complete."""
    return next((alpha for alpha in _asked(curve) if alpha not in curve), None)


def _asked(curve: Mapping[float, Point]) -> Iterator[float]:
    """All α in their order. Who looks at one before asking for the next finds it in ``curve``."""
    asked = [0.0, 1.0]
    yield from asked
    if curve[1.0].fits:
        while (
            len(asked) < 2 + _DOUBLINGS and curve[asked[-1]].fits and curve[asked[-1]].asr > _GONE
        ):
            asked.append(asked[-1] * 2)
            yield asked[-1]
    else:
        while len(asked) < 2 + _DOUBLINGS and not curve[asked[-1]].fits:
            asked.append(asked[-1] / 2)
            yield asked[-1]
    top = next((alpha for alpha in sorted(asked) if not curve[alpha].fits), asked[-1])
    for part in range(1, _EVEN):
        asked.append(float(f"{top * part / _EVEN:.6g}"))
        yield asked[-1]
    above = next((alpha for alpha in sorted(asked) if not curve[alpha].fits), None)
    if above is not None:
        low = max((alpha for alpha in asked if alpha < above), default=0.0)
        for part in range(1, _FINER):
            yield float(f"{low + (above - low) * part / _FINER:.6g}")
