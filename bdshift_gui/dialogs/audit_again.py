"""How to audit the selected models of a table again."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QCheckBox, QDoubleSpinBox, QFormLayout, QSpinBox

from bdshift.budgets import SCAN_SECONDS
from bdshift_gui.context import Context
from bdshift_gui.dialogs.question import QuestionDialog
from bdshift_gui.i18n import tr
from bdshift_gui.widgets.card import Text
from bdshift_gui.widgets.form_rows import add_row

_MAX_SECONDS, _MAX_IMAGES = 86_400.0, 10_000_000


class AuditAgainDialog(QuestionDialog):
    """``chosen`` carries settings, by their fields in `bdshift.audit.asked.AskedScan`."""

    chosen = Signal(object)

    def __init__(self, context: Context) -> None:
        from bdshift.audit.asked import AskedScan
        from bdshift.detect.detectors.embedding_shift import EmbeddingShift

        super().__init__(tr("Audit again"), 460, 260, context.ask.parent)
        shown = context.state.fleet
        assert shown is not None
        usual, self._alpha = AskedScan(), EmbeddingShift().alpha
        self.lead = Text("muted")
        self.lead.show_text(
            tr("{count:~|The selected model is|The selected models are} audited with these "
               "settings. The table then shows the new results; what was found before is kept, "
               "and is shown again if you ask for the same.", count=len(shown.chosen))
        )  # fmt: skip
        self.column.addWidget(self.lead)
        if not shown.named:
            lost = Text("muted")
            lost.show_text(
                tr("Results do not keep what a list of models specified: architecture, "
                   "normalization and class names are recognized again.")
            )  # fmt: skip
            self.column.addWidget(lost)
        self.search = QCheckBox(tr("Search the images for triggers"))
        self.search.setChecked(True)
        self.budget, self.images, self.alpha = QDoubleSpinBox(), QSpinBox(), QDoubleSpinBox()
        self.budget.setRange(1, _MAX_SECONDS)
        self.budget.setDecimals(0)
        self.budget.setSingleStep(60)
        self.budget.setSuffix(tr(" s"))
        self.budget.setValue(SCAN_SECONDS)
        self.images.setRange(1, _MAX_IMAGES)
        self.images.setSingleStep(500)
        self.images.setGroupSeparatorShown(True)
        self.images.setValue(int(usual.sample))
        self.alpha.setRange(0.001, 10)
        self.alpha.setDecimals(3)
        self.alpha.setSingleStep(0.05)
        self.alpha.setValue(self._alpha)
        form = QFormLayout()
        for label, field, tip in (
            (tr("Time"), self.budget,
             tr("About how long the searches take, for each model. A longer search tries more "
                "kinds of change.")),
            (tr("Images"), self.images,
             tr("At most so many are used, the same number of each class where possible.")),
            ("α", self.alpha, tr("Cross-entropy that a shift must reach.")),
        ):  # fmt: skip
            add_row(form, label, field, tip)
        self.search.toggled.connect(self.budget.setEnabled)
        self.column.addWidget(self.search)
        self.column.addLayout(form)
        self.column.addStretch(1)
        self.start = self.add_buttons(tr("Audit"))
        self.fit()

    def answer(self) -> None:
        asked: dict[str, Any] = {
            "quick": not self.search.isChecked(),
            "sample": str(self.images.value()),
        }
        if self.search.isChecked():
            asked["budget"] = self.budget.value()
        if self.alpha.value() != self._alpha:  # else as it is if nobody asks
            asked["alpha"] = f"{self.alpha.value():g}"
        self.chosen.emit(asked)
