"""Choose a trigger: a known attack with its settings, and how it looks on images."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QSignalBlocker, Signal
from PySide6.QtWidgets import QComboBox, QFormLayout, QHBoxLayout, QPushButton

from bdshift.errors import BdshiftError
from bdshift.setting import options_of
from bdshift.triggers import TRIGGERS, parse_trigger, read_card
from bdshift_gui.context import Context
from bdshift_gui.dialogs.question import QuestionDialog
from bdshift_gui.i18n import say, tr
from bdshift_gui.jobs.events import sentence_of
from bdshift_gui.widgets.card import Text
from bdshift_gui.widgets.recovered_choice import RecoveredChoice
from bdshift_gui.widgets.settings_form import SettingsForm
from bdshift_gui.widgets.thumbs import Thumbs

_MAX_THUMBNAILS = 8

Pixels = NDArray[np.uint8]


class TriggerDialog(QuestionDialog):
    """``chosen`` carries the trigger's text."""

    chosen = Signal(str)

    def __init__(self, context: Context) -> None:
        super().__init__(tr("Trigger"), 520, 300, context.ask.parent)
        self._context, state = context, context.state
        self._images: Pixels | None = None
        self._side = 0 if state.audit is None else state.audit.preprocessing.size
        if state.audit is not None and state.audit.embedding is not None:
            thumbnails = state.audit.embedding.thumbnails
            every = max(1, len(thumbnails) // _MAX_THUMBNAILS)
            self._images = thumbnails[::every][:_MAX_THUMBNAILS]
        lead = Text("muted")
        lead.show_text(
            tr("The images are run again with the trigger, to measure TAC and attack success.")
        )
        self.column.addWidget(lead)
        self.kind, self.settings = QComboBox(), SettingsForm(context.ask)
        self._about, self._unreadable = Text("muted"), Text("danger")
        for kind in TRIGGERS.kinds():
            self.kind.addItem(tr(kind.label), kind.name)
        form = QFormLayout()
        form.addRow(tr("Attack"), self.kind)
        card = QPushButton(tr("Load a victim’s card…"))
        card.clicked.connect(self._choose_card)
        self.recovered = RecoveredChoice(context)
        self.recovered.chosen.connect(self.show_trigger)
        self.recovered.failed.connect(self._refuse)
        beside = QHBoxLayout()
        beside.addWidget(card, 1)
        beside.addWidget(self.recovered, 1)
        form.addRow("", beside)
        self.column.addLayout(form)
        self.column.addWidget(self._unreadable)
        self.column.addWidget(self._about)
        self.column.addWidget(self.settings)
        self._before, self._after, self.error = Thumbs(), Thumbs(), Text("danger")
        for widget in (self._before, self._after, self.error):
            self.column.addWidget(widget)
        self.column.addStretch(1)
        self.measure = self.add_buttons(tr("Measure TAC"))
        self.kind.currentIndexChanged.connect(self._kind_changed)
        self.settings.changed.connect(self._preview)
        self.finished.connect(lambda _: context.quick.forget(self))
        self.finished.connect(lambda _: self.recovered.forget())
        self._kind_changed()
        recovery = None if state.audit is None else state.audit.recovery_of(state.tac)
        if recovery is not None:
            self.recovered.take(recovery)
        elif state.tac is not None:
            self.show_trigger(state.tac.trigger)

    def show_trigger(self, text: str) -> None:
        """Show a trigger with its settings. One that cannot be read, such as another version's, is
        only said.
        """
        try:
            trigger = TRIGGERS.parse(text, strict=False)
        except BdshiftError as error:
            self._unreadable.show_text(say(error.sentence))
            self.fit()
            return
        kind = type(trigger)
        with QSignalBlocker(self.kind):
            self.kind.setCurrentIndex(self.kind.findData(kind.name))
        self._show({one.name: getattr(trigger, one.name) for one in options_of(kind)})

    def _kind_changed(self) -> None:
        self._show(self._held_in_model())

    def _held_in_model(self) -> dict[str, Any]:
        """Settings that name the model's file, if it holds the trigger alongside its weights."""
        kind, model = TRIGGERS[self.kind.currentData()], self._context.state.model
        if not kind.held_beside or model is None:
            return {}
        if not set(kind.held_beside) <= set(model.description.beside):
            return {}
        files = [one.name for one in options_of(kind) if one.about.widget == "file"]
        return dict.fromkeys(files, str(model.path))

    def _show(self, given: dict[str, Any]) -> None:
        kind = TRIGGERS[self.kind.currentData()]
        self._unreadable.show_text("")
        self._about.show_text(tr(kind.summary))
        self.settings.show_kind(kind, given)
        self._preview()
        self.fit()

    def _choose_card(self) -> None:
        title = tr("Load a victim’s card…")
        path = self._context.ask.file(title, f"{tr('Victim’s card')} (*.json)")
        if path is not None:
            self.read_card(path)

    def read_card(self, path: Path) -> None:
        """Take over the attack and the settings from a victim's card."""
        self._context.quick.ask(
            self, lambda: read_card(str(path)), self.show_trigger, self._refuse_error
        )

    def _preview(self) -> None:
        """Apply the trigger to a few images, on another thread, since this may read files."""
        self._context.quick.forget(self)  # its answer is about older settings
        missing = self.settings.missing
        if missing is not None:
            self._refuse(tr("Choose “{name}” first.", name=tr(missing.about.label)))
            return
        text, images, side = self.settings.text(), self._images, self._side
        self.measure.setEnabled(False)

        def look() -> Pixels | None:
            trigger = parse_trigger(text)
            if images is None:
                return None
            import torch
            from torch.nn.functional import interpolate

            pixels = torch.from_numpy(images.astype(np.float32))
            if images.shape[-1] != side:  # a trigger is for images as the network sees them
                pixels = interpolate(pixels, (side, side), mode="bilinear")
            return trigger(pixels).round().to(torch.uint8).numpy()

        self._context.quick.ask(self, look, self._show_images, self._refuse_error)

    def _show_images(self, after: Pixels | None) -> None:
        self.error.show_text("")
        self.measure.setEnabled(True)
        self._after.setVisible(after is not None)
        self._before.setVisible(self._images is not None)
        if after is not None and self._images is not None:
            self._before.show_images(self._images, tr("clean"))
            self._after.show_images(after, tr("triggered"))

    def _refuse_error(self, error: Exception) -> None:
        self._refuse(say(sentence_of(error)))

    def _refuse(self, reason: str) -> None:
        self.error.show_text(reason)
        self.measure.setEnabled(False)
        self._after.setVisible(False)

    def answer(self) -> None:
        self.chosen.emit(self.settings.text())
