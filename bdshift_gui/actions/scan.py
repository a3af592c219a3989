"""Scan, and scan again after a correction."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from bdshift.words import words
from bdshift_gui.action import Action, action
from bdshift_gui.context import Context
from bdshift_gui.session import State
from bdshift_gui.tasks import scanning
from bdshift_gui.unsaved import may_replace

_USUAL_BATCH = 64
_AS_MEASURED = {"labels", "prompts", "names"}  # under others, networks have other accuracies


def _can_scan(state: State) -> bool:
    return state.can_scan and not state.busy


def _scan(context: Context) -> None:
    if not context.state.busy and may_replace(context, lambda: _scan(context)):
        scanning.scan(context)


SCAN = action(
    Action(
        "scan", words("Scan", ja="スキャン"),
        words("Find the shift to every class and judge the model.",
              ja="各クラスへのシフトを求めて判定します。"),
        "file", 60, _scan, _can_scan, "F5", toolbar=30,
        starts=True,
        icon="scan",
    )
)  # fmt: skip


def scan_corrected(context: Context, **settings: Any) -> None:
    """Apply corrections, named as in `Corrections`, and scan again if there is enough to scan;
    neither if that would lose something and the user wants to keep it.
    """
    if context.state.busy or not may_replace(context, lambda: scan_corrected(context, **settings)):
        return
    given = replace(context.state.corrections, **settings)
    measured = {} if _AS_MEASURED.isdisjoint(settings) else {"candidates": None}
    context.session.update(corrections=given, failure=None, **measured)
    if _can_scan(context.state):
        scanning.scan(context)


def _smaller(context: Context) -> None:
    batch = context.state.corrections.batch or _USUAL_BATCH
    scan_corrected(context, batch=max(1, batch // 2))


def _on_cpu(context: Context) -> None:
    scan_corrected(context, device="cpu")


def _can_retry(state: State) -> bool:
    failure = state.failure
    if failure is None or (failure.cause, failure.name) != ("memory", scanning.SCANNING):
        return False
    return _can_scan(state)


action(
    Action(
        "scan_smaller", words("Retry with a smaller batch", ja="バッチを小さくして再試行"),
        words("Scan again with half the batch size.", ja="バッチを半分にして再スキャンします。"),
        None, 10, _smaller, _can_retry, remedy="memory",
    )
)  # fmt: skip
action(
    Action(
        "scan_on_cpu", words("Retry on the CPU", ja="CPU で再試行"),
        words("Scan again on the CPU.", ja="CPU で再スキャンします。"),
        None, 20, _on_cpu, _can_retry, remedy="memory",
    )
)  # fmt: skip
