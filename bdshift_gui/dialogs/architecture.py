"""Which network the weights belong to: what fits best, one that fits, or the user's own."""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtWidgets import (
    QButtonGroup,
    QLineEdit,
    QRadioButton,
    QWidget,
)

from bdshift_gui.dialogs.asking import Asking
from bdshift_gui.i18n import tr
from bdshift_gui.session import State
from bdshift_gui.widgets.card import Text

_MOST = 10  # networks to choose from; they come the likeliest first


class ArchitectureDialog(Asking):
    """``chosen`` carries `ScanSettings.arch`: a name, the user's own, or None for the best."""

    chosen = Signal(object)

    def __init__(self, state: State, parent: QWidget) -> None:
        super().__init__(tr("Architecture"), 520, 240, parent)
        now = state.corrections.get("arch")
        column = self.column
        self._group = QButtonGroup(self)
        self._values: list[str | None] = []
        fitting = _fitting(state)
        if fitting:
            self._offer(tr("What classifies the images best"), None, now)
            for name in fitting[:_MOST]:
                self._offer(name, name, now)
            if len(fitting) > _MOST:
                more = Text("muted")
                more.show_text(tr("and {count} that are less likely", count=len(fitting) - _MOST))
                column.addWidget(more)
        self._offer(tr("Your own network"), "", now if now not in fitting else "-")
        self.own = QLineEdit("" if now is None or now in fitting else now)
        self.own.setPlaceholderText("package.module:callable")
        self.own.setAccessibleName(tr("Your own network"))
        self.own.textChanged.connect(self._check)
        column.addWidget(self.own)
        note = Text("muted")
        note.show_text(
            tr("Your own network's code is imported and run, from the folder that bdshift-gui was "
               "started in or from what is installed. Nothing in the checkpoint is.")
        )  # fmt: skip
        column.addWidget(note)
        column.addStretch(1)
        self.use = self.add_buttons(tr("Use it"))
        if self._group.checkedId() < 0:
            self._group.button(0).setChecked(True)
        self._group.idClicked.connect(self._check)
        self._check()
        self.fit()

    def _offer(self, words: str, value: str | None, now: str | None) -> None:
        button = QRadioButton(words)
        number = len(self._values)
        self._group.addButton(button, number)
        self._values.append(value)
        button.setChecked(value == now or (value == "" and now not in (None, "-")))
        layout = self.layout()
        assert layout is not None
        layout.addWidget(button)

    def choose(self, value: str | None) -> None:
        """Choose as a click would; "" for the user's own."""
        self._group.button(self._values.index(value)).click()

    def _check(self) -> None:
        own = self._values[self._group.checkedId()] == ""
        self.own.setEnabled(own)
        self.use.setEnabled(not own or ":" in self.own.text().strip(":"))

    def answer(self) -> None:
        value = self._values[self._group.checkedId()]
        self.chosen.emit(self.own.text().strip() if value == "" else value)


def _fitting(state: State) -> list[str]:
    """Names of the networks that the weights fit."""
    if state.model is not None:
        return list(state.model["architectures"])
    if state.audit is not None:
        return list(dict.fromkeys(trial.architecture for trial in state.audit.trials))
    return []
