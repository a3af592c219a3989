"""CLP (Zheng et al., 2022): channels whose Lipschitz constant stands out are cut, without data."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import torch

from bdshift.errors import UsageError
from bdshift.purify.channels import Pair, of_embedding, registered_pairs, traced_pairs
from bdshift.purify.method import Form, Method, Step, check_form
from bdshift.purify.tuning import clean_loss, held_out
from bdshift.purify.workbench import Workbench


@dataclass(frozen=True)
class Clp(Method):
    """A channel's constant is the spectral norm of its kernel, (in, k·k), times |γ|/√(var + ε) of
    the batch norm behind it. Those above mean + u·std of their layer are cut.

    Attributes:
        u: standard deviations; 3 in the paper.
        form: "fixed" finds the norm behind each convolution by sending images through, takes ε in,
            and cuts convolutions without a norm as well. "reference" pairs each norm with the
            convolution made last before it, as the published code does: wrong where norms come
            first; it has no ε, and takes std with n − 1.
    """

    name: ClassVar[str] = "clp"

    u: float = 3.0
    form: Form = "fixed"

    def __post_init__(self) -> None:
        check_form(self.name, self.form)
        if not self.u > 0:
            raise UsageError(f"clp: u must be a positive number, not {self.u}")

    @property
    def total(self) -> int:
        """Steps at most."""
        return 1

    def steps(self, bench: Workbench) -> Iterator[Step]:
        """Cut."""
        if "cut" in bench.state:
            return
        bench.state["cut"] = True
        pairs = traced_pairs(bench) if self.form == "fixed" else registered_pairs(bench)
        last = of_embedding(pairs, bench.head.in_features)
        if last is not None:
            bench.state["ranking"] = self._constants(last)
        count = 0
        for pair in pairs:
            values = self._constants(pair)
            gone = values > values.mean() + self.u * values.std(
                correction=int(self.form == "reference")
            )
            count += int(gone.sum())
            with torch.no_grad():
                cut = pair.norm if pair.norm is not None and pair.norm.affine else pair.conv
                for part in cut.parameters():  # weight and bias
                    part[gone] = 0
        score, figures = held_out(bench, clean_loss(bench))
        yield Step(0, score, {"cut": float(count), **figures}, final=True)

    def _constants(self, pair: Pair) -> torch.Tensor:
        weight = pair.conv.weight.detach()
        values = torch.linalg.matrix_norm(weight.flatten(2), ord=2)
        norm = pair.norm
        if norm is None or norm.running_var is None:
            return values
        floor = norm.eps if self.form == "fixed" else 0.0
        gain = norm.weight.detach().abs() if norm.affine else torch.ones_like(values)
        return values * gain / (norm.running_var + floor).sqrt()
