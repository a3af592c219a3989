"""Look at another class."""

from __future__ import annotations

from bdshift.words import words
from bdshift_gui.action import Action, action, with_audit
from bdshift_gui.context import Context


def _step(context: Context, by: int) -> None:
    audit, now = context.state.audit, context.state.selection.class_index
    if audit is not None and now is not None:
        context.selection.select_class((now + by) % audit.model.classes)


action(
    Action(
        "next_class", words("Next class", ja="次のクラス"),
        words("Show the shift to that class.", ja="そのクラスへのシフトを見ます。"),
        "neurons", 80, lambda context: _step(context, 1), with_audit, "Ctrl+Down",
    )
)  # fmt: skip
action(
    Action(
        "previous_class", words("Previous class", ja="前のクラス"),
        words("Show the shift to that class.", ja="そのクラスへのシフトを見ます。"),
        "neurons", 90, lambda context: _step(context, -1), with_audit, "Ctrl+Up",
    )
)  # fmt: skip
