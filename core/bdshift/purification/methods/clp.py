"""CLP (Zheng et al., 2022): cuts channels whose Lipschitz constant stands out, without data."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch

from bdshift.purification import quantities as q
from bdshift.purification.channels import Pair, of_embedding, registered_pairs, traced_pairs
from bdshift.purification.method import METHODS, Method, Step, Variant, variant_setting
from bdshift.purification.tuning import clean_loss, held_out
from bdshift.purification.workbench import Workbench
from bdshift.setting import setting
from bdshift.words import words


@METHODS.register
@dataclass(frozen=True)
class Clp(Method):
    """A channel's constant is the spectral norm of its kernel, (in, k·k), times |γ|/√(var + ε) of
    the batch norm after it. Channels above mean + u·std of their layer are cut.

    Attributes:
        u: standard deviations; 3 in the paper.
        form: "fixed" finds the norm after each convolution by running images, includes ε, and cuts
            convolutions without a norm as well. "reference" pairs each norm with the last
            convolution created before it, as the published code does, which is wrong where norms
            come first; it has no ε, and takes std with n − 1.
    """

    name = "clp"
    label = "CLP"
    summary = words("Cuts channels whose Lipschitz constant stands out; needs no images.",
                    ja="リプシッツ定数が突出したチャネルを無効化します。"
                       "画像は要りません。")  # fmt: skip
    place = 30
    table_rows = (("CLP", "clp"),)
    published_rows = (("CLP as published", "clp:form=reference"),)

    u: float = setting(
        3.0, words("Deviations", ja="偏差の数"),
        words("Channels this many standard deviations above their layer's mean are cut.",
              ja="層の平均からこの数だけ標準偏差を超えるチャネルを無効化します。"),
        low=0, above=True, high=1_000_000, step=0.5, decimals=2,
        source=words("3 in the paper.", ja="論文では 3。"),
    )  # fmt: skip
    form: Variant = variant_setting(
        words("fixed finds the norm after each convolution; reference takes the one created next, "
              "as the published code does, which may be a different one.",
              ja="fixed は各畳み込みの後ろの正規化を探し、"
                 "reference は公開コードと同じく次に作られた"
                 "もの（別の層のこともあります）を使います。")
    )  # fmt: skip

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
        yield Step(0, score, {q.CUT: float(count), **figures}, final=True)

    def _constants(self, pair: Pair) -> torch.Tensor:
        weight = pair.conv.weight.detach()
        values = torch.linalg.matrix_norm(weight.flatten(2), ord=2)
        norm = pair.norm
        if norm is None or norm.running_var is None:
            return values
        floor = norm.eps if self.form == "fixed" else 0.0
        gain = norm.weight.detach().abs() if norm.affine else torch.ones_like(values)
        return values * gain / (norm.running_var + floor).sqrt()
