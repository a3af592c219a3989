"""Two models of an audit side by side: the original and a purified one, or two purified ones."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from bdshift.audit.records import Audit, Purification
from bdshift.errors import UsageError
from bdshift.measure import Measured, der
from bdshift.neurons.tac import Tac
from bdshift.shift.embed import Embedding

Change = Literal["broken", "fixed", "other"]


@dataclass(frozen=True)
class Side:
    """One of the two.

    Attributes:
        number: 0 for the original, 1 and up for the purifications, in order.
        audit: of this model.
        purification: how it was made; None for the original.
    """

    number: int
    audit: Audit
    purification: Purification | None


@dataclass(frozen=True)
class Changed:
    """An image that the two models classify differently.

    Attributes:
        row: its row in the audit's embedding.
        label: its class.
        was, now: the classes predicted by the first and the second model.
    """

    row: int
    label: int
    was: int
    now: int

    @property
    def kind(self) -> Change:
        """Whether the second made it wrong, made it right, or replaced one error with another."""
        if self.was == self.label:
            return "broken"
        return "fixed" if self.now == self.label else "other"


@dataclass(frozen=True)
class Comparison:
    """Two sides of ``audit``, the first usually the original."""

    audit: Audit
    a: Side
    b: Side

    @property
    def target(self) -> int:
        """The class that was purified; without a purification the one to look at first."""
        made = self.b.purification or self.a.purification
        return self.audit.most_suspicious if made is None else made.result.target

    @property
    def comparable(self) -> bool:
        """Whether both were measured on the same images, with the same trigger and class."""
        a, b = self.a.purification, self.b.purification
        return a is None or b is None or measured_alike(a, b)

    @property
    def measured(self) -> tuple[Measured | None, Measured | None]:
        """ACC, ASR and RA of each; the original's are those measured before the other's
        purification.
        """
        a, b = self.a.purification, self.b.purification
        first = a.after if a is not None else b.before if b is not None else None
        second = b.after if b is not None else a.before if a is not None else None
        return first, second

    @property
    def der(self) -> float | None:
        """DER from the first to the second; None if they are not comparable."""
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
        """The same for images with the trigger, leaving out those of the target; None unless TAC of
        both was measured under the same trigger.
        """
        if self.tacs is None:
            return None
        a, b = self.tacs
        return _changed(a.triggered, b.triggered, self.target)

    @cached_property
    def tacs(self) -> tuple[Tac, Tac] | None:
        """TAC of both for the target under one trigger: the purification's if it has one, else the
        last one measured; None if there is none.
        """
        made = [one.purification for one in (self.b, self.a) if one.purification is not None]
        first = [one.trigger for one in made if one.trigger is not None]
        known = [tac.trigger for tac in reversed(self.a.audit.tac)]
        for trigger in dict.fromkeys([*first, *known]):
            pair = [side.audit.tac_of(self.target, trigger) for side in (self.a, self.b)]
            if pair[0] is not None and pair[1] is not None:
                return pair[0], pair[1]
        return None


def measured_alike(a: Purification, b: Purification) -> bool:
    """Whether two purifications were measured for the same class, trigger and set of images."""
    return _measured_on(a) == _measured_on(b)


def _measured_on(one: Purification) -> tuple[object, ...]:
    images = (one.held_out, one.result.seed) if one.test is None else (one.test, one.count)
    return one.result.target, one.trigger, one.test, *images


def _changed(
    a: Embedding | None, b: Embedding | None, without: int | None
) -> tuple[Changed, ...] | None:
    if a is None or b is None or a.files != b.files:
        return None
    was, now = a.logits.argmax(1), b.logits.argmax(1)
    rows: NDArray[np.int64] = np.flatnonzero((was != now) & (a.labels != without))
    return tuple(Changed(int(i), int(a.labels[i]), int(was[i]), int(now[i])) for i in rows)


def compare(audit: Audit, a: int = 0, b: int | None = None) -> Comparison:
    """Compare side ``a`` of an audit with side ``b``: 0 is the original, 1 the first purification,
    and so on; by default the original with the last.

    Raises `UsageError` if there is no such purification.
    """
    return Comparison(
        audit, side(audit, a), side(audit, len(audit.purifications) if b is None else b)
    )


def side(audit: Audit, number: int) -> Side:
    """One side of an audit. Raises `UsageError` if there is no such purification."""
    if not 0 <= number <= len(audit.purifications):
        raise UsageError(
            "there is no model {number}: 0 is the original, and the audit holds "
            "{count:|purification|purifications}",
            number=number, count=len(audit.purifications),
        )  # fmt: skip
    made = audit.purifications[number - 1] if number else None
    return Side(number, audit if made is None else made.rescan, made)


def purification_of(audit: Audit, path: Path, run: int | None) -> Purification:
    """Purification ``run`` of the audit in ``path``, from 1; None for the last.

    Raises `UsageError` if there is none of that number.
    """
    if not audit.purifications:
        raise UsageError("{path}: holds no purification", path=path)
    made = side(audit, len(audit.purifications) if run is None else run).purification
    if made is None:
        raise UsageError("the original is no purification: give --run 1 or more")
    return made
