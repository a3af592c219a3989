"""The command palette: find anything the window can do, by a few letters."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QObject, Qt
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QDialog, QLineEdit, QListWidget, QListWidgetItem, QVBoxLayout

from bdshift_gui.action import Action, all_actions
from bdshift_gui.context import Context
from bdshift_gui.i18n import tr
from bdshift_gui.menus import shortcut_text


class Palette(QDialog):
    """Type, arrow, Enter. ``without`` is the action that opens it, which is left out."""

    def __init__(self, context: Context, without: Action) -> None:
        super().__init__(context.ask.parent)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle(tr("Find an action"))
        self.resize(460, 360)
        self._context = context
        self._all = [one for one in all_actions() if one.menu is not None and one is not without]
        column = QVBoxLayout(self)
        self.field, self.list = QLineEdit(), QListWidget()
        self.field.setPlaceholderText(tr("What do you want to do?"))
        self.field.setAccessibleName(tr("Find an action"))
        column.addWidget(self.field)
        column.addWidget(self.list)
        self.field.textChanged.connect(self._fill)
        self.field.returnPressed.connect(self._take)
        self.list.itemActivated.connect(self._take)
        self.field.installEventFilter(self)
        self._fill("")

    def _fill(self, text: str) -> None:
        self.list.clear()
        words = text.casefold().split()
        for number, one in enumerate(self._all):
            name = tr(one.text)
            if all(word in f"{name} {one.text}".casefold() for word in words):
                keys = shortcut_text(one)
                item = QListWidgetItem(f"{name}    {keys}" if keys else name)
                item.setData(Qt.ItemDataRole.UserRole, number)
                self._add(item, can=one.enabled(self._context.state))
        if not self.list.count():
            self._add(QListWidgetItem(tr("Nothing is called like this.")), can=False)
        self.list.setCurrentRow(0)

    def _add(self, item: QListWidgetItem, *, can: bool) -> None:
        if not can:
            item.setFlags(Qt.ItemFlag.NoItemFlags)
            item.setForeground(self.palette().placeholderText())
        self.list.addItem(item)

    def _take(self) -> None:
        item = self.list.currentItem()
        if item is not None and item.flags() & Qt.ItemFlag.ItemIsEnabled:
            self.accept()
            self._all[item.data(Qt.ItemDataRole.UserRole)].trigger(self._context)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if isinstance(event, QKeyEvent) and event.type() == QEvent.Type.KeyPress:
            step = {Qt.Key.Key_Down: 1, Qt.Key.Key_Up: -1}.get(Qt.Key(event.key()))
            if step is not None:
                row = self.list.currentRow() + step
                self.list.setCurrentRow(max(0, min(self.list.count() - 1, row)))
                return True
        return super().eventFilter(watched, event)
