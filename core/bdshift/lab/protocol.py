"""The ingredients of the papers' tables: victims, methods, seeds, at several scales."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Literal

from bdshift.lab.recipe import FAST, PAPER, Recipe
from bdshift.purify import METHODS, Method

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
    """

    name: str
    summary: str
    recipe: Recipe
    attacks: dict[str, Attack]
    more: dict[str, Attack]
    methods: dict[str, str]
    ours: str
    as_published: dict[str, str]

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


def _rows(which: Literal["table_rows", "published_rows"], *, quick: bool = False) -> dict[str, str]:
    """Methods' texts by their names in the tables, in the order of the methods."""
    found: dict[str, str] = {}
    for kind in METHODS.kinds():
        others = dict(kind.quick_rows) if quick else {}
        found |= {name: others.get(name, text) for name, text in getattr(kind, which)}
    return found


def _scale(name: str, summary: str, recipe: Recipe, *, quick: bool = False) -> TableScale:
    [ours] = [kind.our_row for kind in METHODS.kinds() if kind.our_row]
    return TableScale(
        name, summary, recipe, ATTACKS, MORE, _rows("table_rows", quick=quick), ours,
        _rows("published_rows", quick=quick),
    )  # fmt: skip


@cache
def scales() -> Mapping[str, TableScale]:
    """All scales by name."""
    made = (
        _scale("small", "a narrow ResNet-18, for a CPU", _SMALL, quick=True),
        _scale("paper", "the paper's ResNet-18", _PAPER),
        _scale("paper-50", "its ResNet-50", replace(_PAPER, network="resnet50")),
    )
    return {scale.name: scale for scale in made}


PUBLISHED: dict[str, dict[str, tuple[float, float, float]]] = {
    "FP": {
        "BadNets": (0.9364, 1.0, 0.4992), "Trojan": (0.9346, 0.0204, 0.9871),
        "Blend": (0.9313, 0.1296, 0.9340), "WaNet": (0.9337, 0.0081, 0.9937),
    },
    "CLP": {
        "BadNets": (0.9130, 0.3310, 0.8220), "Trojan": (0.8397, 0.0119, 0.9439),
        "Blend": (0.9009, 0.3046, 0.8313), "WaNet": (0.1023, 1.0, 0.0841),
    },
    "TSBD": {
        "BadNets": (0.9069, 0.1253, 0.9217), "Trojan": (0.9012, 0.0357, 0.9628),
        "Blend": (0.8876, 0.0366, 0.9586), "WaNet": (0.8785, 0.7928, 0.5738),
    },
    "the paper's settings": {
        "BadNets": (0.9255, 0.0573, 0.9650), "Trojan": (0.9244, 0.0067, 0.9889),
        "Blend": (0.9182, 0.0148, 0.9848), "WaNet": (0.9246, 0.0046, 0.9909),
    },
}  # fmt: skip
"""Table 4 of Iwahana et al. (2025), ResNet-18 of width 64: ACC, ASR, DER."""

PUBLISHED_RATES: dict[str, tuple[float, float, float]] = {
    "BadNets rate 0.01": (0.9207, 0.1791, 0.9018), "Trojan rate 0.01": (0.9215, 0.0207, 0.9806),
    "Blend rate 0.01": (0.9158, 0.0030, 0.9717), "BadNets rate 0.05": (0.9147, 0.0249, 0.9735),
    "Trojan rate 0.05": (0.9205, 0.0109, 0.9847), "Blend rate 0.05": (0.9166, 0.0134, 0.9813),
}  # fmt: skip
"""Its Table 6, shift tuning: ACC, ASR, DER."""

PUBLISHED_COSINES: dict[str, dict[str, float]] = {
    "FP": {"BadNets": -0.0135, "Trojan": 0.0044, "Blend": -0.2168, "WaNet": -0.3478},
    "CLP": {"BadNets": -0.1019, "Trojan": -0.0820, "Blend": -0.1104, "WaNet": -0.1395},
    "TSBD": {"BadNets": 0.8026, "Trojan": 0.7458, "Blend": -0.1580, "WaNet": 0.6447},
    "shift": {"BadNets": 0.9294, "Trojan": 0.9211, "Blend": 0.9087, "WaNet": 0.7170},
}
"""Its Table 1: cosine of each method's neurons with TAC, ResNet-18."""
