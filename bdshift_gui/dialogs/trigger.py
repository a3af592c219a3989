"""Which trigger: a known attack with its settings, or a picture; and how it looks on an image."""

from __future__ import annotations

from dataclasses import MISSING, fields

import numpy as np
from PySide6.QtCore import Signal
from PySide6.QtWidgets import (
    QComboBox,
    QFileDialog,
    QFormLayout,
    QLineEdit,
    QPushButton,
    QWidget,
)

from bdshift_gui.dialogs.asking import Asking
from bdshift_gui.i18n import tr
from bdshift_gui.session import State
from bdshift_gui.widgets.card import Text
from bdshift_gui.widgets.thumbs import Thumbs


class TriggerDialog(Asking):
    """``chosen`` carries the trigger's text."""

    chosen = Signal(str)

    def __init__(self, state: State, parent: QWidget) -> None:
        super().__init__(tr("Trigger"), 520, 300, parent)
        self._images: np.ndarray | None = None
        holds_grids = state.model is not None and "noise_grid" in state.model["beside"]
        self._victim = state.model["path"] if holds_grids and state.model is not None else ""
        if state.audit is not None and state.audit.embedding is not None:
            thumbnails = state.audit.embedding.thumbnails
            self._images = thumbnails[:: max(1, len(thumbnails) // 8)][:8]
        column = self.column
        lead = Text("muted")
        lead.show_text(
            tr("The images are run again with the trigger, which tells TAC and attack success.")
        )
        column.addWidget(lead)
        form = QFormLayout()
        self.kind, self.spec = QComboBox(), QLineEdit()
        for attack, words in attack_words().items():
            self.kind.addItem(words, attack)
        form.addRow(tr("Attack"), self.kind)
        self._browse = QPushButton()
        self._browse.clicked.connect(self._choose_file)
        form.addRow(tr("Settings"), self.spec)
        form.addRow("", self._browse)
        card = QPushButton(tr("Read a victim’s card…"))
        card.clicked.connect(self._choose_card)
        form.addRow("", card)
        column.addLayout(form)
        self._before, self._after, self._error = Thumbs(), Thumbs(), Text("danger")
        for widget in (self._before, self._after, self._error):
            column.addWidget(widget)
        column.addStretch(1)
        self.measure = self.add_buttons(tr("Measure TAC"))
        self.kind.currentIndexChanged.connect(self._kind_changed)
        self.spec.textChanged.connect(self._preview)
        known = state.tac.trigger if state.tac is not None else start_of("badnets")
        self.kind.setCurrentIndex(max(0, self.kind.findData(known.partition(":")[0])))
        self.spec.setText(known)
        self._show_browse()
        self.spec.setToolTip(
            tr("name:option=value,option=value; rows and columns below 0 count from the far edge, "
               "and −1 touches it.")
        )  # fmt: skip

    def _kind_changed(self) -> None:
        attack = self.kind.currentData()
        self.spec.setText(start_of(attack) + (self._victim if attack == "warp" else ""))
        self._show_browse()

    def _show_browse(self) -> None:
        learned = tr("Choose its trigger.pth…")
        words = {
            "patch": tr("Choose a picture…"), "warp": tr("Choose a checkpoint…"),
            "input-aware": learned, "lira": learned,
        }  # fmt: skip
        self._browse.setText(words.get(self.kind.currentData(), ""))
        self._browse.setVisible(self.kind.currentData() in words)

    def _choose_file(self) -> None:
        path, _ = QFileDialog.getOpenFileName(self, self._browse.text())
        if path:
            attack, _, rest = start_of(self.kind.currentData()).partition(":file=")
            self.spec.setText(f"{attack}:file={path}{rest}")

    def _choose_card(self) -> None:
        path, _ = QFileDialog.getOpenFileName(
            self, tr("Read a victim’s card…"), filter=f"{tr('Card of the lab')} (*.json)"
        )
        if path:
            self.read_card(path)

    def read_card(self, path: str) -> None:
        """Take its attack and settings over."""
        from bdshift.errors import BdshiftError
        from bdshift.triggers import read_card

        try:
            text = read_card(path)
        except BdshiftError as error:
            self._refuse(str(error))
            return
        self.kind.setCurrentIndex(max(0, self.kind.findData(text.partition(":")[0])))
        self.spec.setText(text)

    def _preview(self, text: str) -> None:
        from bdshift.errors import BdshiftError
        from bdshift.triggers import parse_trigger

        if text == start_of("patch"):
            self._refuse(tr("Which picture is laid over the images? Its transparency is the mask."))
            return
        if text == start_of("warp"):
            self._refuse(tr("Which checkpoint of WaNet's holds the grids of its warp?"))
            return
        try:
            trigger = parse_trigger(text)
            after = None
            if self._images is not None:
                import torch

                pixels = torch.from_numpy(self._images.astype(np.float32))
                after = trigger(pixels).round().to(torch.uint8).numpy()
        except BdshiftError as error:
            self._refuse(str(error))
            return
        self._error.show_text("")
        self.measure.setEnabled(True)
        self._after.setVisible(after is not None)
        self._before.setVisible(self._images is not None)
        if after is not None and self._images is not None:
            self._before.show_images(self._images, tr("clean"))
            self._after.show_images(after, tr("triggered"))

    def _refuse(self, reason: str) -> None:
        self._error.show_text(reason)
        self.measure.setEnabled(False)
        self._after.setVisible(False)

    def answer(self) -> None:
        self.chosen.emit(self.spec.text())


def attack_words() -> dict[str, str]:
    """What each attack is called, by the name it has in a trigger's text."""
    return {
        "badnets": tr("Patch of one color (BadNets)"),
        "blend": tr("Pattern over the whole image (Blend)"),
        "wanet": tr("Warp (WaNet)"),
        "sig": tr("Faint sine (SIG)"),
        "input-aware": tr("Each image its own pattern (Input-aware)"),
        "lira": tr("Faint change that is learned (LIRA)"),
        "patch": tr("Picture from a file"),
        "warp": tr("Warp of a WaNet checkpoint"),
    }


def start_of(attack: str) -> str:
    """The text of an attack with all its settings, those without a default left open."""
    from bdshift.triggers import TRIGGERS

    kind = TRIGGERS[attack]
    open_ones = [field.name for field in fields(kind) if field.default is MISSING]
    return f"{attack}:" + ",".join(f"{name}=" for name in open_ones) if open_ones else kind().spec
