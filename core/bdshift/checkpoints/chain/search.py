"""Every way to assemble a sequence of layers so that its sizes work out.

The number of inputs of the first linear layer tells how large the map is when it is flattened. That
leaves few combinations of image size, padding, stride and pooling. The likeliest come first:
pooling after every convolution, after every second one, where the channels grow; and what the
indices of an ``nn.Sequential`` suggest. Activation, kind of pooling and flattening order do not
depend on sizes: they are each candidate's `Candidate.rare`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import pairwise, product

from bdshift.checkpoints.chain.exact import activation_of, declared, read_exactly
from bdshift.checkpoints.chain.network import (
    PRELU,
    Chain,
    Convolution,
    Form,
    Geometry,
    Pooling,
)
from bdshift.checkpoints.chain.row import ConvRow, read_row, silent_slots
from bdshift.checkpoints.families.base import (
    ACTIVATIONS,
    ODDNESS_OF_ACTIVATION,
    USUAL,
    Candidate,
    Shapes,
)
from bdshift.checkpoints.objects import SavedLayer

_SIZES = (32, 28, 64, 224, 96, 48, 128, 40, 299, 227)
_MAX_GEOMETRIES = 32  # to try
_MIN_IMAGE_SIDE, _MAX_FLAT_SIDE = 8, 512  # pixels
_MAX_CHANNELS = 2**24  # or any other dimension of a weight
_MAX_EXHAUSTIVE = 10  # convolutions up to which every placement of pooling is considered
_ADAPTIVE_SIDES = (1, 7, 6, 4, 2, 3, 5, 8)  # to which maps are averaged in well-known networks
_POOL = (2, 2, 0)
_COMMON_ACTIVATIONS = 3  # whose forms come first


def propose(shapes: Shapes, layers: Sequence[SavedLayer] = ()) -> Iterator[Candidate]:
    """Every network that the layers could form, the likeliest first; none if they are not a
    sequence.

    ``layers`` is what a pickled module says about its layers: known strides, paddings and
    activations are not searched.
    """
    row = read_row(shapes)
    if row is None or max(max(layer.shape) for layer in row.layers) > _MAX_CHANNELS:
        return
    known = {layer.path: layer for layer in layers}
    exact = read_exactly(row, layers)
    if exact is not None and (fitting := _of_sizes(row, exact[0])):
        yield from (_candidate(row, geometry, exact[1]) for geometry in fitting)
        return
    for geometry, oddness in _geometries(row, shapes, known):
        usual, *others = _forms(row, geometry, known)
        rare = tuple(_candidate(row, geometry, form, oddness) for form in others)
        yield _candidate(row, geometry, usual, oddness, rare)


def _candidate(
    row: ConvRow,
    geometry: Geometry,
    form: Form,
    oddness: float = 0.0,
    rare: tuple[Candidate, ...] = (),
) -> Candidate:
    return Candidate(
        describe(row, geometry, form),
        partial(Chain, row, geometry, form),
        row.linears[-1].path,
        (geometry.size,),
        rare,
        any_size=geometry.any_size,
        channels=row.channels or row.linears[0].shape[1] // geometry.size**2,
        rebuilt=True,
        oddness=oddness + _oddness_of(form),
    )


# --- geometry


def _geometries(
    row: ConvRow, shapes: Shapes, known: dict[str, SavedLayer]
) -> list[tuple[Geometry, float]]:
    """Every geometry that works out and its oddness, in nats (`Candidate.oddness`), the usual
    ones first.
    """
    if not row.convs:
        return [(geometry, 0.0) for geometry in _flat(row.linears[0].shape[1])]
    places = row.linears[0].shape[1] // row.convs[-1].out
    side = math.isqrt(places)
    if side * side != places:
        return []
    poolings = _poolings(row, silent_slots(row.layers, shapes))
    found: dict[Geometry, float] = {}
    ways = product(enumerate(_SIZES), _convolutions(row, known), enumerate(poolings))
    for (place, size), how, (rank, pooled) in ways:
        convs = tuple(
            Convolution(c.stride, c.padding, c.dilation, _POOL if pool else None)
            for c, pool in zip(how, pooled, strict=True)
        )
        end = _end(row, convs, size)
        oddness = _oddness(convs) + 0.4 * place + 0.3 * min(rank, 8)
        if end == side:
            found.setdefault(Geometry(size, convs), oddness)
        elif end > side and side in _ADAPTIVE_SIDES and place == 0:
            shrunk = Geometry(size, convs, shrink=side, any_size=True)
            found.setdefault(shrunk, oddness + (-0.5 if side == 1 else 2))
    exact = {geometry.convolutions for geometry in found if not geometry.shrink}
    kept = [g for g in found.items() if not (g[0].shrink and g[0].convolutions in exact)]
    return sorted(kept, key=lambda item: item[1])[:_MAX_GEOMETRIES]


def _oddness(convs: tuple[Convolution, ...]) -> float:
    """How unusual this combination of convolutions is, roughly, in nats."""
    strided = any(c.stride > 1 for c in convs)
    pooled = any(c.pool is not None for c in convs)
    mixed = len({c.padding > 0 for c in convs}) > 1
    return (
        2.0 * strided + 2.0 * (strided and pooled) + 2.0 * mixed + 1.0 * (not (strided or pooled))
    )


def _flat(features: int) -> Iterator[Geometry]:
    """For a network without convolutions: square gray or color images with this many values."""
    for channels in (1, 3):
        side = math.isqrt(features // channels)
        if side * side * channels == features and _MIN_IMAGE_SIDE <= side <= _MAX_FLAT_SIDE:
            yield Geometry(side, ())


def _convolutions(row: ConvRow, known: dict[str, SavedLayer]) -> list[tuple[Convolution, ...]]:
    """Strides and paddings of all convolutions: as in the file, or the usual guesses."""
    known_ones = [
        how for layer in row.convs if (how := declared(known.get(layer.path))) is not None
    ]
    if len(known_ones) == len(row.convs):
        return [tuple(known_ones)]
    same = tuple(Convolution(1, layer.shape[2] // 2) for layer in row.convs)
    valid = tuple(Convolution(1, 0) for _ in row.convs)
    guesses = [same, valid]
    for base in (same, valid):
        guesses.append(tuple(Convolution(2, c.padding) for c in base))
        guesses.append((Convolution(2, base[0].padding), *base[1:]))
        guesses.append((base[0], *(Convolution(2, c.padding) for c in base[1:])))
        grows = _grows(row)
        guesses.append(
            tuple(Convolution(2 if g else 1, c.padding) for g, c in zip(grows, base, strict=True))
        )
    one = tuple(Convolution(1, 1) for _ in row.convs)
    two = tuple(Convolution(1, 2) for _ in row.convs)
    guesses += [one, two, (same[0], *valid[1:]), (valid[0], *same[1:])]
    # Strided 4×4 convolutions with padding 1 halve the map, as in GANs' discriminators.
    guesses.append(tuple(Convolution(2, 1) for _ in row.convs))
    return list(dict.fromkeys(guesses))


def _grows(row: ConvRow) -> list[bool]:
    """Whether each convolution has more channels than the one before; False for the first."""
    outs = [layer.out for layer in row.convs]
    return [False] + [after > before for before, after in pairwise(outs)]


def _poolings(row: ConvRow, slots: dict[str, int]) -> list[tuple[bool, ...]]:
    """After which convolutions the map is pooled, the likeliest first."""
    count = len(row.convs)
    every = tuple(True for _ in range(count))
    second = tuple(i % 2 == 1 for i in range(count))
    last = tuple(i == count - 1 for i in range(count))
    widens = (*_grows(row)[1:], True)
    third = tuple(i % 3 == 2 for i in range(count))
    usual = [every, second, widens, last, third, tuple(False for _ in range(count))]
    silent = [slots.get(layer.path) for layer in row.convs]
    if any(s is not None for s in silent):
        # One silent layer is just the activation; of two or more, one may well be a pooling.
        by_number = tuple(
            (s is None and i == count - 1) or (s or 0) >= 2 for i, s in enumerate(silent)
        )
        usual = [by_number, (*by_number[:-1], False), (*by_number[:-1], True), *usual]
    if count <= _MAX_EXHAUSTIVE:
        rest = sorted(product((False, True), repeat=count), key=_restless)
        usual += rest
    found = dict.fromkeys(usual)
    return [
        pooled
        for pooled in found
        if all(not pool or s is None or s >= 1 for pool, s in zip(pooled, silent, strict=True))
    ]


def _restless(pooled: tuple[bool, ...]) -> int:
    """How irregular a placement is: how often the distance between poolings changes."""
    places = [-1] + [i for i, pool in enumerate(pooled) if pool]
    gaps = [b - a for a, b in pairwise(places)]
    return sum(a != b for a, b in pairwise(gaps))


def _end(row: ConvRow, convolutions: tuple[Convolution, ...], size: int) -> int:
    """Side of the map after all convolutions; 0 if the image is too small."""
    for layer, how in zip(row.convs, convolutions, strict=True):
        if layer.shape[2] != layer.shape[3]:
            return 0
        size = (size + 2 * how.padding - how.dilation * (layer.shape[2] - 1) - 1) // how.stride + 1
        if how.pool is not None:
            size = (size + 2 * how.pool[2] - how.pool[0]) // how.pool[1] + 1
        if size < 1:
            return 0
    return size


def _of_sizes(row: ConvRow, exact: Geometry) -> list[Geometry]:
    """The geometry at every image size at which it works out."""
    if not row.convs:
        return list(_flat(row.linears[0].shape[1]))
    places = row.linears[0].shape[1] // row.convs[-1].out
    if exact.shrink:
        return [replace(exact, size=_SIZES[0], any_size=True)]
    ends = {size: _end(row, exact.convolutions, size) for size in _SIZES}
    return [replace(exact, size=size) for size, end in ends.items() if end * end == places]


# --- form


def _forms(row: ConvRow, geometry: Geometry, known: dict[str, SavedLayer]) -> list[Form]:
    """Activation, kind of pooling, order of norm and of flattening; the usual one first."""
    named = {activation_of(layer) for layer in known.values()} - {None}
    activations = [name for name in ACTIVATIONS if name in named] if len(named) == 1 else []
    if any(layer.prelu for layer in row.layers):
        activations = [PRELU]
    activations = activations or list(ACTIVATIONS)  # the usual one comes first there
    kinds = {layer.kind.rpartition(".")[2] for layer in known.values()}
    poolings: list[Pooling] = ["max", "avg"]
    if not any(how.pool for how in geometry.convolutions) or (
        "MaxPool2d" in kinds and "AvgPool2d" not in kinds
    ):
        poolings = ["max"]
    elif "AvgPool2d" in kinds and "MaxPool2d" not in kinds:
        poolings = ["avg"]
    norms = [False, True] if any(layer.norm for layer in row.layers) else [False]
    side = geometry.shrink or 2
    flattenings = [False, True] if side > 1 and row.channels != 1 else [False]
    if row.convs and row.linears[0].shape[1] == row.convs[-1].out:
        flattenings = [False]
    ways = product(flattenings, norms, poolings, activations)
    forms = [Form(act, pool, norm_last, last) for last, norm_last, pool, act in ways]
    return sorted(forms, key=lambda form: activations.index(form.activation) >= _COMMON_ACTIVATIONS)


def _oddness_of(form: Form) -> float:
    """How unusual it is, roughly, in nats."""
    return (
        ODDNESS_OF_ACTIVATION * (form.activation not in (USUAL, PRELU))
        + 1.0 * (form.pooling == "avg")
        + 1.5 * form.norm_last
        + 2.0 * form.channels_last
    )


def describe(row: ConvRow, geometry: Geometry, form: Form) -> str:
    """A name that no other candidate for the same layers has."""
    convs, linears = len(row.convs), len(row.linears)
    counts = [f"{convs} convolutions" if convs > 1 else "1 convolution"] if convs else []
    counts.append(f"{linears} linear layers" if linears > 1 else "1 linear layer")
    how = geometry.convolutions
    parts = []
    if how:
        strides, paddings = {c.stride for c in how}, [c.padding for c in how]
        same = all(c.padding == x.shape[2] // 2 for c, x in zip(how, row.convs, strict=True))
        words = "same" if same else str(paddings[0])
        if not same and len(set(paddings)) > 1:
            words = " ".join(map(str, paddings))
        parts.append(f"padding {words}")
        if strides != {1}:
            parts.append("stride " + " ".join(str(c.stride) for c in how))
        if any(c.dilation != 1 for c in how):
            parts.append("dilation " + " ".join(str(c.dilation) for c in how))
        pooled = [str(i + 1) for i, c in enumerate(how) if c.pool]
        if len(pooled) == len(how):
            parts.append(f"{form.pooling}-pool after each")
        elif pooled:
            parts.append(f"{form.pooling}-pool after {' '.join(pooled)}")
        if geometry.shrink:
            parts.append(f"averaged to {geometry.shrink}×{geometry.shrink}")
    parts.append(form.activation)
    if form.norm_last:
        parts.append("norm last")
    if form.channels_last:
        parts.append("flattened h×w×c")
    parts.append(f"{geometry.size}×{geometry.size}")
    return f"{'CNN' if how else 'MLP'} of {' and '.join(counts)}: {', '.join(parts)}"
