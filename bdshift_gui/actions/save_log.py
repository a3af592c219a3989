"""Write the log to a file."""

from __future__ import annotations

from bdshift.words import words
from bdshift_gui.action import Action, action
from bdshift_gui.context import Context
from bdshift_gui.i18n import tr
from bdshift_gui.tasks.writing import save_log


def _save(context: Context) -> None:
    path = context.ask.where(tr("Save the log"), "bdshift.log", (".log", ".txt"))
    if path is not None and not context.state.busy:
        save_log(context, path)


action(
    Action(
        "save_log", words("Save the log…", ja="ログを保存…"),
        words("Write what ran and when, what was noted, and how it ended.",
              ja="いつ何を実行し、何が記録され、どう終わったかを書き出します。"),
        "file", 128, _save, lambda state: bool(state.log) and not state.busy,
    )
)  # fmt: skip
