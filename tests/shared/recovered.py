"""Recoveries made by hand, without a search."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch

from bdshift.audit import Audit
from bdshift.recovery.kept import kept_as
from bdshift.recovery.recovery import Attempt, Recovery, SizeOf


def sticker_params(side: int = 32) -> dict[str, torch.Tensor]:
    """Parameters of the change "mask" that lays the demo's sticker over an image."""
    mask = torch.full((1, side, side), -20.0)
    mask[:, 20:24, 14:18] = 20
    color = torch.tensor([0xFF, 0xD8, 0]).view(3, 1, 1) / 255
    pattern = color.clamp(1e-7, 1 - 1e-7).logit().expand(3, side, side).contiguous()
    return {"mask": mask, "pattern": pattern}


def made_recovery(audit: Audit, **changed: Any) -> Recovery:
    """The demo's sticker, as if it had been recovered; ``changed`` are other fields, or the sizes
    at 80%: ``size`` and ``control`` for the target and its three controls, and with a single source
    ``back``, the other way.
    """
    tac = audit.tac[0]
    target = changed.get("target", tac.target)
    size, control = changed.pop("size", 16.0), changed.pop("control", 160.0)
    back, source = changed.pop("back", 128.0), changed.get("source", -1)
    if source >= 0:
        reverse = SizeOf(source, (back / 2, back, 2 * back), 0.9)
        changed = {"reverse": reverse, "elsewhere": 0.12, **changed}
    others = [i for i in range(audit.model.classes) if i != target][:3]
    controls = tuple(SizeOf(i, (control / 2, control, 2 * control), 0.9) for i in others)
    params = sticker_params()
    attempts = (
        Attempt(
            "additive", SizeOf(target, (4.0, 5.0, float("inf")), 0.84), controls, 1.5, 800, 700
        ),
        Attempt("mask", SizeOf(target, (size / 2, size, 2 * size), 0.99), controls, 2.5, 900, 800),
    )
    found = Recovery(
        target=target, source=-1, kind="mask", attempts=attempts, params=params,
        side=audit.preprocessing.size, asr=0.99, images=210, transfer=0.97,
        tac=replace(tac, target=target), seed=0, seconds=4.25, beside=(others[1], others[0]),
        beside_params={key: value[None].repeat_interleave(2, 0) for key, value in params.items()},
    )  # fmt: skip
    found = replace(found, **changed)
    return replace(found, tac=replace(found.tac, trigger=kept_as(found.saved()).spec))
