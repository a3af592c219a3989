"""The user's own network, ``package.module:callable``: code that only the user can name."""

from __future__ import annotations

import importlib
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bdshift.checkpoints.compare import compare
from bdshift.checkpoints.families import Candidate, Shapes
from bdshift.errors import InputError, UsageError

if TYPE_CHECKING:
    from torch import nn

_SPEC = re.compile(r"[^\s:]+:[^\s:]+")
_LIKE_SPEC = re.compile(r"[^\s:]*:[^\s:]*")  # names of rebuilt networks have spaces


@dataclass(frozen=True)
class OwnNetwork:
    """The user's own network, ``package.module:callable``; the only thing whose code is run.

    A plain string is never one, whatever it says: it may come from a file. So this is made only
    from what the user types (`typed`), or by a program that uses the library.
    """

    spec: str

    @property
    def is_complete(self) -> bool:
        """Whether it has a module and a callable."""
        return _SPEC.fullmatch(self.spec) is not None

    def __str__(self) -> str:
        return self.spec


Architecture = str | OwnNetwork
"""One of the networks that fit, by its name; or the user's own."""


def typed(text: str) -> Architecture:
    """What the user means by a text that they typed themselves."""
    return OwnNetwork(text) if _LIKE_SPEC.fullmatch(text) else text


def user_architecture(own: OwnNetwork, shapes: Shapes) -> Candidate:
    """The user's own network, importable from the current folder.

    This is the only way to run code that does not come with bdshift, and it happens only because
    the user names it. The callable is called with ``num_classes=…`` if it takes that, else without
    arguments.

    Raises `UsageError` if it cannot be imported or built, `InputError` if its tensors do not fit.
    """
    spec = own.spec
    module_name, _, attribute = spec.partition(":")
    if not own.is_complete:
        raise UsageError("--arch must be package.module:callable, not {spec!r}", spec=spec)
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        make = getattr(importlib.import_module(module_name), attribute)
    except (ImportError, AttributeError) as error:
        raise UsageError("--arch {spec}: {reason}", spec=spec, reason=str(error)) from error
    except (Exception, SystemExit) as error:  # the user's code may raise anything
        raise UsageError(
            "--arch {spec}: importing it failed: {reason}", spec=spec, reason=repr(error)
        ) from error
    heads = [shape[0] for shape in shapes.values() if len(shape) == 2]
    classes = heads[-1] if heads else 0

    def build() -> nn.Module:
        try:
            return make(num_classes=classes)
        except TypeError:
            return make()

    try:
        network = build()
    except (Exception, SystemExit) as error:  # the user's code may raise anything
        raise UsageError(
            "--arch {spec}: calling it failed: {reason}", spec=spec, reason=repr(error)
        ) from error
    from torch import nn

    if not isinstance(network, nn.Module):
        raise UsageError(
            "--arch {spec}: returned a {kind}, not a torch Module",
            spec=spec, kind=type(network).__name__,
        )  # fmt: skip
    linear = [name for name, part in network.named_modules() if isinstance(part, nn.Linear)]
    if not linear:
        raise UsageError(
            "--arch {spec}: the network has no linear layer that could be its head", spec=spec
        )
    candidate = Candidate(spec, build, linear[-1], (32, 224))
    mismatch = compare(candidate, shapes)
    if not mismatch.fits:
        raise InputError(
            "--arch {spec}: differs from the file: {differences}",
            spec=spec, differences=mismatch.first_differences(),
        )  # fmt: skip
    return candidate
