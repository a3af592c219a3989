"""The ingredients of the papers' tables: victims, methods, seeds, at several scales."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, Literal

from bdshift.lab.published import RESNET18, RESNET50, Published
from bdshift.lab.recipe import FAST, PAPER, Recipe
from bdshift.purification import METHODS, Method

Row = dict[str, Any]
"""A row of the tables or the ablations, as its JSON file has it."""

TARGET = 0
"""Index of the target class, as in the paper."""

SHARE = 0.05
"""Share of the training images that is used as the clean set, as in the paper."""

TROJAN = "trojan"
"""The attack whose trigger is drawn first, from a clean model (`bdshift.lab.trojan`)."""


@dataclass(frozen=True)
class Attack:
    """What a victim is poisoned with: a trigger's text or `TROJAN`, the index of the target class,
    and the share of poisoned images.
    """

    text: str
    target: int = TARGET
    rate: float = 0.1


@dataclass(frozen=True)
class TableScale:
    """A size at which the tables are made.

    Attributes:
        name: of the scale.
        summary: what its victims are, in a few words.
        recipe: of every victim, except for its attack and seed.
        attacks: by their names in the tables.
        more: those with lower rates (Table 6) and other targets (Figure 5), run only when named.
        methods: texts by name, in the order of the methods.
        ours: the name of our method among them.
        as_published: texts of methods with the flaws of their published code, run only when named.
        published: what the paper prints for this network.
        share: of the training images that is used as the clean set.
        drawn_on: recipe of the clean model that the Trojan patch is drawn on, if another one than
            ``recipe``.
    """

    name: str
    summary: str
    recipe: Recipe
    attacks: dict[str, Attack]
    more: dict[str, Attack]
    methods: dict[str, str]
    ours: str
    as_published: dict[str, str]
    published: Published
    share: float = SHARE
    drawn_on: Recipe | None = None

    def method(self, name: str) -> Method:
        """One of either kind, with its settings."""
        return METHODS.parse(self.every_method[name])

    @property
    def every_method(self) -> dict[str, str]:
        """Methods of both kinds."""
        return self.methods | self.as_published


ATTACKS = {
    "BadNets": Attack("badnets"),
    "Trojan": Attack(TROJAN),
    "Blend": Attack("blend:ratio=0.2"),
    "WaNet": Attack("wanet"),
}

MORE = {
    f"{name} rate {rate:g}": replace(ATTACKS[name], rate=rate)
    for rate in (0.01, 0.05)
    for name in ("BadNets", "Trojan", "Blend")
} | {
    f"{name} to {target}": replace(attack, target=target)
    for name, attack in ATTACKS.items()
    for target in range(1, 10)
}


def _on_cifar(recipe: Recipe) -> Recipe:
    return replace(recipe, normalization="cifar10", translate=4, flip=True)


_SMALL, _PAPER = _on_cifar(replace(FAST, epochs=10)), _on_cifar(PAPER)
_SHORT = _on_cifar(replace(FAST, width=PAPER.width))  # one cycle, which is as good in fewer epochs
_SHORT_EPOCHS = 30, 16
_CHEAP = replace(_SHORT, epochs=8, batch=128, peak_rate=0.1, sizes="16,16,16,24,24,24")
"""Three fifths of the computing of eight usual epochs: an hour or more of one core."""


def _rows(which: Literal["table_rows", "published_rows"], *, quick: bool = False) -> dict[str, str]:
    """Methods' texts by their names in the tables, in the order of the methods."""
    found: dict[str, str] = {}
    for kind in METHODS.kinds():
        others = dict(kind.quick_rows) if quick else {}
        found |= {name: others.get(name, text) for name, text in getattr(kind, which)}
    return found


def _scale(
    name: str, summary: str, recipe: Recipe, published: Published = RESNET18, *,
    quick: bool = False, drawn_on: Recipe | None = None,
) -> TableScale:  # fmt: skip
    [ours] = [kind.our_row for kind in METHODS.kinds() if kind.our_row]
    return TableScale(
        name, summary, recipe, ATTACKS, MORE, _rows("table_rows", quick=quick), ours,
        _rows("published_rows", quick=quick), published, drawn_on=drawn_on,
    )  # fmt: skip


@cache
def scales() -> Mapping[str, TableScale]:
    """All scales by name."""
    narrow = replace(RESNET18, before={}, norms={})  # of another width, they are other numbers
    made = [
        _scale("small", "a narrow ResNet-18, for a CPU", _SMALL, narrow, quick=True),
        _scale(
            "paper-cpu",
            "the paper's ResNet-18 in 8 epochs, all but the last two on smaller images",
            _CHEAP,
            quick=True,
            drawn_on=replace(_CHEAP, width=_SMALL.width),
        ),
        _scale("paper", "the paper's ResNet-18", _PAPER),
        _scale("paper-50", "its ResNet-50", replace(_PAPER, network="resnet50"), RESNET50),
    ]
    for epochs in _SHORT_EPOCHS:
        short = replace(_SHORT, epochs=epochs)
        deep = replace(short, network="resnet50")
        made += [
            _scale(f"paper-{epochs}", f"the ResNet-18 in {epochs} epochs", short),
            _scale(f"paper-50-{epochs}", f"the ResNet-50 in {epochs} epochs", deep, RESNET50),
        ]
    return {scale.name: scale for scale in made}
