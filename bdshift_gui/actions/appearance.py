"""Colors, language and layout of the window."""

from __future__ import annotations

from bdshift.words import Language, words
from bdshift_gui.action import Action, action, always
from bdshift_gui.context import Context
from bdshift_gui.session import Scheme, State


def _colors(key: Scheme, text: str, tip: str, place: int) -> Action:
    def run(context: Context) -> None:
        context.settings.scheme = key
        context.session.update(scheme=key)
        context.shell.restyle()

    def checked(state: State) -> bool:
        return state.scheme == key

    return action(
        Action(key, text, tip, "view", place, run, always, checked=checked, one_of="scheme",
               starts=key == "light")
    )  # fmt: skip


def _language(key: Language, text: str, place: int) -> Action:
    def run(context: Context) -> None:
        context.settings.language = key
        context.session.update(language=key)
        context.shell.retranslate()

    def checked(state: State) -> bool:
        return state.language == key

    tip = words("Display language.", ja="ウィンドウの言語。")
    return action(
        Action(key, text, tip, "view", place, run, always, checked=checked, one_of="language",
               starts=key == "en")
    )  # fmt: skip


_colors("light", words("Light", ja="ライト"), words("Light colors.", ja="明るい配色。"), 20)
_colors("dark", words("Dark", ja="ダーク"), words("Dark colors.", ja="暗い配色。"), 30)
_colors(
    "system", words("System colors", ja="システムに合わせる"),
    words("Follow the desktop's colors.", ja="デスクトップと同じ配色。"), 40,
)  # fmt: skip
LANGUAGE_ACTIONS: dict[Language, Action] = {
    "en": _language("en", "English", 50),
    "ja": _language("ja", "日本語", 60),
}
"""Keyed by the language that they switch to."""

action(
    Action(
        "reset_layout", words("Reset layout", ja="配置を初期化"),
        words("Restore the default panel layout.", ja="すべてのパネルを元の位置に戻します。"),
        "view", 70, lambda context: context.shell.reset_docks(), always,
        starts=True,
    )
)  # fmt: skip
