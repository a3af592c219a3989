"""Measure TAC under a trigger."""

from __future__ import annotations

from bdshift.words import words
from bdshift_gui.action import Action, action, with_audit
from bdshift_gui.context import Context
from bdshift_gui.tasks.measuring import measure_tac


def _trigger(context: Context) -> None:
    from bdshift_gui.dialogs.trigger import TriggerDialog

    dialog = TriggerDialog(context)
    dialog.chosen.connect(lambda text: measure_tac(context, text))
    context.ask.show(dialog)


TRIGGER = action(
    Action(
        "trigger", words("Trigger…", ja="トリガー…"),
        words("Measure TAC under a known trigger.", ja="既知のトリガーで TAC を測ります。"),
        "neurons", 10, _trigger, with_audit, "Ctrl+T", toolbar=40,
    )
)  # fmt: skip
