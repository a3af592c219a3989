"""The suite on which the verdict is calibrated and judged, and how it is split.

Two parts were set apart before any method was tried on them. Hold-out are: two networks, two sets
of images, a seed (and so every model that starts from its clean ones), six attacks and three ways
to hide or to train. Whatever has one of these is not in the develop part. Runs of both alternate,
so that a suite that is stopped is of use.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

from bdshift.lab.networks import NetworkName
from bdshift.lab.suite import CLEAN, Victim

Part = Literal["develop", "hold-out"]

_HELD_NETWORKS = ("cnn-5x5", "vgg")
_HELD_IMAGES = ("cifar10-8", "signs-43", "signs-1000")
_HELD_SEEDS = (12,)
_HELD_ATTACKS = ("WaNet", "Trojan", "input-aware", "LIRA", "several-to-one", "three targets")
_HELD_WAYS = ("matched", "even channels", "tuned head")

_Run = tuple[str, NetworkName, int]
_Attack = tuple[str, str]  # way, attack

_DEVELOP: tuple[_Run, ...] = (
    ("cifar10", "cnn-norm", 10), ("signs", "cnn", 10), ("cifar10", "resnet20", 10),
    ("mnist", "cnn", 10), ("cifar10-5", "cnn-elu", 10), ("signs-20", "cnn-norm", 10),
    ("cifar10", "resnet18", 10), ("signs-4", "cnn-norm", 10), ("mnist", "cnn-norm", 10),
    ("cifar10", "cnn", 10), ("signs-100", "cnn-norm", 10), ("cifar10", "wrn-16-1", 10),
    ("cifar10", "cnn-elu", 10), ("signs", "resnet20", 10), ("mnist", "cnn-elu", 10),
    ("cifar10-5", "resnet20", 10), ("signs", "cnn-elu", 10), ("cifar10", "cnn-norm", 11),
    ("signs-20", "resnet20", 10), ("signs-4", "cnn", 10), ("cifar10", "cnn", 11),
    ("signs-100", "resnet20", 10), ("cifar10-5", "cnn-norm", 10), ("cifar10", "resnet20", 11),
)  # fmt: skip

_HOLD_OUT: tuple[_Run, ...] = (
    ("cifar10", "cnn-5x5", 10), ("cifar10", "vgg", 10), ("signs-43", "cnn-norm", 10),
    ("cifar10", "cnn-norm", 12), ("mnist", "cnn-5x5", 10), ("cifar10-8", "resnet20", 10),
    ("cifar10", "cnn", 12), ("cifar10", "resnet18", 12), ("signs", "vgg", 10),
    ("signs-43", "cnn-5x5", 10), ("cifar10-8", "cnn-5x5", 10), ("mnist", "vgg", 10),
)  # fmt: skip

_LARGE: _Run = ("signs-1000", "cnn-norm", 10)
_LARGE_ATTACKS: tuple[_Attack, ...] = (
    ("", "BadNets, 1%"), ("", "Blend .1"), ("", "random patch"), ("", "two targets"),
)  # fmt: skip

_ATTACKS: tuple[_Attack, ...] = (
    ("", "BadNets, 1%"), ("", "Blend .1"), ("", "one-to-one"), ("", "SIG"), ("", "olive patch"),
    ("", "two targets"), ("", "Blend .05"), ("", "clean-label patch"), ("", "random patch"),
    ("", "all-to-all"), ("", "BadNets, .3%"), ("", "SIG, half"), ("hidden shift", "BadNets"),
    ("", "one-to-one Blend"), ("", "dot"), ("", "Blend .2"),
)  # fmt: skip

_HELD: tuple[_Attack, ...] = (
    ("", "WaNet"), ("matched", "BadNets"), ("", "several-to-one"), ("", "Trojan"),
    ("tuned head", "BadNets"), ("", "LIRA"), ("", "three targets"), ("even channels", "BadNets"),
    ("", "input-aware"),
)  # fmt: skip

_TUNED = ("BadNets", "Blend .2", "olive patch", "one-to-one", "random patch")

_CLEAN_WAYS = ("fine-tuned", "imbalanced", "pruned", "natural", "short", "label noise",
               "quantized", "adversarial", "long", "distilled", "wide", "natural, often",
               "narrow")  # fmt: skip


def _some(values: Sequence[_Attack], start: int, count: int) -> Iterator[_Attack]:
    return (values[(start + i) % len(values)] for i in range(count))


def _models(number: int, run: _Run, attacks: Iterator[_Attack]) -> Iterator[Victim]:
    """A clean model, three clean ones that were trained in other ways, victims, and a victim that
    starts from the clean model.
    """
    images, network, seed = run
    yield Victim(images, network, CLEAN, seed)
    yield from (Victim(images, network, attack, seed, way) for way, attack in attacks)
    yield Victim(images, network, _TUNED[number % len(_TUNED)], seed, "fine-tuned")
    for i in range(3):
        yield Victim(images, network, CLEAN, seed, _CLEAN_WAYS[(3 * number + i) % len(_CLEAN_WAYS)])


def verdict_models() -> Iterator[Victim]:
    """All of them."""
    pairs = zip(_DEVELOP[::2], _DEVELOP[1::2], _HOLD_OUT, strict=True)
    for number, (first, second, held) in enumerate(pairs):
        yield from _models(2 * number, first, _some(_ATTACKS, 8 * number, 4))
        yield from _models(2 * number + 1, second, _some(_ATTACKS, 8 * number + 4, 4))
        unlike = [*_some(_HELD, 2 * number, 3), *_some(_ATTACKS, 5 * number, 2)]
        yield from _models(number + 1, held, iter(unlike))
    yield from _models(1, _LARGE, iter(_LARGE_ATTACKS))


def part_of(model: Victim) -> Part:
    """Where a model of this suite belongs."""
    held = (
        model.network in _HELD_NETWORKS
        or model.images in _HELD_IMAGES
        or model.seed in _HELD_SEEDS
        or model.attack in _HELD_ATTACKS
        or model.way in _HELD_WAYS
    )
    return "hold-out" if held else "develop"
