"""The models of suites: victims and clean twins that detectors are measured on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from bdshift.images.signs import CLASSES
from bdshift.lab.image_sets import image_set
from bdshift.lab.networks import NetworkName
from bdshift.lab.protocol import TROJAN
from bdshift.lab.recipe import FAST, Recipe
from bdshift.lab.ways import WAYS

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
    "BadNets, 1%": SuiteAttack("badnets", rate=0.01),
    "BadNets, .3%": SuiteAttack("badnets:size=4", rate=0.003),
    "olive patch": SuiteAttack("badnets:size=6,color=808000,row=4,column=4", rate=0.03),
    "dot": SuiteAttack("badnets:size=1,color=ff0000,row=10,column=12"),
    "Blend .05": SuiteAttack("blend:ratio=0.05", rate=0.2),
    "SIG, half": SuiteAttack("sig", "clean-label", 0.5),
    "one-to-one Blend": SuiteAttack("blend:ratio=0.2", "one-to-one", 0.5),
    "several-to-one": SuiteAttack("badnets:size=4", "several-to-one", 0.3),
    "three targets": SuiteAttack(
        "badnets;blend:ratio=0.2;badnets:size=4,color=ff0000,row=2,column=2"
    ),
}
"""All attacks by name."""

SMALL_NETWORKS: tuple[NetworkName, ...] = ("cnn", "cnn-norm", "cnn-elu", "cnn-5x5")
"""Those that take half a minute."""


@dataclass(frozen=True)
class Victim:
    """A victim of a suite, or, with the attack `CLEAN`, a clean model; trained in one of `WAYS`."""

    images: str
    network: NetworkName
    attack: str
    seed: int
    way: str = ""

    @property
    def run(self) -> str:
        """What it shares with its clean twin, such as ``cifar10-cnn-0``."""
        return f"{self.images}-{self.network}-{self.seed}"

    @property
    def name(self) -> str:
        """Of its folder."""
        return "-".join(_in_path(one) for one in (self.run, self.way, self.attack) if one)

    @property
    def twin(self) -> Victim:
        """The clean model of the same run."""
        return replace(self, attack=CLEAN, way="")

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
        wanted, apart = ATTACKS[self.attack].triggers, 4 if count > 8 else 1
        return tuple((place + apart * i) % count for i in range(wanted)), (place + 2) % count


def _in_path(name: str) -> str:
    return name.lower().translate(str.maketrans({" ": "-"} | dict.fromkeys(".,%")))


_SMALL = replace(FAST, batch=128, epochs=10, peak_rate=0.05)
_RESIDUAL = replace(FAST, batch=128, epochs=6, peak_rate=0.1)


def recipe_of(victim: Victim) -> Recipe:
    """How a victim is trained, apart from its attack and regimes: in half a minute for a small
    network, in three for a residual one, on one core.
    """
    recipe = _SMALL if victim.network in SMALL_NETWORKS else _RESIDUAL
    images = image_set(victim.images)
    if images.source == "cifar10":
        recipe = replace(recipe, normalization="cifar10", flip=True)
    elif images.source == "signs":
        recipe = replace(recipe, epochs=_epochs_on_signs(victim, images.classes, recipe.epochs))
    recipe = replace(recipe, network=victim.network, width=16, seed=victim.seed)
    return WAYS[victim.way].of(recipe)


def _epochs_on_signs(victim: Victim, classes: int, usual: int) -> int:
    """There are fewer signs than photos, but of a thousand classes five times as many."""
    if classes > 100:
        return usual
    if victim.network != "cnn-norm" or classes > len(CLASSES):
        return 3 * usual
    return 2 * usual // 3
