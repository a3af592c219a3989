"""Recovered triggers in an audit file, which may come from anyone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import h5py
import numpy as np
import torch

from bdshift.audit import Audit
from bdshift.neurons.tac import Tac
from bdshift.recovery.recovery import LEVELS, MAX_BESIDE, Recovery, SizeOf
from bdshift.store.typed import Reader, plain

_MAX_ATTEMPTS = 100  # kinds that were tried

ReadTac = Callable[[str, dict[str, Any]], Tac]
"""From a place and a description."""


def describe_recovery(recovery: Recovery) -> dict[str, Any]:
    """Everything except arrays; of the parameters, their names."""
    return {
        **plain(recovery, without=("params", "beside_params", "tac")),
        "params": list(recovery.params),
        "tac": plain(recovery.tac, without=("triggered",)),
    }


def write_params(group: h5py.Group, at: str, recovery: Recovery) -> None:
    """One dataset each, in the order of their names."""
    for number, tensor in enumerate(recovery.params.values()):
        group[f"{at}/params/{number}"] = tensor.cpu().numpy()
    for number, name in enumerate(recovery.params if recovery.beside else ()):
        group[f"{at}/beside/{number}"] = recovery.beside_params[name].cpu().numpy()


def read_recovery(reader: Reader, at: str, row: dict[str, Any], read_tac: ReadTac) -> Recovery:
    """The recovery that is described by ``row`` and has its datasets under ``at``."""
    names = reader.read_as(tuple[str, ...], row["params"])
    found: Recovery = reader.build(
        Recovery, row, at, tac=read_tac(f"{at}tac/", row["tac"]),
        params={name: _tensor(reader, f"{at}params/{i}") for i, name in enumerate(names)},
        beside_params={
            name: _tensor(reader, f"{at}beside/{i}")
            for i, name in enumerate(names if row.get("beside") else ())
        },
    )  # fmt: skip
    return found


def _tensor(reader: Reader, place: str) -> torch.Tensor:
    found = reader.datasets.find(place)
    if found.dtype != np.float32:
        raise ValueError(f"{place} is {found.dtype}")
    return torch.from_numpy(np.asarray(found[()]))


def fits(recovery: Recovery, audit: Audit) -> bool:
    """Whether its parts fit each other and the audit. A kind of change that this version does not
    know is left alone.

    Raises `InputError` if the parameters are not those of the kind.
    """
    classes, sizes = audit.model.classes, list(_sizes(recovery))
    sound = (
        recovery.side == audit.preprocessing.size
        and recovery.target == recovery.tac.target
        and -1 <= recovery.source < classes
        and recovery.kind in [one.kind for one in recovery.attempts]
        and len(recovery.attempts) <= _MAX_ATTEMPTS
        and 0 <= recovery.asr <= 1
        and recovery.images >= 0
        and not (recovery.elsewhere < 0 or recovery.elsewhere > 1)  # NaN without a single source
        and (recovery.reverse is None or recovery.reverse.target == recovery.source)
        and all(one.target.target == recovery.target for one in recovery.attempts)
        and all(len(one.controls) < classes for one in recovery.attempts)
        and all(0 <= one.target < classes for one in sizes)
        and all(len(one.sizes) == len(LEVELS) and min(one.sizes) > 0 for one in sizes)
        and all(0 <= one.asr <= 1 for one in sizes)
        and len(recovery.beside) <= MAX_BESIDE
        and {*recovery.beside} <= {one.target for one in recovery.attempt.controls}
        and all(len(one) == len(recovery.beside) for one in recovery.beside_params.values())
    )
    if sound and recovery.is_known:
        recovery.change.check_params(recovery.batched, recovery.side)
        if recovery.beside:
            recovery.change.check_params(recovery.beside_params, recovery.side)
    return sound


def _sizes(recovery: Recovery) -> Iterator[SizeOf]:
    for one in recovery.attempts:
        yield one.target
        yield from one.controls
    if recovery.reverse is not None:
        yield recovery.reverse
