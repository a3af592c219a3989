"""A recovered trigger as JSON. Keys are stable; more may be added."""

from __future__ import annotations

from typing import Any

from bdshift.audit.records import Audit
from bdshift.audit.recovered import compared, fact_of
from bdshift.recovery.recovery import LEVELS, Attempt, Recovery, SizeOf
from bdshift.reports.recovery_words import agreement_with_shift, strongest_neurons
from bdshift.text import json_number


def recovery_json(audit: Audit, recovery: Recovery) -> dict[str, Any]:
    """Everything about a recovery but its picture."""
    names = audit.images.class_names
    won, fact = recovery.attempt, fact_of(recovery)
    return {
        "target": {"index": recovery.target, "name": names[recovery.target]},
        "source": None
        if recovery.source < 0
        else {"index": recovery.source, "name": names[recovery.source]},
        "kind": recovery.kind,
        "size": json_number(won.target.size),
        "control_size": json_number(won.control_size(0.8)),
        "factor": json_number(fact.factor),
        "drop": json_number(recovery.drop),
        "confirms": fact.confirms,
        "compared": str(compared(fact, names)),
        "reverse": None if recovery.reverse is None else _size_json(recovery.reverse),
        "reverse_factor": json_number(fact.reverse_factor),
        "elsewhere": json_number(recovery.elsewhere),
        "asr": recovery.asr,
        "images": recovery.images,
        "transfer": json_number(recovery.transfer),
        "proxy_tac": {
            "asr": json_number(recovery.tac.asr),
            "images": recovery.tac.images,
            "cosine_abs_shift": json_number(agreement_with_shift(audit, recovery)),
            "strongest": [
                {"neuron": k, "tac": json_number(recovery.tac.change[k]),
                 "shift": float(audit.shifts.shift[recovery.target][k])}
                for k in strongest_neurons(recovery)
            ],
        },
        "attempts": [_attempt_json(one) for one in recovery.attempts],
        "side": recovery.side,
        "seed": recovery.seed,
        "seconds": json_number(recovery.seconds),
    }  # fmt: skip


def _attempt_json(one: Attempt) -> dict[str, Any]:
    return {
        "kind": one.kind,
        "levels": list(LEVELS),
        "target": _size_json(one.target),
        "controls": [_size_json(control) for control in one.controls],
        "drop": json_number(one.drop),
        "seconds": json_number(one.seconds),
        "forward_images": one.forwards,
        "backward_images": one.backwards,
    }


def _size_json(one: SizeOf) -> dict[str, Any]:
    """A size of null was not reached."""
    sizes = [json_number(size) for size in one.sizes]
    return {"class": one.target, "sizes": sizes, "asr": json_number(one.asr)}
