"""Find an action, cancel a job, read about the window, quit."""

from __future__ import annotations

from bdshift.words import words
from bdshift_gui.action import Action, action, always
from bdshift_gui.context import Context
from bdshift_gui.i18n import tr


def _palette(context: Context) -> None:
    from bdshift_gui.dialogs.palette import Palette

    context.ask.show(Palette(context, PALETTE))


def _shortcuts(context: Context) -> None:
    from bdshift_gui.dialogs.pages import shortcuts_page

    context.ask.show(shortcuts_page(context))


def _about(context: Context) -> None:
    from bdshift import __version__

    context.ask.about(
        f"bdshift {__version__}\n"
        + tr("MIT license; the fonts are under the SIL Open Font License 1.1")
    )


def _quit(context: Context) -> None:
    context.shell.close()


action(
    Action(
        "quit", words("Quit", ja="終了"), words("Close the window.", ja="ウィンドウを閉じます。"),
        "file", 150, _quit, always, "Ctrl+Q",
        starts=True,
    )
)  # fmt: skip
PALETTE = action(
    Action(
        "palette", words("Find an action…", ja="コマンドを検索…"),
        words("Search all actions.",
              ja="このウィンドウでできることをすべて検索します。"),
        "view", 10, _palette, always, "Ctrl+Shift+P", toolbar=100,
        starts=True,
        icon="find",
    )
)  # fmt: skip
CANCEL = action(
    Action(
        "cancel", words("Cancel", ja="中止"),
        words("Stop the running job.", ja="実行中の処理を止めます。"),
        "view", 80, lambda context: context.cancel(), lambda state: state.can_cancel, "Esc",
        starts=True,
        icon="cancel",
    )
)  # fmt: skip
action(
    Action(
        "shortcuts", words("Keyboard shortcuts", ja="キーボードショートカット"),
        words("List all keyboard shortcuts.", ja="すべてのショートカットを 1 ページに表示します。"),
        "help", 10, _shortcuts, always, "F1",
    )
)  # fmt: skip
action(
    Action(
        "about", words("About bdshift", ja="bdshift について"),
        words("Version and license.", ja="バージョンとライセンス。"),
        "help", 20, _about, always,
    )
)  # fmt: skip
