"""Choose a trigger: its kind and settings, and how it looks on the user's own images."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QSignalBlocker, Signal
from PySide6.QtWidgets import (
    QFormLayout,
    QHBoxLayout,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from bdshift.errors import BdshiftError
from bdshift.setting import options_of
from bdshift.spec import write_options
from bdshift.triggers import TRIGGERS, is_card, read_card
from bdshift.triggers.placement import Outline
from bdshift_gui.context import Context
from bdshift_gui.dialogs.question import QuestionDialog
from bdshift_gui.i18n import say, tr
from bdshift_gui.jobs.events import sentence_of
from bdshift_gui.plain import set_tip
from bdshift_gui.tasks.one_image import image_at, rows_to_show
from bdshift_gui.widgets.card import Text
from bdshift_gui.widgets.choice_box import ChoiceBox
from bdshift_gui.widgets.painting import Painting
from bdshift_gui.widgets.settings_form import SettingsForm
from bdshift_gui.widgets.trigger_library import TriggerLibrary
from bdshift_gui.widgets.trigger_look import Seen, TriggerLook
from bdshift_gui.widgets.trigger_stage import TriggerStage
from bdshift_gui.widgets.trigger_text import TriggerText

_MAX_IMAGES = 60
_USUAL_SHARE = 4  # of the image's side: how large a picture is at first that is larger than it
_FORM_WIDTH = 340

Pixels = NDArray[np.uint8]


class TriggerDialog(QuestionDialog):
    """``chosen`` carries the trigger's text."""

    chosen = Signal(str)

    def __init__(self, context: Context) -> None:
        super().__init__(tr("Trigger"), 856, 440, context.ask.parent)
        self._context, state = context, context.state
        audit = state.audit
        assert audit is not None
        self._side = audit.preprocessing.size
        self._rows, self._at = rows_to_show(audit, _MAX_IMAGES), 0
        self._clean: Pixels | None = None
        self._last: dict[str, dict[str, Any]] = {}  # what was set for each kind
        self._painted = ""  # the kind that was painted last, if any was
        self._files: tuple[Any, ...] = ()
        lead = Text("muted")
        lead.show_text(
            tr(
                "The images are run again with the trigger, to measure how often it works, and how "
                "much each neuron reacts to it (TAC)."
            )
        )
        self.column.addWidget(lead)
        self.stage, self.settings = TriggerStage(context.ask), SettingsForm(context.ask)
        self._before, self._after = self.stage.before, self.stage.after
        self.kind, self.library = ChoiceBox(), TriggerLibrary(context)
        for kind in TRIGGERS.kinds():
            self.kind.addItem(tr(kind.label), kind.name)
        self.kind.setSizeAdjustPolicy(
            ChoiceBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon
        )
        self._about, self._unreadable, self.error = Text("muted"), Text("danger"), Text("danger")
        halves = QHBoxLayout()
        halves.setSpacing(16)
        halves.addWidget(self.stage, 1)
        halves.addWidget(self._form())
        self.column.addLayout(halves, 1)
        self.measure = self.add_buttons(tr("Measure its effect (TAC)"))
        set_tip(
            self.measure,
            tr("TAC is the trigger-activated change: how far the trigger moves the activation "
               "of each neuron, on average."),
        )  # fmt: skip
        self._look = TriggerLook(context.quick, self)
        self.painting = Painting(context, self._after, self.stage.tools)
        self._connect()
        self._kind_changed()
        self._step(0)
        self.kind.setFocus()
        recovery = audit.recovery_of(state.tac)
        if recovery is not None:
            self.library.take(recovery)
        elif state.tac is not None:
            self.show_trigger(state.tac.trigger)

    def _form(self) -> QWidget:
        """What is at the right of the images."""
        self._card = QPushButton(tr("Take it from a victim’s card…"))
        set_tip(
            self._card,
            tr("A victim is a model with a known backdoor, such as “Train a victim…” makes. Its "
               "card, a JSON file beside it, says which trigger it has."),
        )  # fmt: skip
        self.text = TriggerText()
        form = QFormLayout()
        form.addRow(tr("Attack"), self.kind)
        form.addRow("", self.library)
        form.addRow("", self._card)
        if self.library.isHidden():
            form.setRowVisible(self.library, False)
        side = QWidget()
        side.setObjectName("plain")
        side.setFixedWidth(_FORM_WIDTH)
        column = QVBoxLayout(side)
        column.setContentsMargins(0, 0, 0, 0)
        column.addLayout(form)
        for widget in (self._unreadable, self._about, self.settings, self.error):
            column.addWidget(widget)
        column.addStretch(1)
        column.addWidget(self.text)
        return side

    def _order_tabs(self) -> None:
        """First what is chosen, then the image; fields that are new would come last."""
        stage = self.stage
        tools = stage.tools
        stops = [
            self.kind, self.library, self._card, *self.settings.stops(), self._after,
            stage.previous, stage.next, tools.color, tools.diameter, tools.eraser, tools.undo,
            tools.redo, tools.clear, self.text.fold, self.text.line, self.measure,
        ]  # fmt: skip
        for first, second in pairwise(stops):
            QWidget.setTabOrder(first, second)

    def _connect(self) -> None:
        self._card.clicked.connect(self._choose_card)
        self.library.chosen.connect(self.show_trigger)
        self.library.failed.connect(self._refuse)
        self.stage.stepped.connect(self._step)
        self._after.placed.connect(self._take_place)
        self.painting.began.connect(lambda: self.measure.setEnabled(False))
        self.painting.written.connect(self._take_painting)
        self.painting.failed.connect(self._refuse)
        self.text.folded.connect(self.fit)
        self.text.typed.connect(self._take_text)
        self._look.seen.connect(self._show_seen)
        self._look.failed.connect(self._refuse)
        self.kind.currentIndexChanged.connect(self._kind_changed)
        self.settings.changed.connect(self._settings_changed)
        for forget in (self.library.forget, self.painting.forget):
            self.finished.connect(lambda _, forget=forget: forget())
        self.finished.connect(lambda _: self._look.drop())
        for key in ((self, "image"), (self, "card")):
            self.finished.connect(lambda _, key=key: self._context.quick.forget(key))

    # --- the kind and its settings

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
        self._keep_painting()
        with QSignalBlocker(self.kind):
            self.kind.setCurrentIndex(self.kind.findData(kind.name))
        self._show({one.name: getattr(trigger, one.name) for one in options_of(kind)})

    def _kind_changed(self) -> None:
        self._show(self._last.get(self.kind.currentData()) or self._held_in_model())

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
        self._files = self._file_values()
        self.painting.forget()
        self._look.drop()
        self._after.show_outline(None, scalable=False)
        self._settings_changed()
        self.fit()

    def _settings_changed(self) -> None:
        self._last[self.kind.currentData()] = self.settings.values()
        self.text.show_text(self.settings.text())
        self._preview()

    def _value(self, role: Any, default: Any) -> Any:
        name = self.settings.named(role)
        return default if name is None else self.settings.values()[name]

    def _file_values(self) -> tuple[Any, ...]:
        values = self.settings.values()
        return tuple(values[name] for name in self.settings.asked_by("file"))

    def _choose_card(self) -> None:
        title = tr("Take it from a victim’s card…")
        path = self._context.ask.file(title, f"{tr('Victim’s card')} (*.json)")
        if path is not None:
            self.read_card(path)

    def read_card(self, path: Path) -> None:
        """Take over the attack and the settings from a victim's card."""
        self._look.drop()
        self._context.quick.ask(
            (self, "card"), lambda: read_card(str(path)), self.show_trigger, self._refuse_error
        )

    # --- what is done on the image

    def _take_place(self, at: Outline, scaled: bool) -> None:
        """The trigger was dragged there."""
        settings = self.settings
        found = {settings.named("row"): at.top, settings.named("column"): at.left}
        if scaled:
            found[settings.named("size")] = max(at.height, at.width)
        settings.set_values({name: value for name, value in found.items() if name is not None})

    def _take_painting(self, text: str) -> None:
        self.settings.set_values(dict.fromkeys(self.settings.asked_by("drawing"), text))
        self._painted = self.kind.currentData() if text else ""

    def _step(self, by: int) -> None:
        """Show another image."""
        self._at = (self._at + by) % len(self._rows)
        read = image_at(self._context.state, self._rows[self._at])
        self._context.quick.ask((self, "image"), read, self._show_clean, self._refuse_error)

    def _show_clean(self, pixels: Pixels) -> None:
        first = self._clean is None
        self._clean = pixels
        self.stage.show_clean(pixels, self._name_of_image())
        if first:
            self.library.show_on(pixels)
        self._preview()

    def _name_of_image(self) -> str:
        audit = self._context.state.audit
        if audit is None or audit.embedding is None:
            return tr("The audit file holds no images.")
        label = int(audit.embedding.labels[self._rows[self._at]])
        return tr("Image {number} of {count}: {name}", number=self._at + 1, count=len(self._rows),
                  name=audit.images.class_names[label])  # fmt: skip

    # --- the text

    def _take_text(self, text: str) -> None:
        if is_card(text):
            self.read_card(Path(text))
            return
        try:
            TRIGGERS.parse(text)
        except BdshiftError as error:
            self._refuse(say(error.sentence))
            return
        self.show_trigger(text)

    # --- how it looks

    def _preview(self) -> None:
        """Apply the trigger to the image."""
        self._show_tools()
        missing = self.settings.missing
        if missing is not None:
            self._refuse(
                tr("Nothing is painted yet.")
                if missing.about.widget == "drawing"
                else tr("Choose “{name}” first.", name=tr(missing.about.label))
            )
            return
        if self.painting.unwritten:
            self._refuse(self.painting.unwritten)
            return
        self.measure.setEnabled(False)
        if self._clean is not None:  # else it comes in a moment
            self._look.ask(self.settings.text(), self._clean)

    def _show_tools(self) -> None:
        """Offer a brush for kinds that are painted."""
        drawings = self.settings.asked_by("drawing")
        if not drawings:
            self.painting.hide()
            return
        text = self.settings.values()[drawings[0]]
        self.painting.show(text, self._side, self._value("opacity", 1.0))

    def _show_seen(self, seen: Seen) -> None:
        if not seen.last:  # its outline is an older one than the user drags
            self._after.show_pixels(seen.pixels, tr("triggered"))
            return
        files, self._files = self._files, self._file_values()
        if files != self._files and self._make_small(seen.outline):
            return
        self.error.show_text("")
        self.measure.setEnabled(True)
        scalable = self.settings.named("size") is not None
        self.stage.show_triggered(seen.pixels, seen.outline, scalable=scalable)
        self._show_hint(seen.outline)

    def _make_small(self, outline: Outline | None) -> bool:
        """Give a picture that was just chosen, and is larger than the image, a usual size."""
        size = self.settings.named("size")
        if outline is None or size is None or max(outline.own) <= self._side:
            return False
        if self.settings.values()[size]:
            return False
        self.settings.set_values({size: max(1, self._side // _USUAL_SHARE)})
        return True

    def _show_hint(self, outline: Outline | None) -> None:
        self.stage.show_hint(
            movable=outline is not None,
            scalable=self.settings.named("size") is not None,
            painted=bool(self.settings.asked_by("drawing")),
        )
        self._order_tabs()  # the image may be a stop now
        self.fit_if_cramped()

    def _refuse_error(self, error: Exception) -> None:
        self._refuse(say(sentence_of(error)))

    def _refuse(self, reason: str) -> None:
        self._look.drop()  # its answer would be about older settings
        self.error.show_text(reason)
        self.measure.setEnabled(False)
        self.stage.show_refused(self._clean)
        self._show_hint(None)
        if self.settings.asked_by("drawing"):
            self._after.show_layer()

    def reject(self) -> None:
        """Close. What was painted is kept among the triggers used last."""
        self._keep_painting()
        super().reject()

    def _keep_painting(self) -> None:
        if self._painted:
            kept = write_options(self._painted, self._last[self._painted])
            self._context.settings.remember_trigger(kept)

    def answer(self) -> None:
        self._keep_painting()
        text = self.settings.text()
        self._context.settings.remember_trigger(text)
        self.chosen.emit(text)
