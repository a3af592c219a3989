"""The channels of a network: which batch norm follows which convolution, and masks on them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import torch
from torch import nn

from bdshift.errors import UsageError
from bdshift.purification.workbench import Workbench


@dataclass(frozen=True)
class Pair:
    """A convolution, and the batch norm that its output goes directly into, if any."""

    name: str
    conv: nn.Conv2d
    norm: nn.BatchNorm2d | None


def traced_pairs(bench: Workbench) -> list[Pair]:
    """Every convolution in the order in which an image passes them, with the norm after it. Two
    images are run to find out which one that is: the order in which layers were created says
    nothing about it.
    """
    names = {module: name for name, module in bench.network.named_modules()}
    outputs: list[tuple[nn.Conv2d, torch.Tensor]] = []  # kept, so that no two share an id
    behind: dict[nn.Conv2d, nn.BatchNorm2d] = {}

    def leaves(conv: nn.Module, _: object, output: torch.Tensor) -> None:
        assert isinstance(conv, nn.Conv2d)
        outputs.append((conv, output))

    def enters(norm: nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
        assert isinstance(norm, nn.BatchNorm2d)
        for conv, output in outputs:
            if output is inputs[0]:
                behind[conv] = norm

    with ExitStack() as hooks, torch.no_grad():
        for module in bench.network.modules():
            if isinstance(module, nn.Conv2d):
                hooks.callback(module.register_forward_hook(leaves).remove)
            elif isinstance(module, nn.BatchNorm2d):
                hooks.callback(module.register_forward_pre_hook(enters).remove)
        bench.network.eval()
        bench.phi(bench.clean.preprocess(bench.clean.tune.pixels[:2]))
    return [Pair(names[conv], conv, behind.get(conv)) for conv, _ in outputs]


def registered_pairs(bench: Workbench) -> list[Pair]:
    """Every batch norm with the last convolution created before it, as in CLP's code."""
    found: list[Pair] = []
    last: tuple[str, nn.Conv2d] | None = None
    for name, module in bench.network.named_modules():
        if isinstance(module, nn.Conv2d):
            last = name, module
        elif (
            isinstance(module, nn.BatchNorm2d)
            and last is not None
            and module.num_features == last[1].out_channels  # else the published code stops
        ):
            found.append(Pair(*last, module))
    return found


def of_embedding(pairs: Sequence[Pair], dim: int) -> Pair | None:
    """The last convolution whose channels are the embedding's ``dim`` neurons, if any."""
    fitting = [pair for pair in pairs if pair.conv.out_channels == dim]
    return fitting[-1] if fitting else None


class Masks:
    """One number per channel of every batch norm, initially 1, that multiplies its γ."""

    def __init__(self, bench: Workbench) -> None:
        self.names = [
            name
            for name, part in bench.network.named_modules()
            if isinstance(part, nn.BatchNorm2d) and part.affine
        ]
        self.norms: list[nn.BatchNorm2d] = [
            bench.network.get_submodule(name)  # type: ignore[misc]
            for name in self.names
        ]
        if not self.norms:
            raise UsageError("the network has no batch norms to put masks on")
        self.values = [
            torch.ones(norm.num_features, device=bench.device, requires_grad=True)
            for norm in self.norms
        ]

    @contextmanager
    def on(
        self,
        gains: Sequence[torch.Tensor] | None = None,
        lifts: Sequence[torch.Tensor] | None = None,
    ) -> Iterator[None]:
        """γ·(mask + gain) and β·(1 + lift) in place of γ and β, inside the block."""

        def masked(number: int) -> object:
            def hook(norm: nn.Module, _: object, output: torch.Tensor) -> torch.Tensor:
                mask = self.values[number]
                if gains is not None:
                    mask = mask + gains[number]
                assert isinstance(norm.bias, torch.Tensor)
                bias = norm.bias.view(1, -1, 1, 1)
                lifted = bias if lifts is None else bias * (1 + lifts[number].view(1, -1, 1, 1))
                return (output - bias) * mask.view(1, -1, 1, 1) + lifted

            return hook

        with ExitStack() as hooks:
            for number, norm in enumerate(self.norms):
                hooks.callback(norm.register_forward_hook(masked(number)).remove)  # type: ignore[arg-type]
            yield

    def saved(self) -> list[torch.Tensor]:
        """A copy of the values, for a state."""
        return [value.detach().clone() for value in self.values]

    def load(self, saved: Sequence[torch.Tensor]) -> None:
        """Restore values that were `saved`."""
        with torch.no_grad():
            for value, old in zip(self.values, saved, strict=True):
                value.copy_(old)

    def clip(self) -> None:
        """Keep them between 0 and 1."""
        with torch.no_grad():
            for value in self.values:
                value.clamp_(0, 1)

    def cut(self, threshold: float) -> int:
        """Set γ to zero where the mask is not above ``threshold``; returns how many were."""
        count = 0
        with torch.no_grad():
            for norm, mask in zip(self.norms, self.values, strict=True):
                gone = mask <= threshold
                norm.weight[gone] = 0
                count += int(gone.sum())
        return count
