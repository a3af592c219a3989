"""Recover a trigger, look at those that were recovered, and save them."""

from __future__ import annotations

from bdshift.words import words
from bdshift_gui.action import Action, action, with_audit
from bdshift_gui.context import Context
from bdshift_gui.i18n import tr
from bdshift_gui.session import RecoveryRequest, State
from bdshift_gui.tasks import recovering, writing

_SUFFIX = ".safetensors"


def with_recovery(state: State) -> bool:
    """Enabled with a recovered trigger, while no job is running."""
    return bool(state.recoveries) and not state.busy


def _recover(context: Context) -> None:
    from bdshift_gui.dialogs.recover import RecoverDialog

    asked = context.state

    def start(request: RecoveryRequest) -> None:
        if not context.state.busy and context.state.goes_on_from(asked):
            recovering.recover(context, request)

    dialog = RecoverDialog(context)
    dialog.chosen.connect(start)
    context.ask.show(dialog)


def _number(state: State) -> int:
    """The recovered trigger that is shown, else the newest."""
    return state.recovery or len(state.recoveries)


def _save(context: Context) -> None:
    asked = context.state
    number = _number(asked)
    path = context.ask.where(tr("Save the trigger"), "trigger" + _SUFFIX, (_SUFFIX,))
    if path is not None and not context.state.busy and context.state.goes_on_from(asked):
        writing.save_trigger(context, number, path)


def _remove(context: Context) -> None:
    state, number = context.state, _number(context.state)
    assert state.original is not None
    name = state.original.images.class_names[state.recoveries[number - 1].target]
    asked = tr("Remove the recovered trigger for “{name}” from the audit?", name=name)
    if context.ask.confirm(asked) and context.state.goes_on_from(state):
        recovering.remove(context, number)


RECOVER = action(
    Action(
        "recover", words("Recover trigger…", ja="トリガーを復元…"),
        words("Search for the smallest change of the images that sends them to a class.",
              ja="画像をあるクラスに誘導する最小の変化を探します。"),
        "neurons", 1, _recover, with_audit, "Ctrl+G", toolbar=35,
        icon="recover",
    )
)  # fmt: skip
SHOW_RECOVERY = action(
    Action(
        "show_recovery", words("Show the recovered trigger", ja="復元したトリガーを表示"),
        words("Show the recovered trigger on your images, beside control classes.",
              ja="復元したトリガーを画像の上で、対照クラスと並べて表示します。"),
        "neurons", 2, lambda context: recovering.show(context, _number(context.state)),
        lambda state: bool(state.recoveries), "Ctrl+Shift+G",
    )
)  # fmt: skip
SHOW_MOVED = action(
    Action(
        "show_moved", words("Show the neurons that it moves", ja="動かすニューロンを表示"),
        words("Select the fewest neurons that account for half of the TAC under the recovered "
              "trigger, and show them in the plots.",
              ja="復元したトリガーによる TAC の半分を占める最少のニューロンを選び、"
                 "プロットに表示します。"),
        "neurons", 3, lambda context: recovering.show_neurons(context, _number(context.state)),
        lambda state: bool(state.recoveries),
    )
)  # fmt: skip
SAVE_TRIGGER = action(
    Action(
        "save_trigger", words("Save the trigger…", ja="トリガーを保存…"),
        words("Save the recovered trigger to a file that can be used like a known one.",
              ja="復元したトリガーを、既知のトリガーと同じように使えるファイルに保存します。"),
        "neurons", 4, _save, with_recovery,
    )
)  # fmt: skip
REMOVE_RECOVERY = action(
    Action(
        "remove_recovery", words("Remove the recovered trigger", ja="復元したトリガーを削除"),
        words("Remove the recovered trigger from the audit.",
              ja="復元したトリガーを監査から取り除きます。"),
        "neurons", 5, _remove, with_recovery,
    )
)  # fmt: skip
