"""Look at the purifications."""

from __future__ import annotations

from bdshift.words import words
from bdshift_gui.action import Action, action
from bdshift_gui.context import Context
from bdshift_gui.pages import PurificationsPage
from bdshift_gui.session import State


def _some(state: State) -> bool:
    return bool(state.purifications) or state.purifying is not None


def _show(context: Context) -> None:
    context.turn_to(PurificationsPage())


SHOW_PURIFICATIONS = action(
    Action(
        "show_purifications", words("Show the purifications", ja="浄化の一覧を表示"),
        words("Show all purified models, and the curves of each purification.",
              ja="浄化したすべてのモデルと、それぞれの浄化の推移を表示します。"),
        "purification", 12, _show, _some, "Ctrl+Shift+D",
    )
)  # fmt: skip
