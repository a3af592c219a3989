"""Asks before unsaved work would be lost."""

from __future__ import annotations

from collections.abc import Callable

from bdshift_gui.context import Context
from bdshift_gui.i18n import tr
from bdshift_gui.session import State
from bdshift_gui.tasks.purifying import settle
from bdshift_gui.tasks.writing import save_document


def may_close(context: Context) -> bool:
    """Ask what to do with an unsaved audit; False to stay, or to close once it is saved. While a
    job runs it cannot be saved.
    """
    state = context.state
    if not state.modified:
        waits = state.job is not None and not state.job.gives_way
        return not waits or context.ask.discard(
            tr("A job is running. Close without keeping its result?")
        )
    if state.busy:
        return context.ask.discard(
            tr("A job is running, and the audit is not saved. Close without saving it?")
        )
    question = tr("The audit is not saved. Save it before closing?")
    return _may_lose(context, question, context.shell.close)


def may_replace(context: Context, go_on: Callable[[], object]) -> bool:
    """Ask what to do with what is not saved, if it took a while or the user made it; False to stay,
    or to ``go_on`` once it is saved. A scan without anything else is quick to redo.
    """
    state = context.state
    question = _lost_by_replacing(state) if state.modified else None
    if question is None:
        return True
    if not _may_lose(context, question, go_on):
        return False
    settle(context)
    return True


def _lost_by_replacing(state: State) -> str | None:
    original = state.original
    if original is None:
        return None
    from bdshift.audit.cover import Cover

    kept = state.kept if state.kept is not None and state.kept.fits(original) else None
    if original.cover != (Cover() if kept is None else kept.cover):
        return tr("What was written on the report is not saved. Save the audit first?")
    if original.purifications:
        return tr("The purifications are not saved. Save the audit first?")
    if original.recoveries:
        return tr("The recovered triggers are not saved. Save the audit first?")
    if original.tac:
        return tr("What was measured with a trigger is not saved. Save the audit first?")
    further = len(original.evidence) > (1 if kept is None else len(kept.evidence))
    if further or original.is_searched or original.reference is not None:
        return tr("What the searches have found is not saved. Save the audit first?")
    return None


def _may_lose(context: Context, question: str, go_on: Callable[[], object]) -> bool:
    answer = context.ask.save_first(question)
    if answer == "save":
        save_document(context, go_on)
    return answer == "discard"
