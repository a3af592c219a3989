"""Would I have caught it? Which attack a small victim is trained with, on the user's own images."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import get_args

from PySide6.QtCore import Signal
from PySide6.QtWidgets import (
    QComboBox,
    QDoubleSpinBox,
    QFileDialog,
    QFormLayout,
    QHBoxLayout,
    QLineEdit,
    QPushButton,
    QSpinBox,
    QWidget,
)

from bdshift_gui.dialogs.asking import Asking
from bdshift_gui.dialogs.trigger import attack_words, start_of
from bdshift_gui.i18n import tr
from bdshift_gui.session import State
from bdshift_gui.widgets.card import Text


@dataclass(frozen=True)
class AskedVictim:
    """A recipe's settings; ``images`` is None for drawn signs."""

    attack: str
    target: str
    labels: str
    source: str
    rate: float
    epochs: int
    width: int
    images: Path | None
    folder: Path


class LabDialog(Asking):
    """``chosen`` carries an `AskedVictim`."""

    chosen = Signal(object)

    def __init__(self, state: State, folder: Path, parent: QWidget) -> None:
        super().__init__(tr("Train a victim"), 560, 460, parent)
        self._images, names = _classes(state)
        lead = Text("muted")
        lead.show_text(
            tr("A small ResNet-18 is trained on {images}, some of them poisoned, and then audited "
               "as if nobody knew: would you have caught it?",
               images=tr("drawn signs") if self._images is None
               else tr("the images in “{name}”", name=self._images.name))
        )  # fmt: skip
        self.column.addWidget(lead)
        self.attack, self.spec = QComboBox(), QLineEdit()
        for key, words in (attack_words() | {"": tr("None: a clean model")}).items():
            if key != "warp":  # a checkpoint's own, for the victim that it was made with
                self.attack.addItem(words, key)
        self.labels, self.target, self.source = QComboBox(), QComboBox(), QComboBox()
        for key, words in _label_words().items():
            self.labels.addItem(words, key)
        self.target.addItems(names)
        self.source.addItems(names)
        self.source.setCurrentIndex(min(1, len(names) - 1))
        self.rate, self.epochs, self.width_ = QDoubleSpinBox(), QSpinBox(), QSpinBox()
        self.rate.setRange(0.1, 100)
        self.rate.setSuffix(" %")
        self.rate.setDecimals(1)
        self.rate.setValue(10)
        self.epochs.setRange(1, 500)
        self.epochs.setValue(12)
        self.width_.setRange(4, 128)
        self.width_.setValue(16)
        self.folder = QLineEdit(str(folder))
        browse = QPushButton(tr("Choose…"))
        browse.clicked.connect(self._choose_folder)
        where = QHBoxLayout()
        where.addWidget(self.folder, 1)
        where.addWidget(browse)
        form = QFormLayout()
        for label, field, tip in (
            (tr("Attack"), self.attack, ""),
            (tr("Settings"), self.spec, tr("name:option=value,option=value.")),
            (tr("Labels"), self.labels, tr("Which images are poisoned, and how labels change.")),
            (tr("Target class"), self.target, tr("The class that the trigger sends images to.")),
            (tr("Source class"), self.source, tr("The one class that the trigger works on.")),
            (tr("Poisoned"), self.rate,
             tr("Share of the training images; with clean labels, of those of the target.")),
            (tr("Epochs"), self.epochs, tr("Passes over the training images.")),
            (tr("Width"), self.width_, tr("Channels of the first layer; 64 is usual, 16 quick.")),
            (tr("Folder"), where, tr("Takes the model, its card and what is under way.")),
        ):  # fmt: skip
            if isinstance(field, QWidget):
                field.setToolTip(tip)
                field.setAccessibleName(label)
            form.addRow(label, field)
        self.folder.setToolTip(tr("Takes the model, its card and what is under way."))
        self._form = form
        self.column.addLayout(form)
        self._error = Text("danger")
        self.column.addWidget(self._error)
        self.column.addStretch(1)
        self.start = self.add_buttons(tr("Train and audit"))
        self.attack.currentIndexChanged.connect(self._attack_changed)
        self.labels.currentIndexChanged.connect(self._check)
        for field in (self.target, self.source):
            field.currentIndexChanged.connect(self._check)
        for line in (self.spec, self.folder):
            line.textChanged.connect(self._check)
        self._attack_changed()

    def _choose_folder(self) -> None:
        path = QFileDialog.getExistingDirectory(self, tr("Folder"))
        if path:
            self.folder.setText(path)

    def _attack_changed(self) -> None:
        attack = self.attack.currentData()
        start = start_of(attack) if attack else ""
        if attack in ("input-aware", "lira"):  # their file comes from this training
            start = start.replace("file=,", "").removesuffix(":file=")
        self.spec.setText(start)
        usual = "clean-label" if attack == "sig" else "all-to-one"
        self.labels.setCurrentIndex(self.labels.findData(usual))
        self._check()

    def _check(self) -> None:
        from bdshift.errors import BdshiftError
        from bdshift.lab.poison import read_backdoors

        labels = self.labels.currentData()
        poisoned = bool(self.attack.currentData())
        self._form.setRowVisible(self.spec, poisoned)
        for field in (self.labels, self.rate):
            self._form.setRowVisible(field, poisoned)
        self._form.setRowVisible(self.target, poisoned and labels != "all-to-all")
        self._form.setRowVisible(self.source, poisoned and labels == "one-to-one")
        wrong = ""
        if self.spec.text() == start_of("patch") and self.attack.currentData() == "patch":
            wrong = tr("Which picture? Write its path behind file=.")
        elif not self.folder.text().strip():
            wrong = tr("Into which folder?")
        elif poisoned:
            asked = self.asked()
            names = [self.target.itemText(i) for i in range(self.target.count())]
            try:
                read_backdoors(asked.attack, asked.labels, asked.target, asked.source, names)
            except BdshiftError as error:
                wrong = str(error)
        self._error.show_text(wrong)
        self.start.setEnabled(not wrong)

    def asked(self) -> AskedVictim:
        """What the fields say."""
        labels = self.labels.currentData()
        attack = self.spec.text().strip() if self.attack.currentData() else ""
        target = self.target.currentText() if attack and labels != "all-to-all" else ""
        return AskedVictim(
            attack, target, labels, self.source.currentText() if labels == "one-to-one" else "",
            self.rate.value() / 100, self.epochs.value(), self.width_.value(), self._images,
            Path(self.folder.text().strip()).expanduser(),
        )  # fmt: skip

    def answer(self) -> None:
        self.chosen.emit(self.asked())


def _classes(state: State) -> tuple[Path | None, list[str]]:
    """The images that are open and their folders; drawn signs if there are none."""
    if state.images is not None and state.images_path is not None:
        return state.images_path, [name for name, _ in state.images.counts]
    if state.audit is not None and state.images_path is not None and state.images_path.exists():
        return state.images_path, list(state.audit.images.class_names)
    from bdshift.images.signs import CLASSES

    return None, list(CLASSES)


def free_folder(base: Path) -> Path:
    """A folder in ``base`` that is not there yet."""
    return next(path for n in count(1) if not (path := base / f"victim-{n}").exists())


def _label_words() -> dict[str, str]:
    from bdshift.lab.poison import Labels

    words = {
        "all-to-one": tr("All classes to one"),
        "one-to-one": tr("One class to one"),
        "all-to-all": tr("Each class to the next"),
        "clean-label": tr("Clean labels: only images of the target"),
    }
    return {key: words[key] for key in get_args(Labels)}
