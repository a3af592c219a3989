"""Finds a state dict's architecture: builds candidates on the meta device and compares shapes."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from bdshift.checkpoints import chain, heads
from bdshift.checkpoints.as_saved import conform
from bdshift.checkpoints.blind import detached, residual
from bdshift.checkpoints.blind.cosine import with_cosine_head
from bdshift.checkpoints.blind.parts import IMAGE_CHANNELS, LAYER_PARTS
from bdshift.checkpoints.clip.candidates import find_clip
from bdshift.checkpoints.compare import Mismatch, compare
from bdshift.checkpoints.families import FAMILIES, Candidate, Shapes, hugging_face, zoo
from bdshift.checkpoints.guard import TooLarge
from bdshift.checkpoints.layout import StateDict
from bdshift.checkpoints.listing import with_semicolons
from bdshift.checkpoints.objects import SavedLayer, layers_under
from bdshift.checkpoints.unused import is_loose, may_be_unused
from bdshift.checkpoints.users_own import Architecture, OwnNetwork, user_architecture
from bdshift.errors import InputError, UnknownArchitecture, UsageError
from bdshift.words import Sentence

_MAX_TENSORS = 8000  # ResNet-1202 has 7000
_MAX_DEPTH, _MAX_PARTS = 3, 6  # of modules that are tried as whole networks
_OTHERS = ("ema", "teacher", "momentum", "target", "encoder_k", "shadow", "averaged")
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
        ignored: keys that they do not use, such as an old head; with the prefix, if they have it.
    """

    candidates: tuple[Candidate, ...]
    prefix: str = ""
    ignored: tuple[str, ...] = ()


def recognize(
    shapes: Shapes,
    layers: Sequence[SavedLayer] = (),
    config: Mapping[str, Any] | None = None,
) -> Recognized:
    """Every network whose tensors have exactly these names and shapes: CLIP models, known ones,
    known ones with the file's own head, and plain sequences of layers reconstructed from the
    weights alone. If there is none, the same for a part of the tensors that is complete by itself
    and may be the whole network (`bdshift.checkpoints.unused`); then networks under other names.

    Args:
        shapes: of all tensors, by name.
        layers: what a pickled module says about its layers.
        config: from a config.json.

    Raises `UnknownArchitecture` if there is none: it names the nearest and how it differs;
    `InputError` for a CLIP model that is not read.
    """
    compared: list[Mismatch] = []
    if len(shapes) > _MAX_TENSORS:
        raise UnknownArchitecture(
            "has {count:,} tensors, more than any known network", count=len(shapes)
        )
    try:
        clip = find_clip(shapes, config or {})
        if clip is not None:
            return Recognized(clip.candidates, clip.prefix, clip.ignored)
        views = list(_views(shapes, layers))
        for find in (_exactly, _under_other_names):
            for view in views:
                found = find(view, config or {}, compared)
                if found is not None:
                    return found
    except (ArithmeticError, LookupError, RuntimeError, TypeError, ValueError) as error:
        raise InputError(
            "its shapes do not make a network ({reason})", reason=_reason(error)
        ) from error
    raise _unknown(shapes, compared)


def _reason(error: Exception) -> str | Sentence:
    if isinstance(error, TooLarge):
        return error.sentence
    return str(error).splitlines()[0] if str(error) else type(error).__name__


@dataclass(frozen=True)
class _View:
    """A part of the file that may be a network by itself.

    Attributes:
        file: all shapes.
        prefix: of the keys that it holds, which is removed in ``shapes``.
        layers: under that prefix.
        beside: keys that it leaves out.
    """

    file: Shapes
    prefix: str
    shapes: Shapes
    layers: Sequence[SavedLayer]
    beside: tuple[str, ...] = ()

    def found(self, candidates: Sequence[Candidate], unused: Iterable[str] = ()) -> Recognized:
        """The result: ``candidates`` do not use ``unused`` of the view's own keys."""
        beside = (*self.beside, *(self.prefix + key for key in unused))
        found = (with_cosine_head(candidate, self.shapes) for candidate in candidates)
        return Recognized(tuple(found), self.prefix, beside)

    def allows(self, candidate: Candidate, unused: Collection[str] = ()) -> bool:
        """Whether the candidate could be the whole network, although it uses neither what the view
        leaves out nor ``unused``.
        """
        beside = (*self.beside, *(self.prefix + key for key in unused))
        if not beside:
            return True
        return may_be_unused(self.file, beside, self.shapes[candidate.head_key][0])


def _views(shapes: Shapes, layers: Sequence[SavedLayer]) -> Iterator[_View]:
    """The whole file; without loose numbers; and every module of it that could be a network, an
    average of one last.
    """
    yield _View(shapes, "", shapes, layers)
    loose = tuple(key for key, shape in shapes.items() if is_loose(key, shape))
    if loose and may_be_unused(shapes, loose):
        kept = {key: shape for key, shape in shapes.items() if key not in set(loose)}
        yield _View(shapes, "", kept, layers, loose)
    for prefix in _prefixes(shapes):
        part = {k[len(prefix) :]: s for k, s in shapes.items() if k.startswith(prefix)}
        beside = tuple(key for key in shapes if not key.startswith(prefix))
        if may_be_unused(shapes, beside):
            yield _View(shapes, prefix, part, layers_under(layers, prefix), beside)


