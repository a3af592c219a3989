"""What other prompt templates would do to a CLIP model's accuracy."""

from __future__ import annotations

from collections.abc import Callable

from bdshift.files import usable
from bdshift.jobs import JobContext
from bdshift_gui.context import Context
from bdshift_gui.tasks.opening import read_model


def measure(context: Context, templates: tuple[str, ...], job: JobContext) -> Callable[[], float]:
    """A question for `QuickPool`: clean accuracy with these templates; ``job`` may be canceled."""
    state = context.state
    audit, model, path = state.audit, state.model, state.model_path
    assert audit is not None
    assert path is not None

    def look() -> float:
        from bdshift.audit.zero_shot import accuracy_with

        given = state.corrections
        found = model or read_model(usable(path), given.arch, given.weights, job)
        return accuracy_with(found.opened, audit, templates, job)

    return look
