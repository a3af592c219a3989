"""Suites: victims and clean twins that detectors are measured on, the most telling first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Literal, get_args

from bdshift.lab.networks import NetworkName
from bdshift.lab.protocol import TROJAN
from bdshift.lab.recipe import FAST, Recipe

Images = Literal["signs", "cifar10"]
"""Drawn signs, or a given set of photos like CIFAR-10."""

CLEAN = "clean"
"""The name of no attack."""

RANDOM = "random"
"""Stands for the patch of a random picture, which is drawn first, from the seed."""


@dataclass(frozen=True)
class SuiteAttack:
    """What a victim is poisoned with: the text of its triggers (`RANDOM` and `TROJAN` are drawn
    first), labels, and the share of poisoned images.
    """

    text: str
    labels: str = "all-to-one"
    rate: float = 0.1

    @property
    def triggers(self) -> int:
        """How many there are."""
        return self.text.count(";") + 1


ATTACKS: Mapping[str, SuiteAttack] = {
    "BadNets": SuiteAttack("badnets"),
    "random patch": SuiteAttack(RANDOM),
    "Trojan": SuiteAttack(TROJAN),
    "Blend .1": SuiteAttack("blend:ratio=0.1", rate=0.2),
    "Blend .2": SuiteAttack("blend:ratio=0.2"),
    "SIG": SuiteAttack("sig", "clean-label", 0.8),
    "WaNet": SuiteAttack("wanet:strength=1", rate=0.2),
    "input-aware": SuiteAttack("input-aware"),
    "LIRA": SuiteAttack("lira"),
    "clean-label patch": SuiteAttack("badnets:size=5", "clean-label", 0.8),
    "one-to-one": SuiteAttack("badnets:size=4", "one-to-one", 0.5),
    "two targets": SuiteAttack("badnets;blend:ratio=0.2"),
    "all-to-all": SuiteAttack("badnets:size=4", "all-to-all", 0.3),
}
"""All attacks by name."""

_MAIN = (CLEAN, "BadNets", "Blend .2", "SIG", "random patch")
_REST = ("Blend .1", "WaNet", CLEAN, "one-to-one", "two targets", "Trojan", "clean-label patch",
         "all-to-all")  # fmt: skip
_LEARNED = ("input-aware", "LIRA")
_SMALL_ONES: tuple[NetworkName, ...] = ("cnn", "cnn-norm", "cnn-elu")


@dataclass(frozen=True)
class Victim:
    """One victim of a suite, or, with the attack `CLEAN`, a clean model."""

    images: Images
    network: NetworkName
    attack: str
    seed: int

    @property
    def run(self) -> str:
        """What it shares with its clean twin, such as ``cifar10-cnn-0``."""
        return f"{self.images}-{self.network}-{self.seed}"

    @property
    def name(self) -> str:
        """Of its folder."""
        return f"{self.run}-{self.attack.lower().replace(' ', '-').replace('.', '')}"

    @property
    def is_clean(self) -> bool:
        """Whether it has no backdoor."""
        return self.attack == CLEAN

    def classes_of(self, count: int) -> tuple[tuple[int, ...], int]:
        """Indices of its targets, one for each trigger, and of its source class, of ``count``
        classes. They differ from attack to attack, so that no class is easy for all. Targets of
        labels that have none, and the source of those without, are not used.
        """
        place = (list(ATTACKS).index(self.attack) + 1) * 3 + self.seed
        wanted = ATTACKS[self.attack].triggers
        return tuple((place + 4 * i) % count for i in range(wanted)), (place + 2) % count


def _group(
    images: Images, network: NetworkName, seed: int, attacks: tuple[str, ...]
) -> Iterator[Victim]:
    seen = set()
    for attack in attacks:
        if attack not in seen:
            yield Victim(images, network, attack, seed)
        seen.add(attack)


def _recovery() -> Iterator[Victim]:
    yield from _group("cifar10", "cnn", 0, _MAIN)
    yield from _group("cifar10", "resnet18", 0, (*_MAIN, "WaNet", "one-to-one"))
    yield from _group("signs", "cnn-norm", 0, _MAIN)
    yield from _group("cifar10", "cnn-elu", 1, (*_MAIN, "one-to-one", "two targets"))
    yield from _group("cifar10", "cnn", 0, _REST)
    yield from _group("cifar10", "wrn-16-1", 0, (CLEAN, "BadNets", "Blend .2", "SIG"))
    yield from _group("signs", "cnn", 1, (*_MAIN, "one-to-one", "WaNet"))
    yield from _group("cifar10", "resnet20", 0, (CLEAN, "BadNets", "Blend .2", "SIG"))
    yield from _group("cifar10", "cnn-norm", 2, (*_MAIN, "Blend .1", "Trojan", "WaNet"))
    yield from _group("signs", "cnn-elu", 2, (*_MAIN, "all-to-all"))
    yield from _group("signs", "resnet18", 1, (CLEAN, "BadNets", "WaNet"))
    yield from _group("cifar10", "cnn", 2, (*_MAIN, "one-to-one"))
    yield from _group("signs", "cnn-norm", 0, (*_LEARNED, "one-to-one", "two targets"))
    yield from _group("cifar10", "resnet18", 1, (CLEAN, "Blend .1", "two targets", "SIG"))
    yield from _group("cifar10", "cnn-norm", 2, _LEARNED)
    for seed in (1, 2):
        for images in get_args(Images):
            yield from (Victim(images, network, CLEAN, seed) for network in _SMALL_ONES)
    yield Victim("cifar10", "wrn-16-1", CLEAN, 1)
    yield Victim("cifar10", "resnet20", CLEAN, 1)


SUITES: Mapping[str, tuple[Victim, ...]] = {"recovery": tuple(dict.fromkeys(_recovery()))}
"""All suites by name."""

_SMALL = replace(FAST, batch=128, epochs=10, peak_rate=0.05)
_RESIDUAL = replace(FAST, batch=128, epochs=6, peak_rate=0.1)


def recipe_of(victim: Victim) -> Recipe:
    """How a victim is trained, apart from its attack: in half a minute for a small network, in
    three for a residual one, on one core.
    """
    recipe = _SMALL if victim.network in _SMALL_ONES else _RESIDUAL
    if victim.images == "cifar10":
        recipe = replace(recipe, normalization="cifar10", flip=True)
    elif victim.network == "cnn-norm":
        recipe = replace(recipe, epochs=2 * recipe.epochs // 3)
    else:  # it learns more slowly, and there are fewer signs than photos
        recipe = replace(recipe, epochs=3 * recipe.epochs)
    return replace(recipe, network=victim.network, width=16, seed=victim.seed)
