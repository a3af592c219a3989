"""Which network the weights belong to: what fits best, one that fits, or the user's own."""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtWidgets import (
    QButtonGroup,
    QLineEdit,
    QRadioButton,
    QWidget,
)

from bdshift.checkpoints.users_own import is_users_own
from bdshift_gui.dialogs.question import QuestionDialog
from bdshift_gui.i18n import tr
from bdshift_gui.session import State
from bdshift_gui.widgets.card import Text

_MAX_NETWORKS = 10  # to choose from; the likeliest come first


class ArchitectureDialog(QuestionDialog):
    """``chosen`` carries `ScanSettings.arch`: a name, the user's own, or None for the best."""

    chosen = Signal(object)

    def __init__(self, state: State, parent: QWidget) -> None:
        super().__init__(tr("Architecture"), 520, 240, parent)
        now = state.corrections.arch
        own = now if now is not None and is_users_own(now) else None
        column = self.column
        self._group = QButtonGroup(self)
        self._values: list[str | None] = []
        fitting = _fitting(state)
        if now is not None and own is None:
            fitting = list(dict.fromkeys([now, *fitting]))
        if fitting:
            self._offer(tr("Whichever classifies the images best"), None, now)
            for name in fitting[:_MAX_NETWORKS]:
                self._offer(name, name, now)
            if len(fitting) > _MAX_NETWORKS:
                more = Text("muted")
                more.show_text(
                    tr("and {count:|less likely candidate|less likely candidates}",
                       count=len(fitting) - _MAX_NETWORKS)
                )  # fmt: skip
                column.addWidget(more)
        self._offer(tr("Your own network"), "", None if own is None else "")
        self.own = QLineEdit(own or "")
        self.own.setPlaceholderText("package.module:callable")
        self.own.setAccessibleName(tr("Your own network"))
        self.own.textChanged.connect(self._check)
        column.addWidget(self.own)
        note = Text("muted")
        note.show_text(
            tr("The code of your own network is imported and run, from the folder where "
               "bdshift-gui was started or from installed packages. No code in the checkpoint is "
               "run.")
        )  # fmt: skip
        column.addWidget(note)
        column.addStretch(1)
        self.use = self.add_buttons(tr("Use this architecture"))
        if self._group.checkedId() < 0:
            self._group.button(0).setChecked(True)
        self._group.idClicked.connect(self._check)
        self._check()
        self.fit()

    def _offer(self, text: str, value: str | None, now: str | None) -> None:
        button = QRadioButton(text)
        number = len(self._values)
        self._group.addButton(button, number)
        self._values.append(value)
        button.setChecked(value == now)
        layout = self.layout()
        assert layout is not None
        layout.addWidget(button)

    def choose(self, value: str | None) -> None:
        """Choose as a click would; "" for the user's own."""
        self._group.button(self._values.index(value)).click()

    def _check(self) -> None:
        own = self._values[self._group.checkedId()] == ""
        self.own.setEnabled(own)
        self.use.setEnabled(not own or is_users_own(self.own.text().strip()))

    def answer(self) -> None:
        value = self._values[self._group.checkedId()]
        self.chosen.emit(self.own.text().strip() if value == "" else value)


def _fitting(state: State) -> list[str]:
    """Names of the networks that the weights fit."""
    if state.model is not None and state.model.description.recognized is not None:
        return list(state.model.description.recognized.architectures)
    if state.audit is None:
        return []
    tried = dict.fromkeys(trial.architecture for trial in state.audit.trials)
    return [name for name in tried if not is_users_own(name)]  # an audit file may name any code
