"""What to recover: a trigger for which class, as which kind of change, and for how long."""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QDoubleSpinBox, QFormLayout, QSpinBox

from bdshift.changes import CHANGES
from bdshift_gui.context import Context
from bdshift_gui.dialogs.question import QuestionDialog
from bdshift_gui.i18n import tr
from bdshift_gui.plain import lines
from bdshift_gui.session import RecoveryRequest
from bdshift_gui.widgets.card import Text
from bdshift_gui.widgets.choice_box import ChoiceBox
from bdshift_gui.widgets.form_rows import add_row
from bdshift_gui.widgets.settings_form import SettingsForm

_MAX_SECONDS = 86_400.0


class RecoverDialog(QuestionDialog):
    """``chosen`` carries a `RecoveryRequest`."""

    chosen = Signal(object)

    def __init__(self, context: Context) -> None:
        super().__init__(tr("Recover trigger"), 520, 320, context.ask.parent)
        audit = context.state.original
        assert audit is not None
        names = list(map(lines, audit.images.class_names))
        lead = Text("muted")
        lead.show_text(
            tr("Searches your images for the smallest change that sends them to the class, with "
               "the same effort for other classes. A backdoor's is much smaller. You can watch.")
        )  # fmt: skip
        self.column.addWidget(lead)
        self.target, self.source, self.kind = ChoiceBox(), ChoiceBox(), ChoiceBox()
        suspected = audit.finding.classes
        first = tr("auto: every class is tried")
        if suspected:
            first = tr("the most suspicious: {name}", name=names[suspected[0]])
        self.target.addItem(first, -1)
        self.source.addItem(tr("auto: all others, then single classes"), None)
        self.source.addItem(tr("all other classes"), -1)
        for index, name in enumerate(names):
            self.target.addItem(name, index)
            self.source.addItem(name, index)
        self.kind.addItem(tr("auto: every kind competes"), "")
        for kind in CHANGES.kinds():
            self.kind.addItem(tr(kind.label), kind.name)
        self.budget, self.seed = QDoubleSpinBox(), QSpinBox()
        self.budget.setRange(1, _MAX_SECONDS)
        self.budget.setDecimals(0)
        self.budget.setSingleStep(30)
        self.budget.setPrefix(tr("about "))
        self.budget.setSuffix(tr(" s"))
        self.budget.setValue(RecoveryRequest().budget)
        self.seed.setRange(0, 2**31 - 1)
        self._about, self.settings = Text("muted"), SettingsForm(context.ask)
        what, how = QFormLayout(), QFormLayout()
        for form, label, field, tip in (
            (what, tr("Class"), self.target, tr("The class that the trigger sends images to.")),
            (what, tr("Images of"), self.source,
             tr("An attack may send images of a single class only. Single classes are tried if "
                "all others give no evidence and there is time.")),
            (what, tr("Kind of change"), self.kind,
             tr("What the trigger does to an image.")),
            (how, tr("Time"), self.budget,
             tr("How much is tried: what takes about this long on two free cores of a CPU, or on "
                "a small GPU, counted in work, not by the clock. A busy machine takes longer. "
                "With less, fewer classes and kinds are tried.")),
            (how, tr("Seed"), self.seed,
             tr("Of all random choices: the same seed, the same result.")),
        ):  # fmt: skip
            add_row(form, label, field, tip)
        self.column.addLayout(what)
        self.column.addWidget(self._about)
        self.column.addWidget(self.settings)
        self.column.addLayout(how)
        self.column.addStretch(1)
        self.start = self.add_buttons(tr("Recover"))
        self.kind.currentIndexChanged.connect(self._kind_changed)
        for one in (self.target, self.source):
            one.currentIndexChanged.connect(self._classes_changed)
        self._first = suspected[0] if suspected else -1
        self._kind_changed()

    def _classes_changed(self) -> None:
        """A class cannot be sent to itself."""
        target, source = self.target.currentData(), self.source.currentData()
        target = self._first if target < 0 else target
        self.start.setEnabled(source in (None, -1) or source != target)

    def _kind_changed(self) -> None:
        name = self.kind.currentData()
        self._about.show_text(
            tr(CHANGES[name].summary) if name
            else tr("Each kind gets its share of the time; the one that stands out most from "
                    "control classes wins.")
        )  # fmt: skip
        if name:
            self.settings.show_kind(CHANGES[name], {})
        self.settings.setVisible(bool(name))
        self.fit()

    def answer(self) -> None:
        target, kind = self.target.currentData(), self.kind.currentData()
        self.chosen.emit(
            RecoveryRequest(
                None if target < 0 else target, self.settings.text() if kind else "",
                self.budget.value(), self.seed.value(), self.source.currentData(),
            )
        )  # fmt: skip
