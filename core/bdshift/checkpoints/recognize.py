"""Finds a state dict's architecture: builds candidates on the meta device and compares shapes."""

from __future__ import annotations

import importlib
import math
import re
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bdshift.checkpoints import chain, heads
from bdshift.checkpoints.as_saved import conform
from bdshift.checkpoints.families import FAMILIES, Candidate, Shapes, hugging_face
from bdshift.checkpoints.guard import TooLarge, held_to
from bdshift.checkpoints.layout import StateDict
from bdshift.checkpoints.listing import first_few, with_semicolons
from bdshift.checkpoints.objects import SavedLayer, layers_under
from bdshift.errors import InputError, UnknownArchitecture, UsageError
from bdshift.words import Sentence

if TYPE_CHECKING:
    from torch import nn

_BOOKKEEPING = "num_batches_tracked"  # missing in files older than torch 0.4.1
_LAYER_PARTS = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
_MIN_PREFIX_SHARE = 0.8  # of the tensors must share a prefix for the rest to be ignored
_MAX_TENSORS = 8000  # ResNet-1202 has 7000
_MAX_LOOSE_NUMBERS = 16  # in a tensor that belongs to no layer
_MAX_ROW_TENSORS = 40  # of a network so small that it may be a plain sequence of layers after all
_MAX_TOP_NAMES = 40
_MAX_REASON_LENGTH = 120
_MAX_LISTED_KEYS, _MAX_LISTED_CANDIDATES = 4, 4


@dataclass(frozen=True)
class Mismatch:
    """How a candidate's tensors differ from the file's: names and shapes, sorted."""

    candidate: Candidate
    same: int
    missing: tuple[str, ...]
    unexpected: tuple[str, ...]
    other_shape: tuple[Sentence, ...]

    @property
    def fits(self) -> bool:
        """Whether every name and shape is the same."""
        return not (self.missing or self.unexpected or self.other_shape)

    def first_differences(self, count: int = 3) -> str | Sentence:
        """The first differing keys, in words; there must be some."""
        parts = []
        if self.other_shape:
            keys = first_few(self.other_shape, count)
            parts.append(Sentence("other shape: {keys}", {"keys": keys}))
        if self.missing:
            keys = first_few(self.missing, count)
            parts.append(Sentence("not in the file: {keys}", {"keys": keys}))
        if self.unexpected:
            keys = first_few(self.unexpected, count)
            parts.append(Sentence("only in the file: {keys}", {"keys": keys}))
        return with_semicolons(parts)


def compare(candidate: Candidate, shapes: Shapes, *, for_real: bool = True) -> Mismatch:
    """Build ``candidate`` on the meta device, or in memory if that fails and ``for_real`` allows
    it, and compare its state dict with ``shapes``.
    """
    import torch

    with held_to(shapes):
        try:
            with torch.device("meta"):
                network = candidate.build()
        except (NotImplementedError, RuntimeError) as error:
            if not (for_real and candidate.computes) or isinstance(error, TooLarge):
                raise
            network = candidate.build()
    expected = {key: tuple(value.shape) for key, value in network.state_dict().items()}
    other = sorted(k for k in expected.keys() & shapes.keys() if expected[k] != shapes[k])
    missing = sorted(expected.keys() - shapes.keys())
    return Mismatch(
        candidate,
        len(expected.keys() & shapes.keys()) - len(other),
        tuple(key for key in missing if not key.endswith(_BOOKKEEPING)),
        tuple(sorted(shapes.keys() - expected.keys())),
        tuple(_other_shape(key, shapes[key], expected[key]) for key in other),
    )


def _other_shape(key: str, found: tuple[int, ...], expected: tuple[int, ...]) -> Sentence:
    shown = {"found": str(list(found)), "expected": str(list(expected))}
    return Sentence("{key} {found}, expected {expected}", {"key": key, **shown})


@dataclass(frozen=True)
class Recognized:
    """The networks that fit a state dict, or a part of it.

    Attributes:
        candidates: more than one if the weights do not distinguish them; clean accuracy then
            decides.
        prefix: of the keys that they use; "" if they use all.
        ignored: keys that they do not use, such as an old head.
    """

    candidates: tuple[Candidate, ...]
    prefix: str = ""
    ignored: tuple[str, ...] = ()


