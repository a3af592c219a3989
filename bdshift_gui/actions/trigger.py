"""Measure TAC under a trigger."""

from __future__ import annotations

from bdshift.words import words
from bdshift_gui.action import Action, action, with_audit
from bdshift_gui.context import Context
from bdshift_gui.tasks.measuring import measure_tac


def _trigger(context: Context) -> None:
    from bdshift_gui.dialogs.trigger import TriggerDialog

    asked = context.state

    def measure(trigger: str) -> None:
        if not context.state.busy and context.state.goes_on_from(asked):
            measure_tac(context, trigger)

    dialog = TriggerDialog(context)
    dialog.chosen.connect(measure)
    context.ask.show(dialog)


TRIGGER = action(
    Action(
        "trigger", words("Trigger…", ja="トリガー…"),
        words("Measure TAC under a known trigger.", ja="既知のトリガーで TAC を測定します。"),
        "neurons", 10, _trigger, with_audit, "Ctrl+T", toolbar=40,
        starts=True,
        icon="trigger",
    )
)  # fmt: skip
