"""What a search for a trigger has found so far, in words: the kinds of changes that compete."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bdshift.text import figure
from bdshift_gui.i18n import tr
from bdshift_gui.widgets.recovery_words import kind_of, times

if TYPE_CHECKING:
    from bdshift.jobs import Glimpse


@dataclass(frozen=True)
class _Leader:
    """A class beside the others, in one kind of change: the size of its change, the smallest of the
    others', and by how much it stands out (`bdshift.recovery.drop`).
    """

    kind: str
    index: int
    size: float
    others: float
    drop: float


def best_so_far(
    glimpses: Iterable[Glimpse], target: int | None, names: Sequence[str]
) -> str:  # fmt: skip
    """The kind in which a class stands out most: ``target``, or whichever does; "" if no change
    works yet.
    """
    found = [one for one in (_leader(glimpse, target) for glimpse in glimpses) if one is not None]
    if not found:
        return ""
    best = max(found, key=lambda one: one.drop)
    name = names[best.index]
    if best.drop <= 0 or best.others <= best.size:
        return tr("So far, “{name}” needs no smaller change of any kind than others.", name=name)
    if math.isinf(best.others):
        return tr("Best so far: {kind}, {size} for “{name}”, no other class reached yet.",
                  kind=best.kind, size=figure(best.size, ".3g"), name=name)  # fmt: skip
    return tr("Best so far: {kind}, {size} for “{name}”, others {others} and more.",
              kind=best.kind, size=figure(best.size, ".3g"), name=name,
              others=figure(best.others, ".3g"))  # fmt: skip


def kinds_so_far(
    glimpses: Iterable[Glimpse], target: int | None, names: Sequence[str]
) -> list[tuple[str, str, str]]:
    """A row for each kind, with how many times as much as the class the others need."""
    rows = []
    for glimpse in glimpses:
        one = _leader(glimpse, target)
        about = tr("How many times as much a control class needs as this class.")
        if one is None:
            rows.append((kind_of(glimpse.kind)[0], tr("not reached"), about))
        else:
            rows.append((one.kind, times(one.drop), f"{names[one.index]}: {about}"))
    return rows


def _leader(glimpse: Glimpse, target: int | None) -> _Leader | None:
    """The class that is looked at; None if no change works for it."""
    from bdshift.recovery.drop import drops

    sizes = glimpse.sizes.astype(np.float64)
    stands_out, targets = drops(sizes), glimpse.targets.tolist()
    if target is not None:
        rows = [row for row, index in enumerate(targets) if index == target]
    else:
        rows = sorted(range(len(targets)), key=lambda row: (-stands_out[row], sizes[row]))
    if not rows or math.isinf(sizes[rows[0]]):
        return None
    row = rows[0]
    others = np.delete(sizes, row).min(initial=math.inf)
    drop = float(stands_out[row])
    kind = kind_of(glimpse.kind)[0]
    return _Leader(kind, targets[row], float(sizes[row]), float(others),
                   -math.inf if math.isnan(drop) else drop)  # fmt: skip
