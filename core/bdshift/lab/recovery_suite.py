"""The suite on which the searches for triggers are measured, the most telling models first."""

from __future__ import annotations

from collections.abc import Iterator

from bdshift.lab.networks import NetworkName
from bdshift.lab.suite import CLEAN, Victim

_MAIN = (CLEAN, "BadNets", "Blend .2", "SIG", "random patch")
_REST = ("Blend .1", "WaNet", CLEAN, "one-to-one", "two targets", "Trojan", "clean-label patch",
         "all-to-all")  # fmt: skip
_LEARNED = ("input-aware", "LIRA")
_SMALL: tuple[NetworkName, ...] = ("cnn", "cnn-norm", "cnn-elu")


def _group(
    images: str, network: NetworkName, seed: int, attacks: tuple[str, ...]
) -> Iterator[Victim]:
    for attack in dict.fromkeys(attacks):
        yield Victim(images, network, attack, seed)


def recovery_models() -> Iterator[Victim]:
    """All of them; some come twice."""
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
        for images in ("signs", "cifar10"):
            yield from (Victim(images, network, CLEAN, seed) for network in _SMALL)
    yield Victim("cifar10", "wrn-16-1", CLEAN, 1)
    yield Victim("cifar10", "resnet20", CLEAN, 1)
    for seed in (1, 2):  # three seeds of those that had one
        yield from _group(
            "signs", "cnn-norm", seed,
            (CLEAN, "Trojan", *_LEARNED, "all-to-all", "clean-label patch", "WaNet"),
        )  # fmt: skip
