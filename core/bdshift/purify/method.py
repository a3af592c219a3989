"""What every purification method is: hyperparameters in the constructor, one generator of steps."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Literal

from bdshift.errors import UsageError
from bdshift.purify.workbench import Workbench
from bdshift.spec import write_spec

Form = Literal["fixed", "reference"]
"""Of a method whose published code is flawed: mended, or as published. What code chooses by test
images or attack success has no reference form here: no method is given those.
"""


@dataclass(frozen=True)
class Step:
    """Where a method stands after an epoch, or after one thing that it tried.

    Attributes:
        number: from 0.
        score: how good the network is now, from held-out clean images alone; the best is kept. None
            if it is amid its work, and nobody would want it as it is.
        figures: what to show: losses, held-out accuracy, norms.
        final: whether this must be the result, whatever scored better before.
    """

    number: int
    score: float | None
    figures: dict[str, float]
    final: bool = False


@dataclass(frozen=True)
class Method(ABC):
    """A way to take a backdoor out of ``bench.network``.

    `steps` changes the network and yields a `Step` after each stretch of work; nothing is ever sent
    back into it, so what is measured for a report between two steps cannot reach it. All that it
    must find again after a crash it keeps in ``bench.state`` before it yields: called with such a
    state it goes on from there, and ends with the same weights, bit for bit. If it tells neurons of
    the backdoor from others, it leaves ``bench.state["ranking"]``, float (d,): the more suspicious
    a neuron of the embedding, the higher.
    """

    name: ClassVar[str]

    @abstractmethod
    def steps(self, bench: Workbench) -> Iterator[Step]:
        """Do the work."""

    @property
    def spec(self) -> str:
        """The text that `bdshift.purify.parse_method` turns back into this method."""
        return write_spec(self.name, self)

    @property
    @abstractmethod
    def total(self) -> int:
        """How many steps there will be at most."""


def check_form(name: str, form: str) -> None:
    """Raise `UsageError` if it is no `Form`."""
    if form not in ("fixed", "reference"):
        raise UsageError(f"{name}: form is fixed or reference, not {form!r}")


def check_tolerance(tolerance: float) -> None:
    """Raise `UsageError` if it is no share."""
    if not 0 <= tolerance <= 1:
        raise UsageError(f"tolerance is a share from 0 to 1, not {tolerance}")