def recognize(
    shapes: Shapes,
    layers: Sequence[SavedLayer] = (),
    config: Mapping[str, Any] | None = None,
) -> Recognized:
    """Every network whose tensors have exactly these names and shapes: known ones, known ones with
    the file's own head, and plain sequences of layers reconstructed from the weights alone. If
    there is none, the same for a part of the tensors that is complete by itself, ignoring the rest.

    Args:
        shapes: of all tensors, by name.
        layers: what a pickled module says about its layers.
        config: from a config.json.

    Raises `UnknownArchitecture` if there is none: it names the nearest and how it differs.
    """
    compared: list[Mismatch] = []
    if len(shapes) > _MAX_TENSORS:
        raise UnknownArchitecture(
            "has {count:,} tensors, more than any known network", count=len(shapes)
        )
    try:
        for prefix in _prefixes(shapes):
            part = {k[len(prefix) :]: s for k, s in shapes.items() if k.startswith(prefix)}
            found = _fitting(
                part, layers_under(layers, prefix), config or {}, compared, whole=not prefix
            )
            if found:
                ignored = tuple(key for key in shapes if not key.startswith(prefix))
                return Recognized(tuple(found), prefix, ignored)
        for mismatch in compared:
            if _is_rest(mismatch, shapes):
                known = conform([mismatch.candidate], layers)
                return Recognized(tuple(known), "", mismatch.unexpected)
        for ignored in _loose_ends(shapes):
            rest = {key: shape for key, shape in shapes.items() if key not in ignored}
            rows = [c for c in chain.propose(rest, layers) if compare(c, rest).fits]
            if rows:
                return Recognized(tuple(rows), "", ignored)
    except (ArithmeticError, LookupError, RuntimeError, TypeError, ValueError) as error:
        raise InputError(
            "its shapes do not make a network ({reason})", reason=_reason(error)
        ) from error
    raise _unknown(shapes, compared)


def _reason(error: Exception) -> str | Sentence:
    if isinstance(error, TooLarge):
        return error.sentence
    return str(error).splitlines()[0] if str(error) else type(error).__name__


def _fitting(
    shapes: Shapes,
    layers: Sequence[SavedLayer],
    config: Mapping[str, Any],
    compared: list[Mismatch],
    *,
    whole: bool = True,
) -> list[Candidate]:
    """The candidates with exactly these tensors; every comparison is added to ``compared``. A part
    that is not the ``whole`` network is never a plain sequence of layers: what it leaves out may
    matter.
    """

    def known(shapes: Shapes, compared: list[Mismatch]) -> list[Candidate]:
        found = []
        for propose in FAMILIES:
            for candidate in propose(shapes):
                mismatch = compare(candidate, shapes)
                compared.append(mismatch)
                if mismatch.fits:
                    found.append(candidate)
        return found

    found = [c for c in hugging_face.propose(shapes, config) if _fits_config(c, shapes)]
    found = found or known(shapes, compared)
    if not found:
        proposed = heads.propose(shapes, lambda shapes: known(shapes, []))
        found = [candidate for candidate in proposed if compare(candidate, shapes).fits]
    if whole and (not found or len(shapes) <= _MAX_ROW_TENSORS):
        found += [c for c in chain.propose(shapes, layers) if compare(c, shapes).fits]
    return conform(found, layers) if layers else found


def _fits_config(candidate: Candidate, shapes: Shapes) -> bool:
    """Whether a network described by a config has these tensors.

    Raises `UnknownArchitecture` if no network can be built from the description.
    """
    try:
        return compare(candidate, shapes, for_real=False).fits  # its sizes may be anything
    except Exception as error:  # from a library, about values that anyone may have written
        reason = _reason(error)
        raise UnknownArchitecture(
            "no {name} can be built from its config.json ({reason})",
            name=candidate.name,
            reason=reason[:_MAX_REASON_LENGTH] if isinstance(reason, str) else reason,
        ) from error


def _prefixes(shapes: Shapes) -> Iterator[str]:
    """The empty prefix, and any that nearly all keys begin with, such as ``backbone.`` next to a
    loss's weights.
    """
    yield ""
    for depth in (1, 2):
        counts = Counter(".".join(key.split(".")[:depth]) + "." for key in shapes)
        prefix, count = counts.most_common(1)[0]
        if _MIN_PREFIX_SHARE * len(shapes) <= count < len(shapes):
            yield prefix


def _is_rest(mismatch: Mismatch, shapes: Shapes) -> bool:
    """Whether a candidate has all it needs, and what is left over is separate modules: never parts
    of modules that it uses, which would then be different ones (an SE-ResNet is not a ResNet).
    """
    if mismatch.missing or mismatch.other_shape or not mismatch.unexpected:
        return False
    unexpected = set(mismatch.unexpected)
    used = {key.partition(".")[0] for key in shapes if key not in unexpected}
    return all(key.partition(".")[0] not in used for key in unexpected)


