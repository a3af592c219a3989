"""The model: what the user can check and correct."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtWidgets import QHBoxLayout

from bdshift_gui.actions.correct import ARCHITECTURE, DETAILS, PROMPTS
from bdshift_gui.context import Context
from bdshift_gui.i18n import say, tr
from bdshift_gui.plain import set_tip
from bdshift_gui.session import State
from bdshift_gui.view import View, view
from bdshift_gui.widgets.card import Card, CornerButton, Elided, KeyValueRows, Text

if TYPE_CHECKING:
    from bdshift.checkpoints.prompts import ClassPrompts

_MAX_SHOWN = 20  # prompts, in a tooltip


@view
class ModelCard(Card, View):
    """Architecture, head and hash."""

    key = "model"
    area = "cards"
    place = 20
    reads = ("audit", "candidates", "model", "model_path", "corrections", "shown", "job")

    def __init__(self, context: Context) -> None:
        super().__init__()
        self.correct = CornerButton(self, lambda: ARCHITECTURE.trigger(context))
        self.details = CornerButton(self, lambda: DETAILS.trigger(context))
        self.prompts = CornerButton(self, lambda: PROMPTS.trigger(context))
        self._name = Elided("muted")
        self._rows = KeyValueRows()
        self._safe = Text("muted", wrap=False)
        self.doubt = Text("danger")
        line = QHBoxLayout()
        line.addWidget(self._name, 1)
        line.addWidget(self.prompts)  # the corner has no room for a third
        line.addWidget(self._safe)
        self.body.addLayout(line)
        self.body.addWidget(self._rows)
        self.body.addWidget(self.doubt)

    def show_state(self, state: State) -> None:
        """Show the audited model, or the one that is open."""
        self.title.show_text(tr("Model"))
        self.correct.show_action(tr("change…"), ARCHITECTURE, state)
        self.details.show_action(tr("details…"), DETAILS, state)
        self.details.setVisible(state.model is not None)
        self.prompts.show_action(tr("prompts…"), PROMPTS, state)
        self.prompts.setVisible(state.audit is not None and state.audit.model.prompts is not None)
        audit, opened = state.audit, state.model
        self.setVisible(audit is not None or opened is not None)
        if audit is not None:
            model = audit.model
            path, sha, container = model.path, model.sha256, model.container
            classes, dim, head = model.classes, model.embedding_dim, model.head
            architecture, prompts = model.architecture, model.prompts
        elif opened is not None and opened.description.recognized is not None:
            about = opened.description
            known = opened.description.recognized
            path, sha, container = about.path, about.sha256, about.container
            classes, dim, head = known.classes, known.embedding_dim, known.head
            architecture = str(state.corrections.arch or known.architectures[0])
            prompts = None
        else:
            return
        self.doubt.show_text(_doubt(state))
        name = path.replace("\\", "/").rpartition("/")[2]
        if state.shown:
            name = tr("{name}, purified ({number})", name=name, number=state.shown)
        self._name.show_text(name)
        set_tip(self._name, path)
        self._safe.show_text(tr("no code run"))
        set_tip(self._safe, tr("bdshift reads the file itself and calls nothing in it."))
        self._rows.show_rows(
            [
                (tr("Architecture"), architecture, architecture),
                (tr("Embedding"), f"{dim}-d", tr("Dimension of φ(x), the input to the head.")),
                _head_row(head, classes, prompts),
                ("SHA-256", f"{sha[:6]}…{sha[-4:]}", f"{sha}\n{container}"),
            ]
        )  # fmt: skip


def _doubt(state: State) -> str:
    """Why it is not certain which network this is, or how it reads images; "" if it is."""
    if state.candidates is not None and state.candidates.ties():
        return say(state.candidates.conclusion[0])
    audit = state.audit
    count = 0 if audit is None else len(audit.alternatives) + len(audit.readings)
    if state.candidates is not None or not count:
        return ""
    return tr("The choice is not certain: {count:|other reading fits|other readings fit} the "
              "images as well.", count=count)  # fmt: skip


def _head_row(head: str, classes: int, prompts: ClassPrompts | None) -> tuple[str, str, str]:
    if not classes:
        return (
            tr("Head"), tr("from class names"),
            tr("This model recognizes a class by its name: that of its folder of images."),
        )  # fmt: skip
    if prompts is not None:
        shown = (prompts.text(0, number) for number in range(len(prompts.templates)))
        return (
            tr("Head"),
            tr("{count:|class|classes}, {many:|prompt template|prompt templates}", count=classes,
               many=len(prompts.templates)),
            "\n".join([*shown][:_MAX_SHOWN]),
        )  # fmt: skip
    return (tr("Head"), tr("{name}, {count:|class|classes}", name=head, count=classes),
            tr("Name of the last linear layer, and its number of rows."))  # fmt: skip
