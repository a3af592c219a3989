"""Export a purified model, or the table of all models."""

from __future__ import annotations

from pathlib import Path

from bdshift.checkpoints.folder import INDEX_SUFFIX
from bdshift.words import words
from bdshift_gui.action import Action, action, with_purification
from bdshift_gui.context import Context
from bdshift_gui.i18n import tr
from bdshift_gui.session import State
from bdshift_gui.tasks import writing


def _model(context: Context) -> None:
    from bdshift.checkpoints.export import EXPORT_FORMS

    asked = context.state
    assert asked.original is not None
    forms = EXPORT_FORMS.kinds()
    number = context.ask.choice(
        tr("Export the model"), tr("Format"), [tr(one.label) for one in forms]
    )
    if number is None:
        return
    form = forms[number]()
    source = Path(asked.original.model.path)
    own = "" if source.name.endswith(INDEX_SUFFIX) else source.suffix
    suffix = form.suffix or own or ".pth"
    path = context.ask.where(tr("Export the model"), f"purified{suffix}", (suffix,))
    if path is None:
        return
    beside = path.with_name(path.name + ".json")  # the save dialog did not ask about it

    def export(exists: bool) -> None:
        question = tr("{name} exists. Replace it?", name=beside.name)
        if exists and not context.ask.confirm(question):
            return
        if not context.state.busy and context.state.goes_on_from(asked):
            writing.export_purified(context, asked.chosen, path, form)

    context.quick.ask("export", beside.exists, export)


def _table(context: Context) -> None:
    path = context.ask.where(tr("Export the table"), "purifications.csv", (".csv", ".json"))
    if path is not None and not context.state.busy:
        writing.export_table(context, path)


def _has_weights(state: State) -> bool:
    """Whether the chosen purification has its weights; an audit file may lack them."""
    if not with_purification(state) or not state.chosen:
        return False
    return state.purifications[state.chosen - 1].result.weights is not None


EXPORT_MODEL = action(
    Action(
        "export_purified", words("Export the model…", ja="モデルを書き出す…"),
        words("Write the selected purified model, verified, in its original format or another.",
              ja="選択中の浄化モデルを、検証して、元の形式または別の形式で書き出します。"),
        "purification", 60, _model, _has_weights, "Ctrl+E",
        starts=True,
        icon="export",
    )
)  # fmt: skip
EXPORT_TABLE = action(
    Action(
        "export_table", words("Export the table…", ja="表を書き出す…"),
        words("Export the original and all purifications as CSV or JSON.",
              ja="元のモデルとすべての浄化を CSV か JSON で書き出します。"),
        "purification", 70, _table, with_purification,
    )
)  # fmt: skip
