"""Look at the curve of a task vector, and write the vector to a file."""

from __future__ import annotations

from bdshift.words import words
from bdshift_gui.action import Action, action
from bdshift_gui.context import Context
from bdshift_gui.i18n import tr
from bdshift_gui.pages import MultiplesPage
from bdshift_gui.session import State
from bdshift_gui.tasks import disentangling, writing


def has_curve(state: State) -> bool:
    """Whether the chosen purification has looked at multiples of a vector."""
    if state.original is None or not state.chosen:
        return False
    from bdshift.purification.multiples import multiples

    rows = state.purifications[state.chosen - 1].result.rows
    return bool(multiples(row.step for row in rows))


def _show(context: Context) -> None:
    context.turn_to(MultiplesPage())


def _has_weights(state: State) -> bool:
    return (
        has_curve(state)
        and not state.busy
        and state.purifications[state.chosen - 1].result.weights is not None
    )


def _export(context: Context) -> None:
    path = context.ask.where(tr("Export the task vector"), "vector.safetensors", (".safetensors",))
    if path is not None and not context.state.busy:
        writing.export_vector(context, context.state.chosen, path)


def _can_be_measured(state: State) -> bool:
    if not _has_weights(state):
        return False
    made = state.purifications[state.chosen - 1]
    return bool(made.unlearned or made.trigger)


def _measure_plane(context: Context) -> None:
    asked = context.state
    path = context.ask.file(tr("Open the model that the audited one was made from"))
    if path is not None and not context.state.busy and context.state.goes_on_from(asked):
        disentangling.measure(context, asked.chosen, path)


SHOW_MULTIPLES = action(
    Action(
        "show_multiples", words("Show the task vector", ja="タスクベクトルを表示"),
        words("Show what each multiple of the vector removes, and what it costs.",
              ja="ベクトルの倍率ごとに、取り除けるものと失うものを表示します。"),
        "purification", 42, _show, has_curve,
    )
)  # fmt: skip
EXPORT_VECTOR = action(
    Action(
        "export_vector", words("Export the task vector…", ja="タスクベクトルを書き出す…"),
        words("Write the vector, which can be subtracted from other networks of this architecture, "
              "or added again.",
              ja="同じアーキテクチャの他のネットワークから引いたり、足し戻したりできる"
                 "ベクトルを書き出します。"),
        "purification", 65, _export, _has_weights,
    )
)  # fmt: skip
MEASURE_PLANE = action(
    Action(
        "measure_plane", words("Measure disentanglement…", ja="分離度を測定…"),
        words("Measure whether the backdoor is a part of its own, which can be subtracted without "
              "harm. Needs the model that the audited one was made from, such as the public CLIP.",
              ja="バックドアが、害なく引ける独立した成分かどうかを測定します。"
                 "公開されている CLIP など、監査したモデルの元になったモデルが必要です。"),
        "purification", 44, _measure_plane, _can_be_measured,
    )
)  # fmt: skip
