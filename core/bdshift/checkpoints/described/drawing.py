"""Writes a network down step by step, from a file that describes it, and checks every step."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import nn

from bdshift.checkpoints.families.base import Candidate
from bdshift.checkpoints.families.network import Function, Network, NetworkPlan, NetworkStep
from bdshift.checkpoints.tensors import LazyTensor
from bdshift.errors import InputError
from bdshift.images.preprocessing import MAX_SIZE

_MAX_STEPS = 20_000
_MAX_INPUTS = 40_000  # of all steps
_MAX_NUMBERS = 2**26  # in a value, for one image


@dataclass(frozen=True)
class Drawn:
    """A value on its way through the network: its number, and a tensor of its shape, without
    numbers, for one image.
    """

    number: int
    sample: torch.Tensor

    @property
    def shape(self) -> tuple[int, ...]:
        """For one image: (C, H, W) or (features,)."""
        return tuple(self.sample.shape[1:])


class Drawing:
    """A network that is being written down.

    Attributes:
        tensors: the state dict so far.
    """

    def __init__(self) -> None:
        self.tensors: dict[str, LazyTensor] = {}
        self._layers: dict[str, Callable[[], nn.Module]] = {}
        self._linear: dict[str, int] = {}  # layers that may be the head, and the steps they are
        self._steps: list[NetworkStep] = []
        self._inputs = 0

    def image(self, shape: tuple[int, ...]) -> Drawn:
        """The network's input (C, H, W). Raises `InputError` if no images have that shape."""
        if len(shape) != 3 or shape[0] not in (1, 3) or not 0 < max(shape[1:]) <= MAX_SIZE:
            raise InputError(
                "its input is {shape}, not pictures of one or three channels", shape=str(shape)
            )
        if shape[1] != shape[2]:
            raise InputError("its pictures are {shape}, not squares", shape=str(shape))
        return Drawn(0, torch.empty(1, *shape, device="meta"))

    def layer(
        self,
        name: str,
        make: Callable[[], nn.Module],
        tensors: Mapping[str, LazyTensor],
        value: Drawn,
    ) -> Drawn:
        """The value after a layer with these tensors.

        Raises `InputError` if they do not fit each other.
        """
        name = name.replace(".", "_")
        if name in self._layers or not name:
            raise InputError("two of its layers are called {name}", name=name)
        with torch.device("meta"):
            module = make().eval()
        expected = {
            key: tuple(one.shape)
            for key, one in module.state_dict().items()
            if not key.endswith("num_batches_tracked")
        }
        if expected != {key: tensor.shape for key, tensor in tensors.items()}:
            raise InputError("the weights of its layer {name} have other shapes", name=name)
        self._layers[name] = make
        self.tensors |= {f"{name}.{key}": tensor for key, tensor in tensors.items()}
        if isinstance(module, nn.Linear):
            self._linear[name] = len(self._steps)
        return self._step(name, module, value)

    def function(self, does: Function, *values: Drawn) -> Drawn:
        """The value of a function of others."""
        return self._step(does, does, *values)

    def _step(
        self, does: str | Function, run: Callable[..., torch.Tensor], *values: Drawn
    ) -> Drawn:
        self._inputs += len(values)
        if len(self._steps) >= _MAX_STEPS or self._inputs > _MAX_INPUTS:
            raise InputError("has more layers than any network")
        try:
            with torch.inference_mode():
                sample = run(*(value.sample for value in values))
        except (RuntimeError, ValueError, IndexError, TypeError) as error:
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise InputError(
                "its layers do not fit each other ({reason})", reason=reason[:120]
            ) from error
        if sample.numel() > _MAX_NUMBERS or sample.shape[:1] != (1,):
            raise InputError("its layers make values larger than any network's")
        drawn = Drawn(len(self._steps) + 1, sample)
        inputs = tuple(value.number for value in values)
        self._steps.append(NetworkStep(does, inputs, drawn.number))
        return drawn

    def finished(self, name: str, image: Drawn, output: Drawn, *, any_size: bool) -> Candidate:
        """The network from the image to ``output``.

        Raises `InputError` if it has no linear layer that could be its head.
        """
        needed, steps = {output.number}, []
        for step in reversed(self._steps[: output.number]):
            if step.output in needed:
                last = tuple(number for number in set(step.inputs) if number not in needed)
                needed.update(step.inputs)
                steps.append(replace(step, last=last))
        steps.reverse()
        used = {step.does for step in steps}
        heads = [head for head in self._linear if head in used]
        if not heads:
            raise InputError("has no linear layer that could be its head")
        layers = tuple((key, make) for key, make in self._layers.items() if key in used)
        names = tuple(f"{key}." for key, _ in layers)
        self.tensors = {k: t for k, t in self.tensors.items() if k.startswith(names)}
        plan = NetworkPlan(layers, tuple(steps))
        channels, side = image.shape[:2]
        return Candidate(
            name, partial(Network, plan), heads[-1], (side,), any_size=any_size, channels=channels
        )
