"""What all purification methods have in common: hyperparameters in the constructor, and one
generator of steps.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from bdshift.errors import UsageError
from bdshift.purification.workbench import Workbench
from bdshift.registry import Configured, Registry
from bdshift.setting import setting
from bdshift.words import Sentence, words

Variant = Literal["fixed", "reference"]
"""Form of a method whose published code is flawed: with the flaws fixed, or as published. Choices
that the code makes by test images or attack success have no reference form here: no method is given
those.
"""


@dataclass(frozen=True)
class Step:
    """The state of a method after an epoch, or after one thing that it tried.

    Attributes:
        number: from 0.
        score: how good the network is now, judged by held-out clean images alone; the best is kept.
            None in the middle of the work, when the network is of no use.
        figures: what to show, by the names of `bdshift.purification.quantities`.
        final: whether this must be the result, even if an earlier step scored better.
    """

    number: int
    score: float | None
    figures: dict[str, float]
    final: bool = False


@dataclass(frozen=True)
class Method(Configured, ABC):
    """A way to remove a backdoor from ``bench.network``.

    `steps` changes the network and yields a `Step` after each stretch of work. Nothing is ever sent
    back into it, so what is measured between two steps for a report cannot reach it. Everything
    that it needs after a crash it stores in ``bench.state`` before it yields: called with such a
    state, it continues from there and ends with the same weights, bit for bit. If it can tell the
    backdoor's neurons from others, it leaves ``bench.state["ranking"]``, float (d,): the more
    suspicious a neuron of the embedding, the higher.

    `place` follows the time that methods take: all of them are run in that order.

    Attributes:
        sees_trigger: whether it unlearns a trigger, and is given images with it
            (`bdshift.purification.clean_data.Triggered`).
        takes_neurons: the setting for neurons selected by hand, such as "3+17"; "" without one.
        table_rows: its rows in the papers' tables: names, and the methods' texts.
        published_rows: rows of it as published, where its published code is flawed.
        quick_rows: other texts for some of these rows, for tables that are made on a CPU.
        ranks_by_shift: whether it ranks the neurons by the shift, which is known already.
        our_row: the one of `table_rows` that is this project's own result, shown for lower rates
            and other targets, too; "" for every method but one.
        drawn_as: what its ranking is called in a figure of it; "" if there is none.
    """

    sees_trigger: ClassVar[bool] = False
    takes_neurons: ClassVar[str] = ""
    table_rows: ClassVar[tuple[tuple[str, str], ...]] = ()
    published_rows: ClassVar[tuple[tuple[str, str], ...]] = ()
    quick_rows: ClassVar[tuple[tuple[str, str], ...]] = ()
    ranks_by_shift: ClassVar[bool] = False
    our_row: ClassVar[str] = ""
    drawn_as: ClassVar[str] = ""

    @abstractmethod
    def steps(self, bench: Workbench) -> Iterator[Step]:
        """Do the work."""

    @property
    @abstractmethod
    def total(self) -> int:
        """The largest number of steps."""

    @property
    def needs_trigger(self) -> bool:
        """Whether it does nothing without images with a trigger."""
        return self.sees_trigger

    def conclusion(self, steps: Sequence[Step], kept: Step) -> Sentence | None:
        """What the method itself says of its result, from its steps and the one that was kept;
        None if the figures say it all.
        """
        return None


def needs_one(name: str) -> UsageError:
    """What is wrong if a method, by its name, needs a trigger and has none."""
    return UsageError(
        "{method} unlearns a trigger, so it needs one: a known one, or one that was recovered",
        method=name,
    )


def diverged(method: Method) -> UsageError:
    """What is wrong if a method led to numbers that are not finite."""
    return UsageError("{method}: training diverged; try a smaller rate", method=method.spec)


METHODS: Registry[Method] = Registry(words("method", ja="手法"), "bdshift.purification.methods")
"""Every method, by its name in a method's text."""


def variant_setting(help: str) -> Any:
    """Whether the published code's flaws are fixed; ``help`` says which ones."""
    return setting("fixed", words("Form", ja="形式"), help)


def tolerance_setting(default: float, help: str) -> Any:
    """How much held-out accuracy a cut or an epoch may cost."""
    return setting(
        default, words("Maximum accuracy loss", ja="許容する正解率の低下"), help, low=0, high=1,
        step=0.01, decimals=3,
    )  # fmt: skip
