"""Audit many models, and work through their table."""

from __future__ import annotations

from functools import partial

from bdshift.words import words
from bdshift_gui.action import Action, action
from bdshift_gui.context import Context
from bdshift_gui.i18n import tr
from bdshift_gui.pages import FleetPage
from bdshift_gui.session import State
from bdshift_gui.tasks import fleet, opening
from bdshift_gui.unsaved import may_replace


def _is_running(state: State) -> bool:
    return state.fleet is not None and state.fleet.running


def _can_go_on(state: State) -> bool:
    one = state.fleet
    return (
        one is not None
        and bool(one.named or one.other)
        and not one.running
        and (one.done < one.total or not one.total)
    )


def _failed_some(state: State) -> bool:
    one = state.fleet
    if one is None or not one.named or one.other or one.running or one.done < one.total:
        return False
    return any(each.row.result.status != "done" for each in one.found)


def _has_audit(state: State) -> bool:
    if state.fleet is None or state.busy or len(state.fleet.chosen) != 1:
        return False
    return any(one.row.file for one in state.fleet.found if one.row.model in state.fleet.chosen)


def _may_ask_again(state: State) -> bool:
    one = state.fleet
    return one is not None and bool(one.chosen) and not (one.running or one.other)


def _ask_again(context: Context) -> None:
    from bdshift_gui.dialogs.audit_again import AuditAgainDialog

    dialog = AuditAgainDialog(context)
    dialog.chosen.connect(partial(fleet.audit_again, context))
    dialog.open()


def _audit_many(context: Context) -> None:
    folder = context.ask.folder(tr("Audit many models"))
    if folder is None or context.state.busy:
        return
    images = None
    if context.state.images_path is None:
        images = context.ask.folder(tr("Open images"), folder)
        if images is None:
            return
    opening.audit_with(context, [folder], images)


def _open(context: Context) -> None:
    folder = context.ask.folder(tr("Open the results of many models"))
    if folder is not None and not context.state.busy:
        fleet.open_fleet(context, folder)


def _open_audit(context: Context) -> None:
    shown = context.state.fleet
    if shown is None or not may_replace(context, partial(_open_audit, context)):
        return
    from bdshift.fleet.results import AUDITS

    [file] = [one.row.file for one in shown.found if one.row.model in shown.chosen]
    opening.open_audit(context, shown.folder / AUDITS / file)


def _save_table(context: Context) -> None:
    shown = context.state.fleet
    assert shown is not None
    name = str(shown.folder.with_name("models.html"))
    path = context.ask.where(tr("Save the table"), name, (".html", ".csv", ".json", ".sarif"))
    if path is not None and not context.state.busy:
        fleet.save_table(context, path)


def _show(context: Context) -> None:
    context.turn_to(FleetPage())


AUDIT_MANY = action(
    Action(
        "audit_many", words("Audit many models…", ja="複数のモデルを監査…"),
        words("Audit all checkpoints in a folder and below it, with the images that are open.",
              ja="フォルダー以下のすべてのチェックポイントを、開いている画像で監査します。"),
        "file", 41, _audit_many, lambda state: not (state.busy or _is_running(state)),
        starts=True,
    )
)  # fmt: skip
OPEN_FLEET = action(
    Action(
        "open_fleet", words("Open the results of many models…", ja="複数モデルの結果を開く…"),
        words("Open a folder that bdshift fleet or this window has written.",
              ja="bdshift fleet またはこのウィンドウが書き出したフォルダーを開きます。"),
        "file", 42, _open, lambda state: not (state.busy or _is_running(state)),
    )
)  # fmt: skip
SHOW_FLEET = action(
    Action(
        "show_fleet", words("Show the models", ja="モデルの一覧を表示"),
        words("Show the table of all models.", ja="すべてのモデルの表を表示します。"),
        "view", 6, _show,
        lambda state: state.fleet is not None and not isinstance(state.page, FleetPage),
        "Ctrl+Shift+M",
    )
)  # fmt: skip
PAUSE_FLEET = action(
    Action(
        "pause_fleet", words("Pause", ja="一時停止"),
        words("Stop auditing; what is done is kept, and it can go on from there.",
              ja="監査を止めます。終わった結果は残り、続きから再開できます。"),
        "file", 46, lambda context: context.fleet_jobs.cancel(), _is_running,
    )
)  # fmt: skip
CONTINUE_FLEET = action(
    Action(
        "continue_fleet", words("Continue", ja="再開"),
        words("Go on with the models that have no result yet.",
              ja="まだ結果のないモデルの監査を続けます。"),
        "file", 47, fleet.go_on, _can_go_on,
    )
)  # fmt: skip
RETRY_FLEET = action(
    Action(
        "retry_fleet", words("Try again what failed", ja="失敗したものを再試行"),
        words("Audit the models again that could not be audited.",
              ja="監査できなかったモデルをもう一度監査します。"),
        "file", 48, partial(fleet.go_on, again=True), _failed_some,
    )
)  # fmt: skip
OPEN_ROW = action(
    Action(
        "open_row", words("Open its audit", ja="この監査を開く"),
        words("Open the audit of the selected model.", ja="選択したモデルの監査を開きます。"),
        None, 55, _open_audit, _has_audit,
    )
)  # fmt: skip
AUDIT_AGAIN = action(
    Action(
        "audit_again", words("Audit again…", ja="再監査…"),
        words("Audit the selected models in another way: with a longer search, more images, or "
              "another α.",
              ja="選択したモデルを別の設定（より長い探索、より多くの画像、別の α）で監査します。"),
        None, 56, _ask_again, _may_ask_again, starts=True,
    )
)  # fmt: skip
SAVE_TABLE = action(
    Action(
        "save_table", words("Save the table…", ja="表を保存…"),
        words("Write the table as a page, as CSV, JSON or SARIF.",
              ja="表を HTML、CSV、JSON、SARIF のいずれかで書き出します。"),
        "file", 49, _save_table,
        lambda state: state.fleet is not None and bool(state.fleet.found) and not state.busy,
    )
)  # fmt: skip
