"""Which network the weights belong to: what fits best, one that fits, or the user's own."""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtWidgets import (
    QButtonGroup,
    QLineEdit,
    QRadioButton,
    QWidget,
)

from bdshift.checkpoints.users_own import Architecture, OwnNetwork, typed
from bdshift_gui.dialogs.question import QuestionDialog
from bdshift_gui.i18n import tr
from bdshift_gui.plain import on_button
from bdshift_gui.session import State
from bdshift_gui.widgets.card import Text

_MAX_NETWORKS = 10  # to choose from; the likeliest come first


class ArchitectureDialog(QuestionDialog):
    """``chosen`` carries `ScanSettings.arch`: a name, the user's own, or None for the best. What is
    offered by name may come from an audit file; only the text field makes an `OwnNetwork`.
    """

    chosen = Signal(object)

    def __init__(self, state: State, parent: QWidget) -> None:
        super().__init__(tr("Architecture"), 520, 240, parent)
        now = state.corrections.arch
        column = self.column
        self._group = QButtonGroup(self)
        self._values: list[Architecture | None] = []
        fitting = _fitting(state)
        if isinstance(now, str):
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
        own = now if isinstance(now, OwnNetwork) else OwnNetwork("")
        self._offer(tr("Your own network"), own, now)
        self.own = QLineEdit(own.spec)
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

    def _offer(self, text: str, value: Architecture | None, now: Architecture | None) -> None:
        button = QRadioButton(on_button(text))
        number = len(self._values)
        self._group.addButton(button, number)
        self._values.append(value)
        button.setChecked(value == now)
        layout = self.layout()
        assert layout is not None
        layout.addWidget(button)

    def choose(self, value: Architecture | None) -> None:
        """Choose as a click would."""
        self._group.button(self._values.index(value)).click()

    @property
    def _now(self) -> Architecture | None:
        """What is chosen; of the user's own, what is in the text field."""
        value = self._values[self._group.checkedId()]
        return OwnNetwork(self.own.text().strip()) if isinstance(value, OwnNetwork) else value

    def _check(self) -> None:
        now = self._now
        self.own.setEnabled(isinstance(now, OwnNetwork))
        self.use.setEnabled(not isinstance(now, OwnNetwork) or now.is_complete)

    def answer(self) -> None:
        self.chosen.emit(self._now)


def _fitting(state: State) -> list[str]:
    """Names of the networks that the weights fit."""
    if state.model is not None and state.model.description.recognized is not None:
        return list(state.model.description.recognized.architectures)
    if state.audit is None:
        return []
    tried = dict.fromkeys(trial.architecture for trial in state.audit.trials)
    return [name for name in tried if not isinstance(typed(name), OwnNetwork)]
