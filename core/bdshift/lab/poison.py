"""The backdoors of a victim: triggers, and the images that they are applied to.

An attack is written as text: a trigger, or several joined by ``;`` (``badnets;blend:ratio=0.1``),
each with its own target, in the same order. How labels change is one of
`bdshift.triggers.labeling.LABELINGS`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch

from bdshift.errors import UsageError
from bdshift.spec import split_specs
from bdshift.triggers import Trigger, parse_trigger
from bdshift.triggers.labeling import LABELINGS, Labeling, Roles

_BATCH = 1000


@dataclass(frozen=True)
class Backdoor:
    """One trigger, what it does to labels, and the classes involved."""

    trigger: Trigger
    labeling: Labeling
    roles: Roles

    def to_poison(self, labels: torch.Tensor) -> torch.Tensor:
        """Rows of ``labels``, int64 (n,), that may be poisoned in training."""
        return self.labeling.to_poison(labels, self.roles)

    def to_attack(self, labels: torch.Tensor) -> torch.Tensor:
        """Rows on which success is counted: never those already of the target class."""
        return self.labeling.to_attack(labels, self.roles)

    def wanted(self, labels: torch.Tensor) -> torch.Tensor:
        """The classes that triggered images of ``labels`` should be classified as."""
        return self.labeling.wanted(labels, self.roles)


def read_backdoors(
    attack: str, labels: str, target: str, source: str, names: Sequence[str]
) -> tuple[Backdoor, ...]:
    """The backdoors that a recipe asks for; ``target`` and ``source`` are names of classes.

    Raises `UsageError` if they do not fit together, or are not among ``names``.
    """
    if not attack:
        return ()
    labeling = LABELINGS.parse(labels)
    triggers = [parse_trigger(text) for text in split_specs(attack)]
    if not triggers:
        raise UsageError("the attack {attack} names no trigger", attack=repr(attack))
    for trigger in triggers:
        _check(trigger, labeling, len(triggers))
    if target and not labeling.has_target:
        raise UsageError("{labels} has no target class (--target)", labels=labels)
    if labeling.has_target:
        targets = [_index(name, names) for name in target.split(";")]
    else:
        targets = [-1] * len(triggers)
    if len(targets) != len(triggers):
        raise UsageError(
            "{count:|trigger needs|triggers need} as many targets", count=len(triggers)
        )
    if labeling.has_source and not source:
        raise UsageError("{labels} needs a source class (--source)", labels=labels)
    if source and not labeling.has_source:
        raise UsageError("{labels} has no source class (--source)", labels=labels)
    found = _index(source, names) if source else -1
    if source and found in targets:
        raise UsageError("the source class cannot be the target")
    return tuple(
        Backdoor(trigger, labeling, Roles(to, found, len(names)))
        for trigger, to in zip(triggers, targets, strict=True)
    )


def _check(trigger: Trigger, labeling: Labeling, count: int) -> None:
    """Raise `UsageError` if no victim can be trained with it this way."""
    if trigger.alone and (count > 1 or labeling.keeps_labels):
        raise UsageError(
            "{trigger} must be the only trigger, and changes labels", trigger=trigger.name
        )
    trigger.check_trainable()


def _index(name: str, names: Sequence[str]) -> int:
    """Index of a class, by its name or its number."""
    if name in names:
        return names.index(name)
    if name.isdecimal() and int(name) < len(names):
        return int(name)
    raise UsageError(
        "there is no class {name}; the classes are {names}", name=repr(name), names=tuple(names)
    )


def poison(
    pixels: torch.Tensor,
    labels: torch.Tensor,
    backdoors: Sequence[Backdoor],
    rate: float,
    cover: float,
    seed: int,
) -> int:
    """Change images and labels in place, uint8 (n, 3, H, W) and int64 (n,); returns how many were
    poisoned.

    Every backdoor gets a share ``rate`` of all images, or of the class that it poisons; no image
    gets two. Triggers that have cover images get a share ``cover`` of all images, taken from the
    rest. Pixels are rounded after they are clipped, so nothing wraps around.

    Raises `UsageError` if there are too few images.
    """
    rng = torch.Generator().manual_seed(seed)
    free = torch.ones(len(labels), dtype=torch.bool, device=labels.device)
    original = labels.clone()
    count = 0
    for backdoor in backdoors:
        rows = backdoor.to_poison(original)
        base = len(rows) if backdoor.labeling.rate_of_class else len(labels)
        wanted = round(rate * base)
        rows = rows[free[rows]]
        if not 0 < wanted <= len(rows):
            raise UsageError(
                "a poison rate of {rate:g} is {wanted:|image|images}; there are {count} to poison",
                rate=rate, wanted=wanted, count=len(rows),
            )  # fmt: skip
        rows = rows[torch.randperm(len(rows), generator=rng)[:wanted].to(rows.device)]
        trigger = backdoor.trigger
        for part in rows.split(_BATCH):
            pixels[part] = trigger(pixels[part].float()).round_().to(torch.uint8)
        if not backdoor.labeling.keeps_labels:
            labels[rows] = backdoor.wanted(original[rows])
        free[rows] = False
        count += wanted
        if trigger.has_cover and cover:
            rest = torch.nonzero(free)[:, 0]
            some = torch.randperm(len(rest), generator=rng)[: round(cover * len(labels))]
            rows = rest[some.to(rest.device)]
            for part in rows.split(_BATCH):
                pixels[part] = trigger.cover(pixels[part].float(), rng).round_().to(torch.uint8)
            free[rows] = False
    return count


def triggered(
    pixels: torch.Tensor, labels: torch.Tensor, backdoor: Backdoor
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Batches of test images with the trigger, as they would come from a file, and the classes that
    they should be classified as.
    """
    for rows in backdoor.to_attack(labels).split(_BATCH):
        images = backdoor.trigger(pixels[rows].float()).round_()
        yield images, backdoor.wanted(labels[rows])
