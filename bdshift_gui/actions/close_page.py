"""Go back to the plots."""

from __future__ import annotations

from bdshift.words import words
from bdshift_gui.action import Action, action

CLOSE_PAGE = action(
    Action(
        "close_page", words("Back to the plots", ja="プロットに戻る"),
        words("Close the page that is shown instead of the plots; what is running goes on.",
              ja="プロットの代わりに表示しているページを閉じます。実行中の処理は続きます。"),
        "view", 2, lambda context: context.turn_to(None),
        lambda state: state.page is not None, "Alt+Left",
    )
)  # fmt: skip
