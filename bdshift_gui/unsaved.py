"""Asks before unsaved work would be lost."""

from __future__ import annotations

from bdshift_gui.context import Context
from bdshift_gui.i18n import tr
from bdshift_gui.tasks.purifying import settle
from bdshift_gui.tasks.writing import save_as


def may_close(context: Context) -> bool:
    """Ask what to do with an unsaved audit; False to stay. While a job runs it cannot be saved."""
    state = context.state
    if not state.modified:
        return True
    if state.busy:
        return context.ask.discard(
            tr("A job is running, and the audit is not saved. Close without saving it?")
        )
    return _may_lose(context, tr("The audit is not saved. Save it before closing?"))


def may_replace(context: Context) -> bool:
    """Ask what to do with unsaved purifications and recovered triggers, since they took a while;
    False to stay. An audit without them is quick to redo.
    """
    state = context.state
    if not (state.purifications or state.recoveries) or not state.modified:
        return True
    question = (
        tr("The purifications are not saved. Save the audit first?") if state.purifications
        else tr("The recovered triggers are not saved. Save the audit first?")
    )  # fmt: skip
    if not _may_lose(context, question):
        return False
    settle(context)
    return True


def _may_lose(context: Context, question: str) -> bool:
    answer = context.ask.save_first(question)
    if answer == "save":  # the user tries again once it is written
        save_as(context)
    return answer == "discard"
