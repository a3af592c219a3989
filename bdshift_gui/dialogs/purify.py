"""How to purify: a method with its settings, the class, the trigger to report on."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import (
    QComboBox,
    QDialog,
    QDialogButtonBox,
    QDoubleSpinBox,
    QFormLayout,
    QLineEdit,
    QVBoxLayout,
    QWidget,
)

from bdshift_gui.i18n import tr
from bdshift_gui.selection import Selection
from bdshift_gui.session import State
from bdshift_gui.widgets.card import Text


class PurifyDialog(QDialog):
    """``chosen`` carries (method's text, target, trigger's text or "", share held out)."""

    chosen = Signal(str, int, str, float)

    def __init__(self, state: State, now: Selection, parent: QWidget) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle(tr("Purify"))
        self.resize(560, 360)
        audit = state.audit
        assert audit is not None
        self._cut = "cut:neurons=" + "+".join(map(str, sorted(now.neurons)))
        column = QVBoxLayout(self)
        lead = Text("muted")
        lead.show_text(
            tr("A copy is purified; the model that was opened is never changed. Only clean images "
               "are learnt from, and only held-out ones decide what is kept.")
        )  # fmt: skip
        column.addWidget(lead)
        form = QFormLayout()
        self.method, self.spec = QComboBox(), QLineEdit()
        for key, words in self._methods(bool(now.neurons)).items():
            self.method.addItem(words[0], key)
        self._about, self._error = Text("muted"), Text("danger")
        self.target = QComboBox()
        self.target.addItems(list(audit.images.class_names))
        self.target.setCurrentIndex(audit.most_suspicious)
        self.trigger = QLineEdit(state.tac.trigger if state.tac is not None else "")
        self.trigger.setPlaceholderText(tr("none: attack success is not reported"))
        self.held = QDoubleSpinBox()
        self.held.setRange(5, 50)
        self.held.setSuffix(" %")
        self.held.setDecimals(0)
        self.held.setValue(20)
        for label, field in (
            (tr("Method"), self.method), (tr("Settings"), self.spec), ("", self._about),
            (tr("Poisoned class"), self.target), (tr("Trigger"), self.trigger),
            (tr("Held out"), self.held),
        ):  # fmt: skip
            form.addRow(label, field)
        column.addLayout(form)
        column.addWidget(self._error)
        column.addStretch(1)
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Cancel)
        self.start = buttons.addButton(tr("Purify"), QDialogButtonBox.ButtonRole.AcceptRole)
        self.start.setObjectName("primary")
        buttons.accepted.connect(self._accept)
        buttons.rejected.connect(self.reject)
        column.addWidget(buttons)
        self.method.currentIndexChanged.connect(self._method_changed)
        self.spec.textChanged.connect(self._check)
        self.trigger.textChanged.connect(self._check)
        self._method_changed()

    def _methods(self, some: bool) -> dict[str, tuple[str, str]]:
        """Name and explanation of each, by key."""
        found = {
            "shift-tuning": (
                tr("Shift tuning"),
                tr("Fine-tunes so that images stay right under the shift (Eq. 5). scale=2 for a "
                   "trigger that survives."),
            ),
            "paper": (tr("Shift tuning, the paper's settings"), tr("50 epochs; takes its time.")),
            "fine-tuning": (tr("Fine-tuning"), tr("On clean images alone: the yardstick.")),
            "fine-pruning": (
                tr("Fine-Pruning"),
                tr("Cuts the neurons that clean images excite least, then fine-tunes."),
            ),
            "cut": (
                tr("Cut by the shift"),
                tr("Cuts the first neurons of the shift, as many as accuracy allows."),
            ),
        }  # fmt: skip
        if some:
            found["selected"] = (
                tr("Cut the selected neurons"),
                tr("Exactly those that are selected in the scatter."),
            )
        return found

    def _method_changed(self) -> None:
        from bdshift.purify import parse_method

        key = self.method.currentData()
        self._about.show_text(self._methods(True)[key][1])
        self.spec.setText(self._cut if key == "selected" else parse_method(key).spec)

    def _check(self) -> None:
        from bdshift.errors import BdshiftError
        from bdshift.purify import parse_method
        from bdshift.triggers import parse_trigger

        wrong = ""
        try:
            parse_method(self.spec.text())
            if self.trigger.text().strip():
                parse_trigger(self.trigger.text().strip())
        except BdshiftError as error:
            wrong = str(error)
        self._error.show_text(wrong)
        self.start.setEnabled(not wrong)

    def _accept(self) -> None:
        self.chosen.emit(
            self.spec.text(), self.target.currentIndex(), self.trigger.text().strip(),
            self.held.value() / 100,
        )  # fmt: skip
        self.accept()
