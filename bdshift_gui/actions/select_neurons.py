"""Select neurons, undo that, step through them, and export them."""

from __future__ import annotations

from bdshift.words import words
from bdshift_gui.action import Action, action, with_audit
from bdshift_gui.context import Context
from bdshift_gui.i18n import tr
from bdshift_gui.tasks import writing


def _half(context: Context) -> None:
    audit, index = context.state.audit, context.state.selection.class_index
    if audit is not None and index is not None:
        from bdshift.neurons.rankings import half_of

        context.selection.select_neurons(half_of(audit.shifts.shift[index]))


def _none(context: Context) -> None:
    context.selection.select_neurons([])


def _export(context: Context) -> None:
    path = context.ask.where(tr("Export the selection"), "neurons.csv", (".csv", ".json"))
    if path is not None and not context.state.busy:
        writing.export_neurons(context, path)


action(
    Action(
        "select_half",
        words("Select the neurons that account for half of the shift",
              ja="シフトの半分を担うニューロンを選択"),
        words("The fewest that account for half of ‖s‖².",
              ja="‖s‖² の半分を占める最少のニューロン。"),
        "neurons", 20, _half, with_audit, "Ctrl+H",
        starts=True,
    )
)  # fmt: skip
action(
    Action(
        "select_none", words("Clear the selection", ja="選択を解除"),
        words("Deselect all neurons.", ja="ニューロンの選択をなくします。"),
        "neurons", 30, _none, with_audit, "Ctrl+Shift+A",
    )
)  # fmt: skip
action(
    Action(
        "undo", words("Undo", ja="元に戻す"),
        words("Undo the last change to the selection.", ja="選択の最後の変更を元に戻します。"),
        "neurons", 40, lambda context: context.selection.undo(), lambda state: state.can_undo,
        "Ctrl+Z",
        starts=True,
        icon="undo",
    )
)  # fmt: skip
action(
    Action(
        "redo", words("Redo", ja="やり直す"),
        words("Redo the last undone change to the selection.", ja="選択の変更をやり直します。"),
        "neurons", 50, lambda context: context.selection.redo(), lambda state: state.can_redo,
        "Ctrl+Shift+Z",
        icon="redo",
    )
)  # fmt: skip
NEXT = action(
    Action(
        "next", words("Next selected neuron", ja="次の選択ニューロン"),
        words("Show it in the inspector.", ja="インスペクターに表示します。"),
        "neurons", 60, lambda context: context.selection.step(1), with_audit, "Ctrl+Right",
        starts=True,
    )
)  # fmt: skip
PREVIOUS = action(
    Action(
        "previous", words("Previous selected neuron", ja="前の選択ニューロン"),
        words("Show it in the inspector.", ja="インスペクターに表示します。"),
        "neurons", 70, lambda context: context.selection.step(-1), with_audit, "Ctrl+Left",
    )
)  # fmt: skip
action(
    Action(
        "export_neurons", words("Export the selection…", ja="選択を書き出す…"),
        words("Export the selected neurons as CSV or JSON.",
              ja="選択したニューロンを CSV か JSON で書き出します。"),
        "neurons", 100, _export, with_audit,
        starts=True,
    )
)  # fmt: skip