def _prefixes(shapes: Shapes) -> list[str]:
    """Modules that hold both something that takes images and something that could be a head."""
    found: dict[str, list[bool]] = {}
    for key, shape in shapes.items():
        names = key.split(".")
        for depth in range(1, min(_MAX_DEPTH, len(names) - 1) + 1):
            holds = found.setdefault(".".join(names[:depth]) + ".", [False, False])
            holds[0] |= len(shape) == 4 and shape[1] in IMAGE_CHANNELS
            holds[1] |= len(shape) == 2
    both = [prefix for prefix, holds in found.items() if all(holds)]
    own = [p for p in both if not all(key.startswith(p) for key in shapes)]
    return sorted(own, key=_is_average)[:_MAX_PARTS]


def _is_average(prefix: str) -> bool:
    """Whether it is called an average of the network, or one that only helped to train it."""
    return any(word in prefix.lower() for word in _OTHERS)


def _exactly(view: _View, config: Mapping[str, Any], compared: list[Mismatch]) -> Recognized | None:
    """Networks with exactly these names and shapes; else known ones that leave some of them over.
    Every comparison is added to ``compared``.
    """
    shapes = view.shapes
    found = [c for c in hugging_face.propose(shapes, config) if _fits_config(c, shapes)]
    mine: list[Mismatch] = []
    found = found or [c for c in zoo.propose_named(shapes, config) if compare(c, shapes).fits]
    found = found or _known(shapes, mine)
    if not found:
        proposed = heads.propose(shapes, lambda shapes: _known(shapes, []))
        found = [candidate for candidate in proposed if compare(candidate, shapes).fits]
    if not found or len(shapes) <= _MAX_ROW_TENSORS:
        rows = [c for c in chain.propose(shapes, view.layers) if compare(c, shapes).fits]
        if rows and len(shapes) > _MAX_ROW_TENSORS:  # too deep for a plain sequence
            proposed = detached.propose(shapes, lambda shapes: _known(shapes, []))
            found = [one for one in proposed if compare(one, shapes).fits]
            rows = [] if found else rows
        if rows and not found:  # it may have shortcuts without weights
            found = [one for one in residual.propose(shapes) if compare(one, shapes).fits]
        found += rows
    compared += mine
    found = [candidate for candidate in found if view.allows(candidate)]
    if found:
        return view.found(conform(found, view.layers) if view.layers else found)
    return _with_rest(view, mine)


def _known(shapes: Shapes, compared: list[Mismatch]) -> list[Candidate]:
    """The known networks with exactly these tensors."""
    found = []
    for propose in FAMILIES:
        for candidate in propose(shapes):
            mismatch = compare(candidate, shapes)
            compared.append(mismatch)
            if mismatch.fits:
                found.append(candidate)
    return found


def _with_rest(view: _View, compared: Sequence[Mismatch]) -> Recognized | None:
    """All candidates that find their tensors and leave the fewest of the others, if those may be
    unused.
    """
    left = [m for m in compared if not (m.missing or m.other_shape)]
    for mismatch in sorted(left, key=lambda m: len(m.unexpected)):
        if view.allows(mismatch.candidate, mismatch.unexpected):
            alike = [m.candidate for m in left if m.unexpected == mismatch.unexpected]
            return view.found(
                conform(alike, view.layers) if view.layers else alike, mismatch.unexpected
            )
    return None


def _under_other_names(
    view: _View, _config: Mapping[str, Any], _compared: list[Mismatch]
) -> Recognized | None:
    """Known bodies with a head elsewhere, and networks by the order of their layers."""
    shapes = view.shapes
    for proposed in (
        detached.propose(shapes, lambda shapes: _known(shapes, [])),
        residual.propose(shapes),
    ):
        found = _with_rest(view, [compare(candidate, shapes) for candidate in proposed])
        if found is not None:
            return found
    for unused in _loose_ends(shapes):
        rest = {key: shape for key, shape in shapes.items() if key not in set(unused)}
        rows = [
            c
            for c in chain.propose(rest, view.layers)
            if compare(c, rest).fits and view.allows(c, unused)
        ]
        if rows:
            return view.found(rows, unused)
    return None


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


def _loose_ends(shapes: Shapes) -> Iterator[tuple[str, ...]]:
    """What a plain sequence of layers may do without: a few numbers that belong to no layer (a
    mean, a std), and linear layers that lead elsewhere than the sequence does (an old head).
    """
    bare = tuple(key for key, shape in shapes.items() if is_loose(key, shape))
    if bare and len(bare) < len(shapes):
        yield bare
    tops = list(dict.fromkeys(key.partition(".")[0] for key in shapes))
    if 2 <= len(tops) <= _MAX_TOP_NAMES:
        for top in reversed(tops):
            inside = tuple(key for key in shapes if key.partition(".")[0] == top)
            if all(key in bare or _is_of_linear(key, shapes[key]) for key in inside):
                yield tuple(dict.fromkeys((*bare, *inside)))


def _is_of_linear(key: str, shape: tuple[int, ...]) -> bool:
    return key.rpartition(".")[2] in LAYER_PARTS and len(shape) <= 2


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
    found = (
        recognize(state.shapes(), state.layers, config)
        if state.network is None
        else Recognized((state.network,))
    )
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
