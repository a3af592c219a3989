"""How to purify: a method with its settings, the class, the trigger to report on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from PySide6.QtCore import Signal
from PySide6.QtWidgets import (
    QDoubleSpinBox,
    QFormLayout,
    QHBoxLayout,
    QLineEdit,
    QWidget,
)

from bdshift.audit.unfinished import PurificationRequest
from bdshift.errors import BdshiftError
from bdshift.purification import METHODS, Method
from bdshift.purification.method import needs_one
from bdshift.setting import options_of
from bdshift.spec import write_options
from bdshift.triggers import parse_trigger
from bdshift_gui.context import Context
from bdshift_gui.dialogs.question import QuestionDialog
from bdshift_gui.i18n import say, tr
from bdshift_gui.jobs.events import sentence_of
from bdshift_gui.plain import lines, set_tip
from bdshift_gui.session import State
from bdshift_gui.widgets.card import Card, Text
from bdshift_gui.widgets.choice_box import ChoiceBox
from bdshift_gui.widgets.settings_form import SettingsForm
from bdshift_gui.widgets.trigger_library import TriggerLibrary


@dataclass(frozen=True)
class _Offer:
    """An entry of the list: its label, what it does, and the methods that it runs. ``resumes`` is a
    purification that was interrupted; ``fixed`` means that its settings cannot be changed.
    """

    key: str
    label: str
    summary: str
    methods: tuple[str, ...]
    resumes: PurificationRequest | None = None
    fixed: bool = False


def _offers(state: State, interrupted: PurificationRequest | None) -> Iterator[_Offer]:
    if interrupted is not None:
        name = interrupted.method.partition(":")[0]
        yield _Offer(
            "resume", tr("Resume the interrupted purification"),
            tr("{method}: finished steps are not repeated.", method=name),
            (interrupted.method,), interrupted, fixed=True,
        )  # fmt: skip
    for kind in METHODS.kinds():
        yield _Offer(kind.name, tr(kind.label), tr(kind.summary), (kind.name,))
        for preset in METHODS.presets():
            if type(preset.member) is kind:
                text = preset.member.spec
                yield _Offer(preset.name, tr(preset.label), tr(preset.summary), (text,))
    yield _Offer(
        "every", tr("Every method, one after another"),
        tr("Each with its defaults, the slowest last; Compare then shows them all. Cancel stops "
           "the running one and drops the rest. Those that unlearn a trigger are left out without "
           "one."),
        tuple(METHODS), fixed=True,
    )  # fmt: skip
    if state.selection.neurons:
        neurons = "+".join(map(str, sorted(state.selection.neurons)))
        for kind in METHODS.kinds():
            if kind.takes_neurons:
                text = write_options(kind.name, {kind.takes_neurons: neurons})
                yield _Offer(
                    "selected", tr("Cut the selected neurons"),
                    tr("Exactly those selected in the scatter plot."), (text,),
                )  # fmt: skip


class PurifyDialog(QuestionDialog):
    """``chosen`` carries a tuple of `PurificationRequest`, to be run one after another."""

    chosen = Signal(object)

    def __init__(self, context: Context, interrupted: PurificationRequest | None) -> None:
        super().__init__(tr("Purify"), 560, 480, context.ask.parent)
        self._context, state = context, context.state
        audit = state.original
        assert audit is not None
        self._offers = list(_offers(state, interrupted))
        lead = Text("muted")
        lead.show_text(
            tr("A copy is purified; the original file is never changed. Methods learn from clean "
               "images, those that unlearn a trigger also from the same images with it, and "
               "held-out images decide which result is kept.")
        )  # fmt: skip
        self.column.addWidget(lead)
        self.method, self.settings = ChoiceBox(), SettingsForm(context.ask)
        for one in self._offers:
            self.method.addItem(one.label, one.key)
        self._about, self.error = Text("muted"), Text("danger")
        self.target = ChoiceBox()
        self.target.addItems(list(map(lines, audit.images.class_names)))
        self.target.setCurrentIndex(audit.most_suspicious)
        tac = audit.tac_of(audit.most_suspicious)
        recovery = audit.recovery_of(tac)
        known = "" if tac is None or recovery is not None else tac.trigger
        self.trigger = QLineEdit(lines(known))
        self.trigger.setCursorPosition(0)
        self.recovered = TriggerLibrary(context)
        self.recovered.chosen.connect(self._take_trigger)
        beside = QHBoxLayout()
        beside.addWidget(self.trigger, 1)
        beside.addWidget(self.recovered)
        self.trigger.setPlaceholderText(tr("none: attack success is not reported"))
        self.unlearn = QLineEdit(lines(known))
        self.to_unlearn = TriggerLibrary(context)
        self.to_unlearn.chosen.connect(self._take_unlearned)
        self.unlearn.setPlaceholderText(tr("such as badnets:size=3"))
        self._unlearned = QWidget()
        both = QHBoxLayout(self._unlearned)
        both.setContentsMargins(0, 0, 0, 0)
        both.addWidget(self.unlearn, 1)
        both.addWidget(self.to_unlearn)
        self.held_out = QDoubleSpinBox()
        self.held_out.setRange(5, 50)
        self.held_out.setSuffix("%")
        self.held_out.setDecimals(0)
        self.held_out.setValue(20)
        self._form = form = QFormLayout()
        for label, field, tip in (
            (tr("Method"), self.method, ""),
            (tr("Poisoned class"), self.target, tr("The class that the trigger sends images to.")),
            (tr("Trigger"), self.trigger, ""),
            (tr("Unlearn"), self._unlearned,
             tr("The trigger that the method unlearns, known or recovered.")),
            (tr("Held out"), self.held_out,
             tr("Share of the clean images that no method learns from.")),
        ):  # fmt: skip
            set_tip(field, tip)
            field.setAccessibleName(label)
            if field is self._unlearned:
                self.unlearn.setAccessibleName(label)
            form.addRow(label, beside if field is self.trigger else field)
        self.column.addLayout(form)
        card = Card()
        card.title.show_text(tr("Settings"))
        card.body.addWidget(self._about)
        card.body.addWidget(self.settings)
        self.column.addWidget(card)
        self.column.addWidget(self.error)
        self.column.addStretch(1)
        self.start = self.add_buttons(tr("Purify"))
        self.method.currentIndexChanged.connect(self._method_changed)
        self.settings.changed.connect(self._check)
        self.trigger.textChanged.connect(self._check)
        self.trigger.textChanged.connect(self._show_tip)
        self.unlearn.textChanged.connect(self._check)
        self.to_unlearn.failed.connect(self.error.show_text)
        self.recovered.failed.connect(self.error.show_text)
        self.finished.connect(lambda _: context.quick.forget(self))
        for choice in (self.recovered, self.to_unlearn):
            self.finished.connect(lambda _, choice=choice: choice.forget())
        self._show_tip()
        self._method_changed()
        if recovery is not None and self._offer.resumes is None:
            self.recovered.take(recovery)
        self.target.currentIndexChanged.connect(self._target_changed)
        self._target_changed(self.target.currentIndex())

    @property
    def _offer(self) -> _Offer:
        return self._offers[self.method.currentIndex()]

    def _method_changed(self) -> None:
        offer = self._offer
        self._about.show_text(offer.summary)
        method = METHODS.parse(offer.methods[0])
        self.settings.show_kind(type(method), _settings(method))
        if offer.resumes is not None:
            self.target.setCurrentIndex(offer.resumes.target)
            self.trigger.setText(offer.resumes.trigger)
            self.unlearn.setText(offer.resumes.unlearn)
            self.trigger.home(False)  # what a trigger is comes first
            self.unlearn.home(False)
            self.held_out.setValue(100 * offer.resumes.held_out)
        self.settings.setVisible(len(offer.methods) == 1)
        self.settings.setEnabled(not offer.fixed)
        for field in (self.target, self.trigger, self.recovered, self._unlearned, self.held_out):
            field.setEnabled(offer.resumes is None)
        self._form.setRowVisible(self._unlearned, any(map(_sees_trigger, offer.methods)))
        self._check()
        self.fit()

    def _take_trigger(self, text: str) -> None:
        self.trigger.setText(text)
        self.trigger.home(False)
        self.trigger.setCursorPosition(0)  # its kind is more telling than its file

    def _target_changed(self, target: int) -> None:
        """Unlearn what is known of that class: what was recovered, or the trigger measured."""
        self.to_unlearn.forget()  # what is still to come is of another class
        state = self._context.state
        if self._offer.resumes is not None or state.original is None:
            return
        found = [one for one in state.recoveries if one.target == target]
        if found:
            self.to_unlearn.take(found[-1])
            return
        tac = state.original.tac_of(target)
        self.unlearn.setText("" if tac is None else lines(tac.trigger))

    def _take_unlearned(self, text: str) -> None:
        self.unlearn.setText(text)
        self.unlearn.setCursorPosition(0)

    def _show_tip(self) -> None:
        """A path is longer than the field."""
        about = tr("For the report only: no method sees it, and it does not affect the result.")
        set_tip(self.trigger, "\n".join(filter(None, (self.trigger.text().strip(), about))))

    def _check(self) -> None:
        """Check on another thread: a trigger's text may name a file, which is then read."""
        self.start.setEnabled(False)
        method, offer = self.settings.text(), self._offer
        texts = [self.trigger.text().strip()]
        if any(map(_sees_trigger, offer.methods)):
            texts.append(self.unlearn.text().strip())

        def look() -> BdshiftError | None:
            try:
                if METHODS.parse(method).needs_trigger and not texts[-1]:
                    raise needs_one(method.partition(":")[0])
                for text in filter(None, texts):
                    parse_trigger(text)
            except BdshiftError as error:
                return error
            return None

        def show(wrong: BdshiftError | None) -> None:
            self.error.show_text("" if wrong is None else say(sentence_of(wrong)))
            self.start.setEnabled(wrong is None)

        self._context.quick.ask(self, look, show)

    def answer(self) -> None:
        offer = self._offer
        if offer.resumes is not None:
            self.chosen.emit((offer.resumes,))
            return
        texts = offer.methods if offer.fixed else (self.settings.text(),)
        unlearn = self.unlearn.text().strip()
        methods = [METHODS.parse(text) for text in texts]
        self.chosen.emit(
            tuple(
                PurificationRequest(
                    one.spec, self.target.currentIndex(), self.trigger.text().strip(),
                    round(self.held_out.value() / 100, 2), unlearn if one.sees_trigger else "",
                )
                for one in methods
                if unlearn or not one.needs_trigger
            )
        )  # fmt: skip


def _sees_trigger(text: str) -> bool:
    return METHODS.parse(text).sees_trigger


def _settings(method: Method) -> dict[str, Any]:
    return {one.name: getattr(method, one.name) for one in options_of(type(method))}
