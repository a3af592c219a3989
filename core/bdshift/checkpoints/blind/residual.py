"""Residual networks by shapes and order. Authors who write their own ResNet give its layers names
of their own, and a body that is taken apart (``Sequential(*children())``) loses its names.

The stem is the convolution that takes an image. The others follow in the order of the file, which
is the order in which they were created: two or three to a block, and where the channels change a
shortcut, which is created before the block's convolutions or after them. Norms follow in the same
order; whether each belongs to the convolution before it or after it, no shape shows. Whatever fits
is a candidate.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import product
from typing import Literal

import torch
from torch.nn import functional

from bdshift.checkpoints.blind.head import HeadPlan, classify, head_plans
from bdshift.checkpoints.blind.parts import IMAGE_CHANNELS, Part, by_number, read_parts
from bdshift.checkpoints.families.base import MAX_BLOCKS, Candidate, Shapes
from bdshift.checkpoints.families.resnet import Stem, stems
from bdshift.checkpoints.families.sketch import Misfit, Sketch, Value

_MAX_CANDIDATES = 12
_EVENLY, _AT_THE_END = "", " with zeros at the end"

Place = Literal["last", "first", "middle"]
Style = Literal["post", "pre", "raw"]


@dataclass(frozen=True)
class _Block:
    """A block's convolutions, and the shortcut's if it has one."""

    convs: tuple[Part, ...]
    shortcut: Part | None
    changes: bool

    def in_file(self, place: Place) -> tuple[Part, ...]:
        """All of them in the order in which they are created."""
        own = (self.shortcut,) if self.shortcut else ()
        if place == "first":
            return (*own, *self.convs)
        return (*self.convs, *own) if place == "last" else (self.convs[0], *own, *self.convs[1:])


@dataclass(frozen=True)
class _Body:
    """The convolutions in their roles, and the norms by the convolution that they belong to.

    Attributes:
        norms: path of a norm by the path of its convolution.
        end: the norm after the last block, which most pre-activation networks have.
        style: "post" has norms after the convolutions; "pre" before them, shortcuts from the
            activated input; "raw" before them, shortcuts from the input itself.
    """

    stem: Part
    blocks: tuple[_Block, ...]
    norms: tuple[tuple[str, str], ...]
    end: str
    style: Style

    @property
    def width(self) -> int:
        """Channels at the end."""
        return self.blocks[-1].convs[-1].out


def propose(shapes: Shapes) -> Iterator[Candidate]:
    """Every residual network that the layers could be, as they come in the file, else in the order
    of their names; in a file that is sorted by name, the other way round. Its layers have the names
    of the file's; a tensor may be left over.
    """
    parts = read_parts(shapes)
    is_sorted = list(shapes) == sorted(shapes)
    for order in sorted([parts, by_number(parts)], key=lambda one: (one is parts) == is_sorted):
        found = list(_in_order(order, shapes))[:_MAX_CANDIDATES]
        if found:
            yield from _named_apart(found)
            return


def _named_apart(found: Sequence[Candidate]) -> Iterator[Candidate]:
    """Candidates of the same name are numbered."""
    seen: dict[str, int] = {}
    for one in found:
        seen[one.name] = seen.get(one.name, 0) + 1
        number = seen[one.name]
        yield (
            one
            if number == 1
            else replace(
                one,
                name=f"{one.name}, reading {number}",
                rare=tuple(replace(r, name=f"{r.name}, reading {number}") for r in one.rare),
            )
        )


def _in_order(parts: Sequence[Part], shapes: Shapes) -> Iterator[Candidate]:
    seen: set[_Body] = set()
    for body, left in _bodies(parts):
        if body in seen:
            continue
        seen.add(body)
        for head in head_plans(left, body.width, shapes):
            options = stems(body.stem.shape[2], body.style != "post" and body.stem.shape[2] < 5)
            for stem, pad in product(options, _paddings(body)):
                sketch = Sketch(shapes)
                try:
                    name = _write(sketch, body, head, stem, pad)
                except Misfit:
                    continue
                yield replace(sketch.candidate(name), by_shape=True)


# --- reading


def _bodies(parts: Sequence[Part]) -> Iterator[tuple[_Body, list[Part]]]:
    """Every way to read the body, and the layers that it leaves."""
    convs = [part for part in parts if part.kind == "conv"]
    first = [c for c in convs if c.shape[1] in IMAGE_CHANNELS and c.out > c.shape[1]]
    if not first:
        return
    stem = first[0]
    rest = [conv for conv in convs if conv is not stem]
    norms = [part for part in parts if part.kind == "norm"]
    others = [part for part in parts if part.kind in ("linear", "vector")]
    places: tuple[Place, ...] = ("last", "first", "middle")
    for size, place in product((2, 3), places):
        blocks = _blocks(rest, stem.out, size, place)
        if not blocks:
            continue
        for style in ("post", "pre", "raw"):
            assigned = _assign(stem, blocks, norms, style, place)
            if assigned is not None:
                given, end, unused = assigned
                order = {part.path: i for i, part in enumerate(parts)}
                left = sorted([*others, *unused], key=lambda part: order[part.path])
                yield _Body(stem, blocks, given, end, style), left


def _blocks(convs: Sequence[Part], channels: int, size: int, place: Place) -> tuple[_Block, ...]:
    """The convolutions as blocks of this many; () if they do not form any."""
    found: list[_Block] = []
    at = 0
    while at < len(convs) and len(found) < MAX_BLOCKS:
        step = _block(convs[at : at + size + 1], channels, size, place)
        if step is None:
            return ()
        found.append(step)
        at += size + (step.shortcut is not None)
        channels = step.convs[-1].out
    return tuple(found) if at >= len(convs) else ()


def _block(ahead: Sequence[Part], channels: int, size: int, place: Place) -> _Block | None:
    where = {"last": size, "first": 0, "middle": 1}[place]
    if len(ahead) > size:
        rest = (*ahead[:where], *ahead[where + 1 :])
        through = _through(rest, channels)
        if through and _is_shortcut(ahead[where], channels, rest):
            return _Block(tuple(rest), ahead[where], through != channels)
    plain = tuple(ahead[:size])
    through = _through(plain, channels)
    if len(plain) < size or not through:
        return None
    return _Block(plain, None, through != channels)


def _is_shortcut(conv: Part, channels: int, block: Sequence[Part]) -> bool:
    """Whether it leads from a block's input to its output. Where the channels stay the same, it
    could be the next block's first convolution, unless only a shortcut is that small.
    """
    if conv.shape[:2] != (block[-1].out, channels):
        return False
    small = conv.shape[2] == 1 and min(part.shape[2] for part in block) > 1
    return small or block[-1].out != channels


def _through(convs: Sequence[Part], channels: int) -> int:
    """Channels after a block of these convolutions; 0 if they do not fit each other."""
    if len({conv.path for conv in convs}) != len(convs):
        return 0
    if len(convs) == 3 and not (convs[0].shape[2] == 1 == convs[2].shape[2]):
        return 0
    for number, conv in enumerate(convs):
        grouped = number == 1 and len(convs) == 3 and channels % conv.shape[1] == 0
        if conv.shape[1] != channels and not grouped:
            return 0
        if conv.shape[2] != conv.shape[3] or conv.shape[2] % 2 == 0:
            return 0
        channels = conv.out
    return channels


def _assign(
    stem: Part, blocks: Sequence[_Block], norms: Sequence[Part], style: Style, place: Place
) -> tuple[tuple[tuple[str, str], ...], str, list[Part]] | None:
    """Each convolution's norm, the one at the end, and the norms that are left: of each size, the
    next in the file. None if one is missing.
    """
    queues: dict[int, list[Part]] = {}
    for norm in reversed(norms):
        queues.setdefault(norm.out, []).append(norm)

    def take(size: int) -> str:
        if not queues.get(size):
            raise Misfit("norm")
        return queues[size].pop().path

    convs = sum(len(block.convs) for block in blocks)
    shortcuts = sum(block.shortcut is not None for block in blocks)
    normed = style == "post" and len(norms) >= convs + shortcuts + 1
    given: dict[str, str] = {}
    try:
        if style == "post":
            given[stem.path] = take(stem.out)
        for block in blocks:
            for conv in block.in_file(place):
                if conv is not block.shortcut:
                    given[conv.path] = take(conv.out if style == "post" else _given(conv, block))
                elif normed:
                    given[conv.path] = take(conv.out)
        last = blocks[-1].convs[-1].out
        end = take(last) if style != "post" and queues.get(last) else ""
    except Misfit:
        return None
    unused = {norm.path for queue in queues.values() for norm in queue}
    return tuple(given.items()), end, [norm for norm in norms if norm.path in unused]


def _given(conv: Part, block: _Block) -> int:
    """Channels that a block's convolution is given."""
    at = block.convs.index(conv)
    return block.convs[at - 1].out if at else conv.shape[1]


