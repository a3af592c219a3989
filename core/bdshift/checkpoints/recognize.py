"""Finds a state dict's architecture: builds candidates on the meta device and compares shapes."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from bdshift.checkpoints import chain, heads
from bdshift.checkpoints.as_saved import conform
from bdshift.checkpoints.compare import Mismatch, compare
from bdshift.checkpoints.families import FAMILIES, Candidate, Shapes, hugging_face
from bdshift.checkpoints.guard import TooLarge
from bdshift.checkpoints.layout import StateDict
from bdshift.checkpoints.listing import with_semicolons
from bdshift.checkpoints.objects import SavedLayer, layers_under
from bdshift.checkpoints.users_own import Architecture, OwnNetwork, user_architecture
from bdshift.errors import InputError, UnknownArchitecture, UsageError
from bdshift.words import Sentence

_LAYER_PARTS = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
_MIN_PREFIX_SHARE = 0.8  # of the tensors must share a prefix for the rest to be ignored
_MAX_TENSORS = 8000  # ResNet-1202 has 7000
_MAX_LOOSE_NUMBERS = 16  # in a tensor that belongs to no layer
_MAX_ROW_TENSORS = 40  # of a network so small that it may be a plain sequence of layers after all
_MAX_TOP_NAMES = 40
_MAX_REASON_LENGTH = 120
_MAX_LISTED_KEYS, _MAX_LISTED_CANDIDATES = 4, 4


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


def find_candidates(
    state: StateDict, arch: Architecture | None, config: Mapping[str, Any] | None = None
) -> Recognized:
    """The networks to choose from: all that fit, or just the one that ``arch`` names, by its name
    in an audit or in ``bdshift info``, or as the user's own. ``config`` is from a config.json.

    Raises as `recognize` and `user_architecture` do, and `UsageError` if none that fits has that
    name.
    """
    if isinstance(arch, OwnNetwork):
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
