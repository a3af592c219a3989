"""Look at the purifications, and go back."""

from __future__ import annotations

from bdshift.words import words
from bdshift_gui.action import Action, action
from bdshift_gui.context import Context
from bdshift_gui.session import PLOTS, State


def _some(state: State) -> bool:
    return bool(state.purifications) or state.purifying is not None


def _show(context: Context) -> None:
    context.session.update(**{**PLOTS, "made": True})


SHOW_PURIFICATIONS = action(
    Action(
        "show_purifications", words("Show the purifications", ja="浄化の一覧を表示"),
        words("Show all purified models, and the curves of each purification.",
              ja="浄化したすべてのモデルと、それぞれの浄化の推移を表示します。"),
        "purification", 12, _show, _some, "Ctrl+Shift+D",
    )
)  # fmt: skip
CLOSE_PURIFICATIONS = action(
    Action(
        "close_purifications", words("Back to the plots", ja="プロットに戻る"),
        words("Close the page of the purifications; what is running goes on.",
              ja="浄化のページを閉じます。実行中の処理は続きます。"),
        "purification", 14, lambda context: context.session.update(made=False),
        lambda state: state.made,
    )
)  # fmt: skip