# --- writing


def _write(sketch: Sketch, body: _Body, head: HeadPlan, stem: Stem, pad: str | None) -> str:
    norms = dict(body.norms)

    def normed(x: Value, conv: Part) -> Value:
        return sketch.layer(norms[conv.path], x) if conv.path in norms else x

    sketch.sizes = stem.sizes
    x = sketch.layer(body.stem.path, sketch.image(body.stem.path), stride=stem.stride)
    if body.style == "post":
        x = sketch.act(normed(x, body.stem))
    if stem.pool:
        x = sketch.max_pool(x, 3, 2, 1)
    for number, block in enumerate(body.blocks):
        stride = 2 if block.changes and number else 1
        past, y = x, x
        for place, conv in enumerate(block.convs):
            if body.style != "post":
                y = sketch.act(normed(y, conv))
                if place == 0 and body.style == "pre" and block.shortcut is not None:
                    past = y
            strided = place == (1 if len(block.convs) == 3 else 0)
            y = sketch.layer(conv.path, y, stride=stride if strided else 1)
            if body.style == "post":
                y = normed(y, conv)
                y = sketch.act(y) if place < len(block.convs) - 1 else y
        if block.shortcut is not None:
            past = normed(sketch.layer(block.shortcut.path, past, stride=stride), block.shortcut)
        elif block.changes:
            past = _without_weights(sketch, past, y.channels, stride, pad)
        x = sketch.add(y, past)
        x = sketch.act(x) if body.style == "post" else x
    if body.end:
        x = sketch.act(sketch.layer(body.end, x))
    classify(sketch, x, head)
    return _described(body, head, stem, pad)


