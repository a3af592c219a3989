"""Would I have caught it? Choose an attack, and train a small victim on your own images with it."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QFormLayout, QHBoxLayout, QLineEdit, QPushButton

from bdshift.errors import InputError, UsageError
from bdshift.files import usable
from bdshift.images.signs import CLASSES
from bdshift.lab.recipe import Recipe
from bdshift.triggers import TRIGGERS, Trigger
from bdshift.triggers.labeling import LABELINGS, Labeling
from bdshift_gui.context import Context
from bdshift_gui.dialogs.question import QuestionDialog
from bdshift_gui.i18n import say, tr
from bdshift_gui.jobs.events import sentence_of
from bdshift_gui.plain import lines, set_tip
from bdshift_gui.session import State
from bdshift_gui.widgets.card import Text
from bdshift_gui.widgets.choice_box import ChoiceBox
from bdshift_gui.widgets.settings_form import SettingsForm, options_named

_CHOSEN = ("attack", "labels", "target", "source")
_POISONING = ("rate",)
_TRAINING = ("width", "epochs")


@dataclass(frozen=True)
class VictimRequest:
    """What to train; ``images`` is None for drawn signs."""

    recipe: Recipe
    images: Path | None
    folder: Path


class LabDialog(QuestionDialog):
    """``chosen`` carries a `VictimRequest`."""

    chosen = Signal(object)

    def __init__(self, context: Context, folder: Path) -> None:
        super().__init__(tr("Train a victim"), 560, 460, context.ask.parent)
        self._context = context
        self._images, self._names = _classes(context.state)
        lead = Text("muted")
        lead.show_text(
            tr("A small ResNet-18 is trained on drawn traffic signs, some of them poisoned, and "
               "then audited blind: would you have caught it?") if self._images is None
            else tr("A small ResNet-18 is trained on the images in “{name}”, some of them "
                    "poisoned, and then audited blind: would you have caught it?",
                    name=self._images.name)
        )  # fmt: skip
        self.column.addWidget(lead)
        self.attack, self.settings = ChoiceBox(), SettingsForm(context.ask)
        for kind in TRIGGERS.kinds():
            if kind.for_training:
                self.attack.addItem(tr(kind.label), kind.name)
        self.attack.addItem(tr("None: a clean model"), "")
        self.labels, self.target, self.source = ChoiceBox(), ChoiceBox(), ChoiceBox()
        for labeling in LABELINGS.kinds():
            self.labels.addItem(tr(labeling.label), labeling.name)
        for box in (self.target, self.source):
            box.addItems(list(map(lines, self._names)))
        self.source.setCurrentIndex(min(1, len(self._names) - 1))
        self.poisoning, self.training = SettingsForm(context.ask), SettingsForm(context.ask)
        self.poisoning.show_kind(Recipe, {}, _POISONING)
        self.training.show_kind(Recipe, {}, _TRAINING)
        self.folder = QLineEdit(str(folder))
        browse = QPushButton(tr("Choose…"))
        browse.clicked.connect(self._choose_folder)
        where = QHBoxLayout()
        where.addWidget(self.folder, 1)
        where.addWidget(browse)
        form = self._form = QFormLayout()
        asked = self.attack, self.labels, self.target, self.source
        for one, field in zip(options_named(Recipe, _CHOSEN), asked, strict=True):
            label = tr(one.about.label)
            set_tip(field, tr(one.about.help))
            field.setAccessibleName(label)
            form.addRow(label, field)
        form.insertRow(1, self.settings)
        form.addRow(self.poisoning)
        form.addRow(self.training)
        form.addRow(tr("Folder"), where)
        set_tip(self.folder, tr("For the model, its card and the training state."))
        self.folder.setAccessibleName(tr("Folder"))
        self.column.addLayout(form)
        self.error = Text("danger")
        self.column.addWidget(self.error)
        self.column.addStretch(1)
        self.start = self.add_buttons(tr("Train and audit"))
        self.attack.currentIndexChanged.connect(self._attack_changed)
        for box in (self.labels, self.target, self.source):
            box.currentIndexChanged.connect(self._check)
        for fields in (self.settings, self.poisoning, self.training):
            fields.changed.connect(self._check)
        self.folder.textChanged.connect(self._check)
        self.finished.connect(lambda _: context.quick.forget(self))
        self._attack_changed()

    def _choose_folder(self) -> None:
        path = self._context.ask.folder(tr("Folder"))
        if path is not None:
            self.folder.setText(str(path))

    @property
    def _attack(self) -> type[Trigger] | None:
        name = self.attack.currentData()
        return TRIGGERS[name] if name else None

    @property
    def _labeling(self) -> type[Labeling]:
        return LABELINGS[self.labels.currentData()]

    def _attack_changed(self) -> None:
        attack = self._attack
        set_tip(self.attack, "" if attack is None else tr(attack.summary))
        if attack is not None:
            self.settings.show_kind(attack, {}, attack.trained_settings())
            self.labels.setCurrentIndex(self.labels.findData(attack.usual_labels))
        self._check()
        self.fit()

    def _check(self) -> None:
        """Check the fields, on another thread: a trigger may name a file."""
        attack, labeling = self._attack, self._labeling
        poisoned = attack is not None
        for field, visible in (
            (self.settings, poisoned and bool(self.settings.fields)),
            (self.labels, poisoned), (self.poisoning, poisoned),
            (self.target, poisoned and labeling.has_target),
            (self.source, poisoned and labeling.has_source),
        ):  # fmt: skip
            self._form.setRowVisible(field, visible)
        self.start.setEnabled(False)
        self._context.quick.forget(self)  # its answer is about older settings
        missing = self.settings.missing if poisoned else None
        if missing is not None:
            self.error.show_text(tr("Choose “{name}” first.", name=tr(missing.about.label)))
        elif not self.folder.text().strip():
            self.error.show_text(tr("Choose a folder."))
        else:
            try:
                recipe = self.recipe()
            except UsageError as error:
                self.error.show_text(say(error.sentence))
                return
            names = tuple(self._names)
            self._context.quick.ask(
                self, lambda: recipe.backdoors(names), lambda _: self._accept_fields(),
                lambda error: self.error.show_text(say(sentence_of(error))),
            )  # fmt: skip

    def _accept_fields(self) -> None:
        self.error.show_text("")
        self.start.setEnabled(True)

    def recipe(self) -> Recipe:
        """The recipe in the fields. Raises `UsageError` for fields that do not go together."""
        training = self.training.values()
        if self._attack is None:
            return Recipe(**training)
        labeling = self._labeling
        return Recipe(
            attack=self.settings.text() if self.settings.fields else self._attack.name,
            target=self.target.currentText() if labeling.has_target else "",
            labels=labeling.name,
            source=self.source.currentText() if labeling.has_source else "",
            **self.poisoning.values(),
            **training,
        )  # fmt: skip

    def answer(self) -> None:
        folder = Path(self.folder.text().strip()).expanduser()
        self.chosen.emit(VictimRequest(self.recipe(), self._images, folder))


def _classes(state: State) -> tuple[Path | None, list[str]]:
    """The open images and their class folders; None and the drawn signs if there are none, or they
    have no labels to train on.
    """
    if not state.labeled:
        return None, list(CLASSES)
    if state.images is not None:
        return state.images.path, list(state.images.collection.folders)
    if state.audit is not None and state.images_path is not None:
        with suppress(InputError):
            return usable(state.images_path), list(state.audit.images.class_names)
    return None, list(CLASSES)


def free_folder(base: Path) -> Path:
    """A folder in ``base`` that does not exist yet."""
    return next(path for n in count(1) if not (path := base / f"victim-{n}").exists())
