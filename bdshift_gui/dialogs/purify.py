"""How to purify: a method with its settings, the class, the trigger to report on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QComboBox, QDoubleSpinBox, QFormLayout, QLineEdit, QWidget

from bdshift_gui.dialogs.asking import Asking
from bdshift_gui.i18n import tr
from bdshift_gui.selection import Selection
from bdshift_gui.session import State
from bdshift_gui.widgets.card import Card, Text
from bdshift_gui.widgets.settings_form import SettingsForm

if TYPE_CHECKING:
    from bdshift.audit.unfinished import Asked

_EVERY = (
    "shift-tuning", "cut", "clp", "fine-tuning", "fine-pruning", "tsbd", "ft-sam", "beear", "rnp",
    "anp",
)  # fmt: skip


class PurifyDialog(Asking):
    """``chosen`` carries a tuple of `Asked`, one after another. What was interrupted (``before``)
    is offered again.
    """

    chosen = Signal(object)

    def __init__(self, state: State, now: Selection, before: Asked | None, parent: QWidget) -> None:
        super().__init__(tr("Purify"), 560, 480, parent)
        audit = state.original
        assert audit is not None
        self._before = before
        self._cut = "cut:neurons=" + "+".join(map(str, sorted(now.neurons)))
        lead = Text("muted")
        lead.show_text(
            tr("A copy is purified; the model that was opened is never changed. Only clean images "
               "are learned from, and only held-out ones decide what is kept.")
        )  # fmt: skip
        self.column.addWidget(lead)
        self.method, self.settings = QComboBox(), SettingsForm()
        for key, words in self._methods(some=bool(now.neurons)).items():
            self.method.addItem(words[0], key)
        self._about, self._error = Text("muted"), Text("danger")
        self.target = QComboBox()
        self.target.addItems(list(audit.images.class_names))
        self.target.setCurrentIndex(audit.most_suspicious)
        tac = audit.tac_of(audit.most_suspicious)
        self.trigger = QLineEdit(tac.trigger if tac is not None else "")
        self.trigger.setPlaceholderText(tr("none: attack success is not reported"))
        self.held = QDoubleSpinBox()
        self.held.setRange(5, 50)
        self.held.setSuffix(" %")
        self.held.setDecimals(0)
        self.held.setValue(20)
        form = QFormLayout()
        for label, field, tip in (
            (tr("Method"), self.method, ""),
            (tr("Poisoned class"), self.target, tr("The class that the trigger sends images to.")),
            (tr("Trigger"), self.trigger,
             tr("Only reported on: no method sees it, and nothing is chosen by it.")),
            (tr("Held out"), self.held,
             tr("Share of the clean images that nothing is learned from.")),
        ):  # fmt: skip
            field.setToolTip(tip)
            form.addRow(label, field)
        self.column.addLayout(form)
        card = Card()
        card.title.show_text(tr("Settings"))
        card.body.addWidget(self._about)
        card.body.addWidget(self.settings)
        self.column.addWidget(card)
        self.column.addWidget(self._error)
        self.column.addStretch(1)
        self.start = self.add_buttons(tr("Purify"))
        self.method.currentIndexChanged.connect(self._method_changed)
        self.settings.changed.connect(self._check)
        self.trigger.textChanged.connect(self._check)
        self._method_changed()

    def _methods(self, *, some: bool) -> dict[str, tuple[str, str]]:
        """Name and explanation of each, by key."""
        found = {}
        if self._before is not None:
            found["before"] = (
                tr("Go on where it was interrupted"),
                tr("{method}: the steps that were done are not done again.",
                   method=self._before.method.partition(":")[0]),
            )  # fmt: skip
        found |= {
            "shift-tuning": (
                tr("Shift tuning"),
                tr("Fine-tunes so that images stay right under the shift (Eq. 5)."),
            ),
            "paper": (tr("Shift tuning, the paper's settings"), tr("50 epochs; takes its time.")),
            "fine-tuning": (tr("Fine-tuning"), tr("On clean images alone: the yardstick.")),
            "fine-pruning": (
                tr("Fine-Pruning"),
                tr("Cuts the neurons that clean images excite least, then fine-tunes."),
            ),
            "cut": (
                tr("Cut by a ranking"),
                tr("Cuts the first neurons of a ranking, as many as accuracy allows."),
            ),
            "clp": (
                "CLP", tr("Cuts channels whose Lipschitz constant stands out; needs no images.")
            ),
            "anp": (
                "ANP", tr("Cuts channels that a small, worst-case change of weights sets off.")
            ),
            "rnp": (
                "RNP", tr("Unlearns the clean task; cuts what is not needed to learn it again.")
            ),
            "tsbd": (
                "TSBD", tr("Sets weights to zero that unlearning the clean task moves most; tunes.")
            ),
            "ft-sam": ("FT-SAM", tr("Fine-tunes into flat places of the loss.")),
            "beear": (
                "BEEAR", tr("As shift tuning, under a shift without bounds, found anew each epoch.")
            ),
        }  # fmt: skip
        found["every"] = (
            tr("Every method, one after another"),
            tr("Each with its own settings, the slowest last; then Compare shows them all. Stop "
               "ends the one that runs and those behind it."),
        )  # fmt: skip
        if some:
            found["selected"] = (
                tr("Cut the selected neurons"),
                tr("Exactly those that are selected in the scatter."),
            )
        return found

    def _method_changed(self) -> None:
        from bdshift.purify import parse_method

        key = self.method.currentData()
        self._about.show_text(self._methods(some=True)[key][1])
        text = {"selected": self._cut, "every": _EVERY[0]}.get(key, key)
        if key == "before":
            assert self._before is not None
            text = self._before.method
            self.target.setCurrentIndex(self._before.target)
            self.trigger.setText(self._before.trigger)
            self.held.setValue(100 * self._before.held)
        self.settings.show_method(parse_method(text))
        self.settings.setVisible(key != "every")
        for field in (self.settings, self.target, self.trigger, self.held):
            field.setEnabled(key != "before")
        self._check()
        self.fit()

    def _check(self) -> None:
        from bdshift.errors import BdshiftError
        from bdshift.purify import parse_method
        from bdshift.triggers import parse_trigger

        wrong = ""
        try:
            parse_method(self.settings.text())
            if self.trigger.text().strip():
                parse_trigger(self.trigger.text().strip())
        except BdshiftError as error:
            wrong = str(error)
        self._error.show_text(wrong)
        self.start.setEnabled(not wrong)

    def answer(self) -> None:
        from bdshift.audit.unfinished import Asked
        from bdshift.purify import parse_method

        if self.method.currentData() == "before":
            self.chosen.emit((self._before,))
            return
        every = self.method.currentData() == "every"
        self.chosen.emit(tuple(
            Asked(parse_method(text).spec, self.target.currentIndex(),
                  self.trigger.text().strip(), round(self.held.value() / 100, 2))
            for text in (_EVERY if every else (self.settings.text(),))
        ))  # fmt: skip
