"""Networks written down from the shapes: the state dict says what the layers are, and a family
gives their order and what is between them.

A family walks through its network with a `Sketch`, naming layers as the project's state dict does.
Kind, widths, kernel, groups and bias of a layer are read from its tensors, so one description
covers every width and depth. Nothing is computed and no module is created along the way; `Network`
creates them. A layer that is missing, or does not fit its input, raises `Misfit`: the shapes belong
to another family. Every loop in a family requests a layer in each iteration, so it ends when the
file's tensors do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial

import torch
from torch import nn
from torch.nn import functional

from bdshift.checkpoints.families.base import (
    Candidate,
    Shapes,
    count_blocks,
    with_rare_activations,
)
from bdshift.checkpoints.families.network import (
    FUNCTIONS,
    Function,
    Network,
    NetworkPlan,
    NetworkStep,
    PointwiseHead,
    add,
    concatenate,
    scale,
    slice_channels,
)


class Misfit(Exception):
    """The shapes belong to another family."""


@dataclass(frozen=True)
class Value:
    """A tensor on its way through the network: its number, its channels (n, C, H, W), or its
    features (n, C) where it is ``flat``.
    """

    number: int
    channels: int
    flat: bool = False


@dataclass
class Sketch:
    """What a family has written so far.

    Attributes:
        shapes: of the state dict.
        sizes: input sizes worth trying.
        head: name of the last linear layer, once `classify` has been called.
        epsilon: added to the variance in batch norms; ``epsilons`` has exceptions, by name.
    """

    shapes: Shapes
    sizes: tuple[int, ...] = (32,)
    head: str = ""
    epsilon: float = 1e-5
    epsilons: dict[str, float] = field(default_factory=dict)
    _layers: dict[str, Callable[[], nn.Module]] = field(default_factory=dict)
    _steps: list[NetworkStep] = field(default_factory=list)
    _activated: bool = False
    _flattened: bool = False

    def has(self, name: str) -> bool:
        """Whether there is a layer with this name."""
        return f"{name}.weight" in self.shapes

    def shape(self, name: str) -> tuple[int, ...]:
        """Shape of the layer's weight.

        Raises `Misfit` if there is none, or it is empty.
        """
        shape = self.shapes.get(f"{name}.weight", ())
        if not shape or min(shape) < 1:
            raise Misfit(name)
        return shape

    def count(self, pattern: str) -> int:
        """Blocks numbered from 0 without gaps, as in `count_blocks`.

        Raises `Misfit` if there are none.
        """
        count = count_blocks(self.shapes, pattern)
        if not count:
            raise Misfit(pattern)
        return count

    def image(self, first: str) -> Value:
        """The input: as many channels as the convolution ``first`` takes."""
        shape = self.shape(first)
        if len(shape) != 4:
            raise Misfit(first)
        return Value(0, shape[1])

    def _step(self, does: str | Function | None, *inputs: Value, channels: int = 0) -> Value:
        output = len(self._steps) + 1
        self._steps.append(NetworkStep(does, tuple(value.number for value in inputs), output))
        return Value(output, channels or inputs[0].channels, inputs[0].flat)

    def apply(self, function: Function, *inputs: Value, channels: int = 0) -> Value:
        """A function without weights; ``channels`` if it changes them."""
        return self._step(function, *inputs, channels=channels)

    def keep(self, name: str, x: Value, *, stride: int = 1, padding: int | None = None) -> Value:
        """Create the layer, for its tensors; `layer` also applies it. The result is what applying
        it would give.
        """
        shape, bias = self.shape(name), f"{name}.bias" in self.shapes
        if len(shape) == 4:
            out, inner, height, width = shape
            groups = x.channels // inner
            if x.flat or x.channels % inner or out % groups:
                raise Misfit(name)
            sides = (height // 2, width // 2) if padding is None else (padding, padding)
            self._layers[name] = partial(
                nn.Conv2d, x.channels, out, (height, width), stride, sides, groups=groups, bias=bias
            )
            return Value(x.number, out)
        if stride != 1 or shape[-1] != x.channels or len(shape) > 2:
            raise Misfit(name)
        if len(shape) == 1:
            if f"{name}.running_var" not in self.shapes:
                raise Misfit(name)
            norm = nn.BatchNorm1d if x.flat else nn.BatchNorm2d
            self._layers[name] = partial(norm, x.channels, self.epsilons.get(name, self.epsilon))
            return x
        if not x.flat:
            raise Misfit(name)
        self._layers[name] = partial(nn.Linear, x.channels, shape[0], bias=bias)
        return Value(x.number, shape[0], flat=True)

    def layer(self, name: str, x: Value, *, stride: int = 1, padding: int | None = None) -> Value:
        """A convolution (padded by half its kernel by default), a batch norm or a linear layer,
        whichever its tensors are.
        """
        return self._step(
            name, x, channels=self.keep(name, x, stride=stride, padding=padding).channels
        )

    def run(self, prefix: str, x: Value, words: str, *, stride: int = 1) -> Value:
        """Apply layers in sequence, by their names under ``prefix``; the one with ``/`` after its
        name takes the stride. ``act`` is the activation, and `FUNCTIONS` are given by name.
        """
        for word in words.split():
            if word == "act":
                x = self.act(x)
            elif word in FUNCTIONS:
                x = self.apply(FUNCTIONS[word], x)
            else:
                x = self.layer(
                    prefix + word.removesuffix("/"), x, stride=stride if word[-1] == "/" else 1
                )
        return x

    def act(self, x: Value) -> Value:
        """The activation, ReLU unless something else explains the labels better."""
        self._activated = True
        return self._step(None, x)

    def add(self, *values: Value) -> Value:
        """Their sum."""
        if len({value.channels for value in values}) != 1:
            raise Misfit("sum")
        return self.apply(add, *values)

    def concatenate(self, *values: Value) -> Value:
        """Their channels, one after another."""
        total = sum(value.channels for value in values)
        return self.apply(concatenate, *values, channels=total)

    def split(self, x: Value, at: int) -> tuple[Value, Value]:
        """The channels before ``at`` and the others."""
        if not 0 < at < x.channels:
            raise Misfit("split")
        rest = x.channels - at
        first = self.apply(partial(slice_channels, start=0, stop=at), x, channels=at)
        second = partial(slice_channels, start=at, stop=x.channels)
        return first, self.apply(second, x, channels=rest)

    def gate(self, x: Value, squeeze: str, excite: str, inner: str = "relu") -> Value:
        """Squeeze-and-excitation: two layers on the channels' means scale the channels. They may be
        linear or 1×1 convolutions.
        """
        flat = len(self.shape(squeeze)) == 2
        mean = (
            self._mean(x) if flat else self.apply(partial(torch.mean, dim=(2, 3), keepdim=True), x)
        )
        gate = self.run("", mean, f"{squeeze} {inner} {excite} sigmoid")
        if gate.channels != x.channels:
            raise Misfit(excite)
        return self.apply(scale, x, gate)

    def max_pool(self, x: Value, kernel: int, stride: int, padding: int = 0) -> Value:
        """Maximum over windows."""
        pool = partial(functional.max_pool2d, kernel_size=kernel, stride=stride, padding=padding)
        return self.apply(pool, x)

    def average_pool(self, x: Value, kernel: int, stride: int, padding: int = 0) -> Value:
        """Mean over windows."""
        pool = partial(functional.avg_pool2d, kernel_size=kernel, stride=stride, padding=padding)
        return self.apply(pool, x)

    def _mean(self, x: Value) -> Value:
        pooled = self.apply(partial(torch.mean, dim=(2, 3)), x)
        return Value(pooled.number, x.channels, flat=True)

    def pool_with(self, name: str, make: Callable[[], nn.Module], x: Value) -> Value:
        """The map as one vector, by a pooling layer that has weights."""
        self._layers[name] = make
        return Value(self._step(name, x).number, x.channels, flat=True)

    def flatten(self, x: Value, features: int, *, most: bool = False) -> Value:
        """The map as one vector with this many features: its mean over all pixels (or, with
        ``most``, its maximum) if there are as many as channels, which works for any input size.
        """
        if features % x.channels:
            raise Misfit("features")
        if features == x.channels:
            flat = self.apply(partial(torch.amax, dim=(2, 3)), x) if most else self._mean(x)
        else:
            self._flattened = True
            flat = self.apply(partial(torch.flatten, start_dim=1), x)
        return Value(flat.number, features, flat=True)

    def classify(self, name: str, x: Value) -> None:
        """The head: a linear layer on `flatten`, or a 1×1 convolution on the pooled map."""
        shape = self.shape(name)
        self.head = name
        if len(shape) == 4:
            if shape[2:] != (1, 1) or shape[1] != x.channels or x.flat:
                raise Misfit(name)
            bias = f"{name}.bias" in self.shapes
            self._layers[name] = partial(PointwiseHead, x.channels, shape[0], bias=bias)
            self._step(name, self._mean(x), channels=shape[0])
        elif len(shape) == 2:
            self.layer(name, x if x.flat else self.flatten(x, shape[1]))
        else:
            raise Misfit(name)

    def candidate(self, name: str) -> Candidate:
        """The finished network, with other activations as rare ones if it uses `act`."""
        used: set[int] = set()
        steps = []
        for step in reversed(self._steps):
            last = tuple(set(step.inputs) - used)
            used.update(step.inputs)
            steps.append(NetworkStep(step.does, step.inputs, step.output, last))
        build = partial(Network, NetworkPlan(tuple(self._layers.items()), tuple(reversed(steps))))
        any_size = not self._flattened
        candidate = with_rare_activations(name, build, self.head, self.sizes, any_size=any_size)
        return candidate if self._activated else replace(candidate, rare=())


def sketched(shapes: Shapes, *writers: Callable[[Sketch], str]) -> Iterator[Candidate]:
    """What each writer makes from the shapes; a writer walks through its network, calls
    `Sketch.classify` and returns the network's name, or raises `Misfit`.
    """
    for write in writers:
        sketch = Sketch(shapes)
        try:
            name = write(sketch)
        except Misfit:
            continue
        yield sketch.candidate(name)
