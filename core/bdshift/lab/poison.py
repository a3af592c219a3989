"""Which images get a trigger, and what they are labeled with.

An attack is written as text: a trigger, or several joined by ``;`` (``badnets;blend:ratio=0.1``),
each with a target of its own, in the same order. How labels change:

=============  ===================================  ==============================================
labels         images that are poisoned             their label becomes
=============  ===================================  ==============================================
all-to-one     of all classes but the target        the target
one-to-one     of the source class                  the target
all-to-all     of all classes                       the next class, the last one's the first
clean-label    of the target                        stays
=============  ===================================  ==============================================
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import torch

from bdshift.errors import UsageError
from bdshift.triggers import Trigger, WaNet, parse_trigger
from bdshift.triggers.learned import Learned

Labels = Literal["all-to-one", "one-to-one", "all-to-all", "clean-label"]


@dataclass(frozen=True)
class Backdoor:
    """One trigger and what it does to labels.

    Attributes:
        trigger: what is done to pixels.
        labels: as the table above has them.
        target: index of the class that triggered images are sent to; −1 for all-to-all.
        source: index of the class that it works on in one-to-one, else −1.
        classes: their number.
    """

    trigger: Trigger
    labels: Labels
    target: int
    source: int
    classes: int

    def to_poison(self, labels: torch.Tensor) -> torch.Tensor:
        """Rows of ``labels``, int64 (n,), that may be poisoned in training."""
        if self.labels == "clean-label":
            return torch.nonzero(labels == self.target)[:, 0]
        return self.to_attack(labels)

    def to_attack(self, labels: torch.Tensor) -> torch.Tensor:
        """Rows on which success is counted: never those that are of the target already."""
        if self.labels == "all-to-all":
            return torch.arange(len(labels), device=labels.device)
        if self.labels == "one-to-one":
            return torch.nonzero(labels == self.source)[:, 0]
        return torch.nonzero(labels != self.target)[:, 0]

    def wanted(self, labels: torch.Tensor) -> torch.Tensor:
        """The classes that triggered images of ``labels`` are meant to be taken for."""
        if self.labels == "all-to-all":
            return (labels + 1) % self.classes
        return torch.full_like(labels, self.target)


def read_backdoors(
    attack: str, labels: str, target: str, source: str, names: Sequence[str]
) -> tuple[Backdoor, ...]:
    """The backdoors that a recipe asks for; ``target`` and ``source`` are names of classes.

    Raises `UsageError` if they do not fit together, or into ``names``.
    """
    if not attack:
        return ()
    if labels not in get_args(Labels):
        raise UsageError(f"labels are one of {', '.join(get_args(Labels))}, not {labels!r}")
    triggers = [parse_trigger(text) for text in attack.split(";")]
    for trigger in triggers:
        if isinstance(trigger, Learned) and (len(triggers) > 1 or labels == "clean-label"):
            raise UsageError(f"{trigger.attack} is learned alone, and changes labels")
        if isinstance(trigger, Learned) and trigger.file:
            raise UsageError(f"{trigger.attack} is learned with its victim; leave out file=")
    everything = labels == "all-to-all"
    targets = [-1] * len(triggers) if everything else [_index(t, names) for t in target.split(";")]
    if (everything and target) or len(targets) != len(triggers):
        raise UsageError(f"{len(triggers)} triggers need as many targets, all-to-all none")
    one = labels == "one-to-one"
    if one != bool(source):
        raise UsageError(
            "one-to-one needs a source class (--source)" if one
            else "a source class (--source) is for one-to-one alone"
        )  # fmt: skip
    found = _index(source, names) if one else -1
    if found in targets and one:
        raise UsageError("the source class cannot be the target")
    kind: Labels = labels  # type: ignore[assignment]
    return tuple(
        Backdoor(trigger, kind, to, found, len(names))
        for trigger, to in zip(triggers, targets, strict=True)
    )


def _index(name: str, names: Sequence[str]) -> int:
    """Of a class by its name, or by its number."""
    if name in names:
        return names.index(name)
    if name.isdecimal() and int(name) < len(names):
        return int(name)
    raise UsageError(f"class {name!r} is none of {', '.join(names)}")


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

    Every backdoor gets a share ``rate`` of all images, with clean labels of the images of its
    target, one-to-one of those of its source; no image two. WaNet's noise mode is put on a share
    ``cover`` of the rest. Pixels are rounded after they are clipped, so nothing wraps around.

    Raises `UsageError` if there are too few images.
    """
    rng = torch.Generator().manual_seed(seed)
    free = torch.ones(len(labels), dtype=torch.bool, device=labels.device)
    original = labels.clone()
    count = 0
    for backdoor in backdoors:
        rows = backdoor.to_poison(original)
        of_class = backdoor.labels in ("clean-label", "one-to-one")
        wanted = round(rate * (len(rows) if of_class else len(labels)))
        rows = rows[free[rows]]
        if not 0 < wanted <= len(rows):
            raise UsageError(
                f"a poison rate of {rate} is {wanted} images; there are {len(rows)} to poison"
            )
        rows = rows[torch.randperm(len(rows), generator=rng)[:wanted].to(rows.device)]
        _put(pixels, rows, backdoor.trigger)
        if backdoor.labels != "clean-label":
            labels[rows] = backdoor.wanted(original[rows])
        free[rows] = False
        count += wanted
        if isinstance(backdoor.trigger, WaNet) and cover:
            rest = torch.nonzero(free)[:, 0]
            some = torch.randperm(len(rest), generator=rng)[: round(cover * len(labels))]
            rows = rest[some.to(rest.device)]
            for part in rows.split(_BATCH):
                bent = backdoor.trigger.jitter(pixels[part].float(), rng)
                pixels[part] = bent.round_().to(torch.uint8)
            free[rows] = False
    return count


_BATCH = 1000


def _put(pixels: torch.Tensor, rows: torch.Tensor, trigger: Trigger) -> None:
    for part in rows.split(_BATCH):
        pixels[part] = trigger(pixels[part].float()).round_().to(torch.uint8)


def triggered(
    pixels: torch.Tensor, labels: torch.Tensor, backdoor: Backdoor
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Batches of test images with the trigger, as they would come from a file, and the classes that
    they are meant to be taken for.
    """
    for rows in backdoor.to_attack(labels).split(_BATCH):
        images = backdoor.trigger(pixels[rows].float()).round_()
        yield images, backdoor.wanted(labels[rows])