def _without_weights(
    sketch: Sketch, x: Value, channels: int, stride: int, pad: str | None
) -> Value:
    """Option A of the ResNet paper: every second pixel, and zeros for the new channels."""
    new = channels - x.channels
    if new < 0:
        raise Misfit("shortcut")
    before = new // 2 if pad == _EVENLY else 0
    function = partial(_subsample, stride=stride, before=before, after=new - before)
    return sketch.apply(function, x, channels=channels)


def _subsample(x: torch.Tensor, stride: int, before: int, after: int) -> torch.Tensor:
    return functional.pad(x[:, :, ::stride, ::stride], (0, 0, 0, 0, before, after))


def _paddings(body: _Body) -> tuple[str | None, ...]:
    free = any(block.changes and block.shortcut is None for block in body.blocks)
    return (_EVENLY, _AT_THE_END) if free else (None,)


def _described(body: _Body, head: HeadPlan, stem: Stem, pad: str | None) -> str:
    """A name that says everything in which candidates may differ."""
    depth = sum(len(block.convs) for block in body.blocks) + 2
    words = [
        f"{'ResNet' if body.style == 'post' else 'PreActResNet'}-{depth} read from shapes",
        f"width {body.blocks[0].convs[0].out}",
        {"post": "", "pre": "", "raw": "shortcuts before the norms"}[body.style],
        "" if pad is None else f"A shortcut{pad}",
        stem.label,
        head.label,
    ]
    return ", ".join(word for word in words if word)
