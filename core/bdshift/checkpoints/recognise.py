"""Which architecture a state dict belongs to: build candidates without memory, compare shapes."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from bdshift.checkpoints.families import FAMILIES, Candidate, Shapes
from bdshift.errors import InputError, UnknownArchitecture, UsageError

if TYPE_CHECKING:
    from torch import nn

_BOOKKEEPING = "num_batches_tracked"  # missing in files older than torch 0.4.1


@dataclass(frozen=True)
class Mismatch:
    """How a candidate's tensors differ from the file's: names and shapes, sorted."""

    candidate: Candidate
    same: int
    missing: tuple[str, ...]
    unexpected: tuple[str, ...]
    other_shape: tuple[str, ...]

    @property
    def fits(self) -> bool:
        """Whether every name and shape is the same."""
        return not (self.missing or self.unexpected or self.other_shape)

    def first_differences(self, count: int = 3) -> str:
        """The first differing keys, in words."""
        parts = []
        for keys, words in (
            (self.other_shape, "other shape"),
            (self.missing, "not in the file"),
            (self.unexpected, "only in the file"),
        ):
            if keys:
                more = f" and {len(keys) - count} more" if len(keys) > count else ""
                parts.append(f"{words}: {', '.join(keys[:count])}{more}")
        return "; ".join(parts)


def compare(candidate: Candidate, shapes: Shapes) -> Mismatch:
    """Build ``candidate`` on the meta device and compare its state dict with ``shapes``."""
    import torch

    with torch.device("meta"):
        network = candidate.build()
    expected = {key: tuple(value.shape) for key, value in network.state_dict().items()}
    other = sorted(k for k in expected.keys() & shapes.keys() if expected[k] != shapes[k])
    missing = sorted(expected.keys() - shapes.keys())
    return Mismatch(
        candidate,
        len(expected.keys() & shapes.keys()) - len(other),
        tuple(key for key in missing if not key.endswith(_BOOKKEEPING)),
        tuple(sorted(shapes.keys() - expected.keys())),
        tuple(f"{k} {list(shapes[k])}, expected {list(expected[k])}" for k in other),
    )


def _proposals(shapes: Shapes) -> Iterator[Candidate]:
    for propose in FAMILIES:
        yield from propose(shapes)


def recognise(shapes: Shapes) -> list[Candidate]:
    """Every known network whose tensors have exactly these names and shapes.

    More than one when the weights do not tell them apart; clean accuracy then decides.

    Raises `UnknownArchitecture` if there is none: it names the nearest and how it differs.
    """
    try:
        compared = [compare(candidate, shapes) for candidate in _proposals(shapes)]
    except (ArithmeticError, LookupError, RuntimeError, TypeError, ValueError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(f"its shapes make no network ({reason})") from error
    fitting = [item.candidate for item in compared if item.fits]
    if fitting:
        return fitting
    hint = "name its class with --arch package.module:callable"
    if not compared:
        keys = ", ".join(sorted(shapes)[:4])
        raise UnknownArchitecture(f"the architecture is not known (its keys begin {keys}); {hint}")
    nearest = max(compared, key=lambda item: item.same)
    raise UnknownArchitecture(
        f"the architecture is not known; nearest is {nearest.candidate.name}, which differs: "
        f"{nearest.first_differences()}; {hint}"
    )


def is_users_own(arch: str) -> bool:
    """Whether ``arch`` names code of the user's, ``package.module:callable``."""
    return ":" in arch


def find_candidates(shapes: Shapes, arch: str | None) -> list[Candidate]:
    """The networks to choose from: all that fit, or just the one that ``arch`` names, by the name
    that an audit or ``bdshift info`` gives it or as the user's own.

    Raises as `recognise` and `user_architecture` do, and `UsageError` if none that fits is so
    named.
    """
    if arch is not None and is_users_own(arch):
        return [user_architecture(arch, shapes)]
    fitting = recognise(shapes)
    if arch is None:
        return fitting
    chosen = named(fitting, arch)
    if chosen is None:
        names = "; ".join(candidate.name for candidate in fitting)
        raise UsageError(
            f"--arch {arch!r}: what fits is {names}; your own is named package.module:callable"
        )
    return [chosen]


def named(candidates: Iterable[Candidate], name: str) -> Candidate | None:
    """The one of ``candidates``, or of the rare ones behind them, that is called ``name``."""
    for candidate in candidates:
        for one in (candidate, *candidate.rare):
            if one.name == name:
                return replace(one, rare=())
    return None


def user_architecture(spec: str, shapes: Shapes) -> Candidate:
    """The user's own network: ``package.module:callable``, importable from the current folder.

    This is the only way in which code that bdshift does not bring is run, and only because the
    user names it. The callable is called with ``num_classes=…`` if it takes that, else with
    nothing.

    Raises `UsageError` if it cannot be imported or built, `InputError` if its tensors do not fit.
    """
    module_name, _, attribute = spec.partition(":")
    if not module_name or not attribute:
        raise UsageError(f"--arch is package.module:callable, not {spec!r}")
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        make = getattr(importlib.import_module(module_name), attribute)
    except (ImportError, AttributeError) as error:
        raise UsageError(f"--arch {spec}: {error}") from error
    classes = max((shape[0] for shape in shapes.values() if len(shape) == 2), default=0)
    heads = [shape[0] for shape in shapes.values() if len(shape) == 2]
    if heads:
        classes = heads[-1]

    def build() -> nn.Module:
        try:
            return make(num_classes=classes)
        except TypeError:
            return make()

    try:
        network = build()
    except Exception as error:  # the user's code may raise anything
        raise UsageError(f"--arch {spec}: calling it failed: {error!r}") from error
    from torch import nn

    if not isinstance(network, nn.Module):
        raise UsageError(f"--arch {spec}: made a {type(network).__name__}, not a torch Module")
    linear = [name for name, part in network.named_modules() if isinstance(part, nn.Linear)]
    if not linear:
        raise UsageError(f"--arch {spec}: the network has no linear layer to be its head")
    candidate = Candidate(spec, build, linear[-1], (32, 224))
    mismatch = compare(candidate, shapes)
    if not mismatch.fits:
        raise InputError(f"--arch {spec}: differs from the file: {mismatch.first_differences()}")
    return candidate
