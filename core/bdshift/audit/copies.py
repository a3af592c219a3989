"""A file with several weights of one network, such as a running average beside the weights that it
is of: which are loaded is up to the program that loads them, so each is audited, and the finding is
the most serious one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import torch

from bdshift.audit.facts import AuditedCopy, Level
from bdshift.audit.records import Audit
from bdshift.audit.stages import Material
from bdshift.checkpoints.classifier import Opened, recognized
from bdshift.checkpoints.layout import StateDict, find_state_dict
from bdshift.checkpoints.users_own import Architecture
from bdshift.errors import InputError

_MAX_COPIES = 4  # that are audited, besides the first
_SERIOUS: Mapping[Level, int] = {"backdoored": 2, "inconclusive": 1, "nothing-unusual": 0}

Audited = tuple[Audit, Material]


def copies_of(opened: Opened, arch: Architecture | None) -> Iterator[Opened]:
    """The file's other weights of the same network, if they are not the same numbers; ``arch`` is
    as in `bdshift.checkpoints.classifier.open_checkpoint`.

    Raises `InputError` if they are more than a few: which are meant has to be said.
    """
    names = opened.state.layout.copies
    seen = [opened.state]
    for name in names:
        state = find_state_dict(opened.file, name)
        if any(_are_equal(state, other) for other in seen):
            continue
        seen.append(state)
        if len(seen) > 1 + _MAX_COPIES:
            raise InputError(
                "{path}: holds {count} weights of one network; say which with --weights",
                path=opened.file.path, count=1 + len(names),
            )  # fmt: skip
        layout = replace(state.layout, others=opened.state.layout.others)
        yield recognized(opened.file, replace(state, layout=layout), arch)


def _are_equal(first: StateDict, second: StateDict) -> bool:
    if first.tensors.keys() != second.tensors.keys():
        return False
    return all(
        torch.equal(tensor.load(), second.tensors[key].load())
        for key, tensor in first.tensors.items()
    )


def most_serious(audited: Sequence[Audited]) -> Audited:
    """The audit with the most serious finding, the first of several, with the findings of the
    others.
    """
    levels = [audit.finding.level for audit, _ in audited]
    chosen = max(range(len(audited)), key=lambda place: _SERIOUS[levels[place]])
    audit, material = audited[chosen]
    others = tuple(
        AuditedCopy(other.model.weights, level, other.settings.rule.spec)
        for place, ((other, _), level) in enumerate(zip(audited, levels, strict=True))
        if place != chosen
    )
    return replace(audit, copies=others), material
