"""Look at a purified model: in all views, or side by side with the original."""

from __future__ import annotations

from bdshift.words import words
from bdshift_gui.action import Action, action, with_purification
from bdshift_gui.context import Context
from bdshift_gui.pages import ComparisonPage
from bdshift_gui.session import State
from bdshift_gui.tasks.showing import show_side


def _show(context: Context, number: int) -> None:
    context.turn_to(None)
    show_side(context, number)


def _compare(context: Context) -> None:
    state = context.state
    pair = 0, state.chosen or len(state.purifications)
    context.turn_to(ComparisonPage(pair))


def _shows_other(state: State) -> bool:
    return bool(state.shown) and not state.busy


RESCAN = action(
    Action(
        "show_purified", words("Show in all views", ja="すべてのビューに表示"),
        words("Show the purified model's rescan in all views.",
              ja="浄化したモデルをすべてのビューに表示します（再スキャン済み）。"),
        "purification", 20, lambda context: _show(context, context.state.chosen),
        with_purification, "Ctrl+Shift+R",
        starts=True,
    )
)  # fmt: skip
ORIGINAL = action(
    Action(
        "show_original", words("Back to the original", ja="元のモデルに戻る"),
        words("Show the original in all views.", ja="元のモデルをすべてのビューに表示します。"),
        "purification", 30, lambda context: _show(context, 0), _shows_other,
    )
)  # fmt: skip
COMPARE = action(
    Action(
        "compare", words("Compare", ja="元のモデルと比較"),
        words("Compare the purified model with the original, side by side.",
              ja="浄化したモデルと元のモデルを並べます。"),
        "purification", 40, _compare, with_purification, "Ctrl+D",
        starts=True,
        icon="compare",
    )
)  # fmt: skip
