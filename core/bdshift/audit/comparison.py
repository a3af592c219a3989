"""Two models of an audit side by side: the original and a purified one, or two purified ones."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from bdshift.audit.records import Audit, Cleaned
from bdshift.errors import UsageError
from bdshift.neurons.tac import Tac
from bdshift.purify.measure import Measured, der
from bdshift.shift.embed import Embedding

Kind = Literal["broken", "mended", "other"]


@dataclass(frozen=True)
class Side:
    """One of the two.

    Attributes:
        number: 0 for the original, from 1 for the purifications in their order.
        audit: of this model.
        run: how it was made; None for the original.
    """

    number: int
    audit: Audit
    run: Cleaned | None


@dataclass(frozen=True)
class Changed:
    """An image that the two models classify differently.

    Attributes:
        row: of the audit's embedding.
        label: its class.
        was, now: what the first and the second model say.
    """

    row: int
    label: int
    was: int
    now: int

    @property
    def kind(self) -> Kind:
        """Whether the second made right wrong, or wrong right, or wrong otherwise wrong."""
        if self.was == self.label:
            return "broken"
        return "mended" if self.now == self.label else "other"


@dataclass(frozen=True)
class Comparison:
    """Two sides of ``audit``, the first usually the original."""

    audit: Audit
    a: Side
    b: Side

    @property
    def target(self) -> int:
        """The class that was purified; without a purification the one to look at first."""
        run = self.b.run or self.a.run
        return self.audit.most_suspicious if run is None else run.run.target

    @property
    def comparable(self) -> bool:
        """Whether both were measured on the same images, with one trigger for one class."""
        a, b = self.a.run, self.b.run
        return a is None or b is None or measured_alike(a, b)

    @property
    def measured(self) -> tuple[Measured | None, Measured | None]:
        """ACC, ASR and RA of either; the original's are those beside the other's."""
        a, b = self.a.run, self.b.run
        first = a.after if a is not None else b.before if b is not None else None
        second = b.after if b is not None else a.before if a is not None else None
        return first, second

    @property
    def der(self) -> float | None:
        """Of the way from the first to the second; None if they are not comparable."""
        first, second = self.measured
        if first is None or second is None or not self.comparable:
            return None
        return der(first, second)

    @cached_property
    def clean(self) -> tuple[Changed, ...] | None:
        """Clean images that the two classify differently; None in an audit without embeddings."""
        return _changed(self.a.audit.embedding, self.b.audit.embedding, None)

    @cached_property
    def triggered(self) -> tuple[Changed, ...] | None:
        """The same of the images with the trigger, those of the target left out; None unless TAC
        of both was measured under one trigger.
        """
        if self.tacs is None:
            return None
        a, b = self.tacs
        return _changed(a.triggered, b.triggered, self.target)

    @cached_property
    def tacs(self) -> tuple[Tac, Tac] | None:
        """TAC of both for the target under one trigger, that of the purification if it has one,
        else the last that was measured; None if there is none.
        """
        runs = [side.run for side in (self.b, self.a) if side.run is not None]
        first = [run.trigger for run in runs if run.trigger is not None]
        known = [tac.trigger for tac in reversed(self.a.audit.tac)]
        for trigger in dict.fromkeys([*first, *known]):
            pair = [side.audit.tac_of(self.target, trigger) for side in (self.a, self.b)]
            if pair[0] is not None and pair[1] is not None:
                return pair[0], pair[1]
        return None


def measured_alike(a: Cleaned, b: Cleaned) -> bool:
    """Whether the figures of two purifications are of one class, trigger and set of images."""
    return _measured_on(a) == _measured_on(b)


def _measured_on(run: Cleaned) -> tuple[object, ...]:
    images = (run.held, run.run.seed) if run.test is None else (run.test, run.count)
    return run.run.target, run.trigger, run.test, *images


def _changed(
    a: Embedding | None, b: Embedding | None, without: int | None
) -> tuple[Changed, ...] | None:
    if a is None or b is None or a.files != b.files:
        return None
    was, now = a.logits.argmax(1), b.logits.argmax(1)
    rows: NDArray[np.int64] = np.flatnonzero((was != now) & (a.labels != without))
    return tuple(Changed(int(i), int(a.labels[i]), int(was[i]), int(now[i])) for i in rows)


def compare(audit: Audit, a: int = 0, b: int | None = None) -> Comparison:
    """Side ``a`` of an audit beside side ``b``: 0 is the original, 1 the first purification, and
    so on; by default the original beside the last.

    Raises `UsageError` if there is no such purification.
    """
    return Comparison(audit, side(audit, a), side(audit, len(audit.runs) if b is None else b))


def side(audit: Audit, number: int) -> Side:
    """One side of an audit. Raises `UsageError` if there is no such purification."""
    if not 0 <= number <= len(audit.runs):
        raise UsageError(
            f"there is no model {number}: 0 is the original, and the audit holds "
            f"{len(audit.runs)} purifications"
        )
    run = audit.runs[number - 1] if number else None
    return Side(number, audit if run is None else run.rescan, run)
