"""QActions made from the window's actions, and the menus and the toolbar built from them."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QObject
from PySide6.QtGui import QAction, QActionGroup, QKeySequence
from PySide6.QtWidgets import QMenu, QMenuBar

from bdshift_gui.action import MENUS, Action, Menu, all_actions
from bdshift_gui.context import Context
from bdshift_gui.i18n import tr
from bdshift_gui.icons import icon
from bdshift_gui.plain import set_tip
from bdshift_gui.session import State
from bdshift_gui.theme import Theme


class Actions(QObject):
    """Every `Action` as a QAction, enabled or disabled according to the state."""

    def __init__(self, context: Context, parent: QObject) -> None:
        super().__init__(parent)
        self.all: Sequence[Action] = all_actions()
        self._made: dict[str, QAction] = {}
        groups: dict[str, QActionGroup] = {}
        for one in self.all:
            made = QAction(self)
            made.setObjectName(one.key)
            made.setCheckable(one.checked is not None)
            if one.one_of:  # radio marks
                groups.setdefault(one.one_of, QActionGroup(self)).addAction(made)
            if one.shortcut:
                made.setShortcut(QKeySequence(one.shortcut))
            made.triggered.connect(lambda _=False, one=one: one.trigger(context))
            self._made[one.key] = made

    def __getitem__(self, key: str) -> QAction:
        return self._made[key]

    def paint(self, theme: Theme) -> None:
        """Draw the icons in the theme's colors."""
        for one in self.all:
            if one.icon:
                drawn = icon(one.icon, theme.text, theme.on_accent, theme.muted)
                self._made[one.key].setIcon(drawn)

    def show_state(self, state: State) -> None:
        """Enable or disable them, and check those that are on."""
        for one in self.all:
            self._made[one.key].setEnabled(one.enabled(state))
            if one.checked is not None:
                self._made[one.key].setChecked(one.checked(state))

    def retranslate(self) -> None:
        """Show all texts in the window's language."""
        for one in self.all:
            made = self._made[one.key]
            made.setText(tr(one.text))
            keys = shortcut_text(one)
            set_tip(made, tr(one.tip) + (f"  ({keys})" if keys else ""))


def shortcut_text(one: Action) -> str:
    """An action's shortcut in the desktop's native notation."""
    return QKeySequence(one.shortcut).toString(QKeySequence.SequenceFormat.NativeText)


def fill_menus(bar: QMenuBar, actions: Actions) -> dict[Menu, QMenu]:
    """One menu for each of `MENUS`."""
    menus = {key: bar.addMenu(title) for key, title in MENUS.items()}
    for one in actions.all:
        if one.menu is not None:
            if one.starts:
                menus[one.menu].addSeparator()
            menus[one.menu].addAction(actions[one.key])
    return menus


def toolbar_actions(actions: Actions) -> list[Action]:
    """The toolbar's actions, in order."""
    there = [(one.toolbar, one) for one in actions.all if one.toolbar is not None]
    return [one for _, one in sorted(there, key=lambda pair: pair[0])]