def _loose_ends(shapes: Shapes) -> Iterator[tuple[str, ...]]:
    """What a plain sequence of layers may do without: a few numbers that belong to no layer (a
    mean, a std), and linear layers that lead elsewhere than the sequence does (an old head).
    """
    bare = tuple(
        key
        for key, shape in shapes.items()
        if key.rpartition(".")[2] not in _LAYER_PARTS and math.prod(shape) <= _MAX_LOOSE_NUMBERS
    )
    if bare and len(bare) < len(shapes):
        yield bare
    tops = list(dict.fromkeys(key.partition(".")[0] for key in shapes))
    if 2 <= len(tops) <= _MAX_TOP_NAMES:
        for top in reversed(tops):
            inside = tuple(key for key in shapes if key.partition(".")[0] == top)
            if all(key in bare or _is_of_linear(key, shapes[key]) for key in inside):
                yield tuple(dict.fromkeys((*bare, *inside)))


def _is_of_linear(key: str, shape: tuple[int, ...]) -> bool:
    return key.rpartition(".")[2] in _LAYER_PARTS and len(shape) <= 2


def _unknown(shapes: Shapes, compared: Sequence[Mismatch]) -> UnknownArchitecture:
    """The error that names the nearest network, and how it differs."""
    if not compared:
        return UnknownArchitecture(
            "the architecture is not known (its keys begin {keys}); name its class with --arch "
            "package.module:callable",
            keys=tuple(sorted(shapes)[:_MAX_LISTED_KEYS]),
        )
    nearest = max(compared, key=lambda item: item.same)
    return UnknownArchitecture(
        "the architecture is not known; the nearest is {name}, which differs: {differences}; name "
        "its class with --arch package.module:callable",
        name=nearest.candidate.name, differences=nearest.first_differences(),
    )  # fmt: skip


_USERS_OWN = re.compile(r"[^\s:]+:[^\s:]+")  # names of rebuilt networks have spaces
_LIKE_USERS_OWN = re.compile(r"[^\s:]*:[^\s:]*")


def is_users_own(arch: str) -> bool:
    """Whether ``arch`` names the user's own code, ``package.module:callable``."""
    return _USERS_OWN.fullmatch(arch) is not None


def find_candidates(
    state: StateDict, arch: str | None, config: Mapping[str, Any] | None = None
) -> Recognized:
    """The networks to choose from: all that fit, or just the one that ``arch`` names, by its name
    in an audit or in ``bdshift info``, or as the user's own. ``config`` is from a config.json.

    Raises as `recognize` and `user_architecture` do, and `UsageError` if none that fits has that
    name.
    """
    if arch is not None and _LIKE_USERS_OWN.fullmatch(arch):
        return Recognized((user_architecture(arch, state.shapes()),))
    found = recognize(state.shapes(), state.layers, config)
    if arch is None:
        return found
    chosen = named(found.candidates, arch)
    if chosen is None:
        raise UsageError(
            "--arch {arch!r}: what fits is {names}; name your own as package.module:callable",
            arch=arch, names=_listed(found.candidates),
        )  # fmt: skip
    return replace(found, candidates=(chosen,))


def _listed(candidates: Sequence[Candidate]) -> str | Sentence:
    names = with_semicolons([one.name for one in candidates[:_MAX_LISTED_CANDIDATES]])
    more = len(candidates) - _MAX_LISTED_CANDIDATES
    if more <= 0:
        return names
    return Sentence(
        "{names}; and {count} more, which bdshift info lists", {"names": names, "count": more}
    )


def named(candidates: Iterable[Candidate], name: str) -> Candidate | None:
    """The one of ``candidates``, or of their rare ones, that is called ``name``."""
    for candidate in candidates:
        for one in (candidate, *candidate.rare):
            if one.name == name:
                return replace(one, rare=())
    return None


def user_architecture(spec: str, shapes: Shapes) -> Candidate:
    """The user's own network: ``package.module:callable``, importable from the current folder.

    This is the only way to run code that does not come with bdshift, and it happens only because
    the user names it. The callable is called with ``num_classes=…`` if it takes that, else without
    arguments.

    Raises `UsageError` if it cannot be imported or built, `InputError` if its tensors do not fit.
    """
    module_name, _, attribute = spec.partition(":")
    if not is_users_own(spec):
        raise UsageError("--arch must be package.module:callable, not {spec!r}", spec=spec)
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        make = getattr(importlib.import_module(module_name), attribute)
    except (ImportError, AttributeError) as error:
        raise UsageError("--arch {spec}: {reason}", spec=spec, reason=str(error)) from error
    except Exception as error:  # the user's code may raise anything
        raise UsageError(
            "--arch {spec}: importing it failed: {reason}", spec=spec, reason=repr(error)
        ) from error
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
