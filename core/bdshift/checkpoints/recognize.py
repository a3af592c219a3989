"""Which architecture a state dict belongs to: build candidates without memory, compare shapes."""

from __future__ import annotations

import importlib
import math
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
from bdshift.checkpoints.objects import SavedLayer, layers_under
from bdshift.errors import InputError, UnknownArchitecture, UsageError

if TYPE_CHECKING:
    from torch import nn

_BOOKKEEPING = "num_batches_tracked"  # missing in files older than torch 0.4.1
_LAYER_PARTS = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
_MOSTLY = 0.8  # share of the tensors that must lie under a prefix for the rest to be ignored
_MOST_TENSORS = 8000  # ResNet-1202 has 7000
_A_FEW_NUMBERS = 16
_FEW = 40  # tensors of a network so small that a plain row of layers may be meant after all


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


def compare(candidate: Candidate, shapes: Shapes, *, for_real: bool = True) -> Mismatch:
    """Build ``candidate`` without memory, or where that does not go and ``for_real`` allows it with
    memory, and compare its state dict with ``shapes``.
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
        tuple(f"{k} {list(shapes[k])}, expected {list(expected[k])}" for k in other),
    )


@dataclass(frozen=True)
class Recognized:
    """The networks that fit a state dict, or a part of it.

    Attributes:
        candidates: more than one when the weights do not tell them apart; clean accuracy then
            decides.
        prefix: of the keys that they have; "" for all.
        ignored: keys that they have no use for, as an old head.
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
    a head of the file's own, plain rows of layers put together from the weights alone. If there is
    none, the same for the part of the tensors that makes a whole, the rest being ignored.

    Args:
        shapes: of all tensors, by name.
        layers: what a pickled module says of its layers.
        config: of a config.json.

    Raises `UnknownArchitecture` if there is none: it names the nearest and how it differs.
    """
    compared: list[Mismatch] = []
    if len(shapes) > _MOST_TENSORS:
        raise UnknownArchitecture(f"has {len(shapes)} tensors, more than any network that is known")
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
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(f"its shapes make no network ({reason})") from error
    raise UnknownArchitecture(_nearest(shapes, compared))


def _fitting(
    shapes: Shapes,
    layers: Sequence[SavedLayer],
    config: Mapping[str, Any],
    compared: list[Mismatch],
    *,
    whole: bool = True,
) -> list[Candidate]:
    """What has exactly these tensors; what was compared is added to ``compared``. A part that is
    not the ``whole`` network is never a plain row of layers: what it leaves out may matter.
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
    if whole and (not found or len(shapes) <= _FEW):
        found += [c for c in chain.propose(shapes, layers) if compare(c, shapes).fits]
    return conform(found, layers) if layers else found


def _fits_config(candidate: Candidate, shapes: Shapes) -> bool:
    """Whether a network described by a config has these tensors; one whose description no network
    can be made of has not.
    """
    try:
        return compare(candidate, shapes, for_real=False).fits  # its sizes may be anybody's
    except Exception as error:  # a library's, about values that anybody may have written
        raise UnknownArchitecture(
            f"no {candidate.name} can be made of its config.json ({str(error)[:120]})"
        ) from error


def _prefixes(shapes: Shapes) -> Iterator[str]:
    """None, and what stands before nearly all keys, as ``backbone.`` beside a loss's weights."""
    yield ""
    for depth in (1, 2):
        counts = Counter(".".join(key.split(".")[:depth]) + "." for key in shapes)
        prefix, count = counts.most_common(1)[0]
        if _MOSTLY * len(shapes) <= count < len(shapes):
            yield prefix


def _is_rest(mismatch: Mismatch, shapes: Shapes) -> bool:
    """Whether a candidate has all it needs, and what it leaves over are modules of their own: never
    parts of those that it knows, which would then be other ones (an SE-ResNet is no ResNet).
    """
    if mismatch.missing or mismatch.other_shape or not mismatch.unexpected:
        return False
    unexpected = set(mismatch.unexpected)
    used = {key.partition(".")[0] for key in shapes if key not in unexpected}
    return all(key.partition(".")[0] not in used for key in unexpected)


def _loose_ends(shapes: Shapes) -> Iterator[tuple[str, ...]]:
    """What a plain row of layers may do without: a few numbers that belong to no layer (a mean, a
    std), and linear layers that end in something else than the row does (an old head).
    """
    bare = tuple(
        key
        for key, shape in shapes.items()
        if key.rpartition(".")[2] not in _LAYER_PARTS and math.prod(shape) <= _A_FEW_NUMBERS
    )
    if bare and len(bare) < len(shapes):
        yield bare
    tops = list(dict.fromkeys(key.partition(".")[0] for key in shapes))
    if 2 <= len(tops) <= _FEW:
        for top in reversed(tops):
            inside = tuple(key for key in shapes if key.partition(".")[0] == top)
            if all(key in bare or _is_of_linear(key, shapes[key]) for key in inside):
                yield tuple(dict.fromkeys((*bare, *inside)))


def _is_of_linear(key: str, shape: tuple[int, ...]) -> bool:
    return key.rpartition(".")[2] in _LAYER_PARTS and len(shape) <= 2


def _nearest(shapes: Shapes, compared: Sequence[Mismatch]) -> str:
    hint = "name its class with --arch package.module:callable"
    if not compared:
        keys = ", ".join(sorted(shapes)[:4])
        return f"the architecture is not known (its keys begin {keys}); {hint}"
    nearest = max(compared, key=lambda item: item.same)
    return (
        f"the architecture is not known; nearest is {nearest.candidate.name}, which differs: "
        f"{nearest.first_differences()}; {hint}"
    )


def is_users_own(arch: str) -> bool:
    """Whether ``arch`` names code of the user's, ``package.module:callable``."""
    return ":" in arch


def find_candidates(
    state: StateDict, arch: str | None, config: Mapping[str, Any] | None = None
) -> Recognized:
    """The networks to choose from: all that fit, or just the one that ``arch`` names, by the name
    that an audit or ``bdshift info`` gives it or as the user's own. ``config`` is a config.json's.

    Raises as `recognize` and `user_architecture` do, and `UsageError` if none that fits is so
    named.
    """
    if arch is not None and is_users_own(arch):
        return Recognized((user_architecture(arch, state.shapes()),))
    found = recognize(state.shapes(), state.layers, config)
    if arch is None:
        return found
    chosen = named(found.candidates, arch)
    if chosen is None:
        names = "; ".join(candidate.name for candidate in found.candidates[:4])
        if len(found.candidates) > 4:
            names += f"; and {len(found.candidates) - 4} more, which bdshift info lists"
        raise UsageError(
            f"--arch {arch!r}: what fits is {names}; your own is named package.module:callable"
        )
    return replace(found, candidates=(chosen,))


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
