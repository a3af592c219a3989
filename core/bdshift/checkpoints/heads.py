"""A well-known network whose last layer was replaced by several, as in many scripts that start from
a trained one: ``fc = Sequential(Linear(512, 256), ReLU(), Dropout(), Linear(256, 10))``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from bdshift.checkpoints.chain.network import Chain, Form, Geometry
from bdshift.checkpoints.chain.row import ConvRow, read_row
from bdshift.checkpoints.families import Candidate, Shapes
from bdshift.checkpoints.families.base import ACTIVATIONS, USUAL

if TYPE_CHECKING:
    from torch import nn

HEADS = (
    "fc", "linear", "classifier", "head", "classifier.1", "classifier.6", "classifier.3",
    "classifier.2", "classifier.5", "heads.head", "head.fc", "last_linear",
)  # fmt: skip
"""Where well-known networks have their last layer."""


def propose(shapes: Shapes, recognize: Callable[[Shapes], list[Candidate]]) -> Iterator[Candidate]:
    """The networks that ``recognize`` knows, with the file's head in place of theirs."""
    for head in HEADS:
        place = head
        while place:
            yield from at(shapes, recognize, head, place)
            place = place.rpartition(".")[0]


def at(
    shapes: Shapes, recognize: Callable[[Shapes], list[Candidate]], head: str, place: str
) -> Iterator[Candidate]:
    """Networks whose last layer is ``head``, with what the file has at ``place`` instead."""
    inside = {k[len(place) + 1 :]: s for k, s in shapes.items() if k.startswith(f"{place}.")}
    row = read_row(inside if "weight" not in inside else {f"0.{k}": s for k, s in inside.items()})
    if row is None or row.convs or (place == head and "weight" in inside):
        return
    classes, features = row.linears[-1].out, row.linears[0].shape[1]
    usual = {k: s for k, s in shapes.items() if not k.startswith(f"{place}.")}
    for bias in ({f"{head}.bias": (classes,)}, {}):
        bases = recognize(usual | {f"{head}.weight": (classes, features)} | bias)
        yield from (_with_head(base, row, place, single="weight" in inside) for base in bases)
        if bases:
            return


def _with_head(base: Candidate, row: ConvRow, place: str, *, single: bool) -> Candidate:
    last = place if single else f"{place}.{row.linears[-1].path}"
    words = "" if single else f", head of {len(row.linears)} linear layers"

    def candidate(base: Candidate, activation: str, rare: tuple[Candidate, ...]) -> Candidate:
        name = base.name + words + ("" if activation == USUAL else f" with {activation}")
        build = partial(_build, base.build, row, place, Form(activation), single)
        return replace(base, name=name, build=build, head=last, rare=rare)

    others = [a for a in ACTIVATIONS if a != USUAL] if len(row.linears) > 1 else []
    rare = tuple(candidate(base, activation, ()) for activation in others)
    return candidate(base, USUAL, rare)


def _build(
    base: Callable[[], nn.Module], row: ConvRow, place: str, form: Form, single: bool
) -> nn.Module:
    network = base()
    head: nn.Module = Chain(row, Geometry(1, ()), form)
    network.set_submodule(place, head.get_submodule("0") if single else head)
    return network
