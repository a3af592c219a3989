"""The window's only table: sorted by a click on a head, filtered, copied, with a choice of columns.
All of it can be done by keyboard, too: the menu key opens the menu.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager

import numpy as np
from PySide6.QtCore import (
    QItemSelection,
    QItemSelectionModel,
    QPoint,
    Qt,
    Signal,
)
from PySide6.QtGui import (
    QAction,
    QColor,
    QGuiApplication,
    QKeyEvent,
    QKeySequence,
)
from PySide6.QtWidgets import (
    QAbstractItemView,
    QMenu,
    QVBoxLayout,
    QWidget,
)

from bdshift_gui.i18n import tr
from bdshift_gui.plain import on_button
from bdshift_gui.settings import Settings
from bdshift_gui.theme import Theme
from bdshift_gui.widgets.cell_painter import CellPainter
from bdshift_gui.widgets.clearable_field import ClearableField
from bdshift_gui.widgets.column_widths import fit_columns
from bdshift_gui.widgets.rows_view import RowsView
from bdshift_gui.widgets.table_rows import UNSORTED, Column, Index, TableRows, runs

_MIN_FILTERED = 8  # rows from which the search field is there without being asked for
_MIN_HEIGHT = 96  # pixels of the rows and the heads
_MEASURED = 100  # rows whose cells a column is made wide enough for, beside those that are seen
_FLAG = QItemSelectionModel.SelectionFlag


class _FilterField(ClearableField):
    """Return leaves it, and does not reach the dialog around it."""

    left = Signal()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter, Qt.Key.Key_Down):
            self.left.emit()
        else:
            super().keyPressEvent(event)


class DataTable(QWidget):
    """A search field over rows; rows are numbered as they were given, however they are shown.

    ``chosen`` says that the user has selected other rows; ``picked`` carries the row that was
    clicked or on which Return was pressed. ``name`` is where the settings remember which columns
    are hidden, ``sorting`` the first order.
    """

    chosen = Signal()
    picked = Signal(int)

    def __init__(
        self, name: str, settings: Settings, *, several: bool = False,
        sorting: tuple[str, Qt.SortOrder] = UNSORTED,
    ) -> None:  # fmt: skip
        super().__init__()
        self.setObjectName("plain")
        self._name, self._settings = name, settings
        self._ours, self._moved = 0, False
        self._of: object = None
        self._picked: Collection[int] = ()  # what is selected, also if it is filtered away
        self._flagged: Collection[int] = ()
        self.view, self.field = RowsView(), _FilterField()
        self.rows = TableRows(self)
        self.rows.sorting = sorting
        self.view.setModel(self.rows)
        self._painter = CellPainter(self.view)
        self.view.setItemDelegate(self._painter)
        self.view.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        modes = QAbstractItemView.SelectionMode
        self.view.setSelectionMode(modes.ExtendedSelection if several else modes.SingleSelection)
        self.view.setShowGrid(False)
        self.view.setMinimumHeight(_MIN_HEIGHT)
        self.view.setHorizontalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.view.setWordWrap(False)
        self.view.setTabKeyNavigation(False)
        self.view.verticalHeader().hide()
        self.view.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        self.view.customContextMenuRequested.connect(self._open_menu)
        self.view.copy_asked.connect(self.copy)
        self.view.filter_asked.connect(self.ask_filter)
        self.view.resized.connect(self._resized)
        self.view.clicked.connect(self._pick)
        self.view.activated.connect(self._pick)
        self.view.selectionModel().selectionChanged.connect(self._selected)
        self.view.verticalScrollBar().actionTriggered.connect(self._scrolled)
        header = self.view.horizontalHeader()
        header.setHighlightSections(False)
        header.setMinimumSectionSize(24)
        header.setResizeContentsPrecision(_MEASURED)
        header.setSortIndicatorClearable(True)
        header.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        header.customContextMenuRequested.connect(self._open_column_menu)
        header.setSortIndicator(-1, Qt.SortOrder.AscendingOrder)
        self.view.setSortingEnabled(True)
        self.rows.sorting = sorting  # enabling it has sorted by no column
        self.field.hide()
        self.field.textChanged.connect(self._filter)
        self.field.left.connect(self.view.setFocus)
        self.setFocusProxy(self.view)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        column.addWidget(self.field)
        column.addWidget(self.view, 1)

    def show_columns(
        self, columns: Sequence[Column], flagged: Collection[int] = (), of: object = None
    ) -> None:
        """Show other values, with the rows ``flagged`` marked. The first of those is scrolled into
        view, unless the user has scrolled or selected since rows of the same thing, ``of``, came.
        """
        self._moved = self._moved and of is self._of
        self._of, self._flagged = of, flagged
        with self._by_us():
            self.rows.show_columns(columns, flagged)
            self._show_sorting()
            self._fit()
            self._select()
        self.field.setPlaceholderText(tr("Filter by name or number"))
        self.field.setAccessibleName(tr("Filter by name or number"))
        self._show_field()
        self._look()

    def paint(self, theme: Theme) -> None:
        """Apply the theme's colors."""
        self.rows.mark(QColor(theme.poisoned))
        self._painter.color(theme)
        self.view.viewport().update()

    def keep_whole(self, most: int) -> None:
        """Be as high as the rows, or ``most`` of them, so that none is cut."""
        rows = min(self.rows.total, most)
        height = self.view.horizontalHeader().sizeHint().height()
        height += sum(self.view.rowHeight(row) for row in range(rows))
        height += self.view.horizontalScrollBar().sizeHint().height()  # where it is too narrow
        self.view.setFixedHeight(max(_MIN_HEIGHT, height + 2 * self.view.frameWidth()))

    def selected(self) -> list[int]:
        """The selected rows, as numbered by whoever gave them."""
        found = self.view.selectionModel().selectedRows()
        return [int(self.rows.order[one.row()]) for one in found]

    @property
    def wanted(self) -> frozenset[int]:
        """The same, and those that are selected but filtered away."""
        return frozenset(self._picked)

    @property
    def current(self) -> int | None:
        """The row with the keyboard's focus."""
        place = self.view.currentIndex().row()
        return int(self.rows.order[place]) if 0 <= place < len(self.rows.order) else None

    def select(self, rows: Collection[int]) -> None:
        """Select these rows and no others, without a signal."""
        self._picked = rows
        if set(rows) != set(self.selected()):
            with self._by_us():
                self._select()

    def scroll_to(self, row: int) -> None:
        """Make a row visible, if it is not filtered away."""
        place = self.rows.row_of(row)
        if place is not None:
            middle = QAbstractItemView.ScrollHint.PositionAtCenter
            index = self.rows.index(place, self._visible()[0])
            if not self.view.viewport().rect().contains(self.view.visualRect(index)):
                self.view.scrollTo(index, middle)

    def text(self, row: int, column: int) -> str:
        """What is shown in the row at a place."""
        return str(self.rows.index(row, column).data(Qt.ItemDataRole.DisplayRole))

    def sort(self, key: str, order: Qt.SortOrder = Qt.SortOrder.AscendingOrder) -> None:
        """Sort as a click on a column's head does."""
        self.view.sortByColumn(self.rows.place_of(key), order)

    def tsv(self) -> str:
        """The selected rows, or all that are shown if none is, with the heads and all digits."""
        places = sorted(one.row() for one in self.view.selectionModel().selectedRows())
        return self.rows.tsv(places or range(len(self.rows.order)), self._visible())

    def copy(self) -> None:
        """Copy `tsv`."""
        QGuiApplication.clipboard().setText(self.tsv())

    def ask_filter(self) -> None:
        """Show the search field, and put the cursor there."""
        self.field.show()
        self.field.setFocus()

    def hide_column(self, key: str, *, hidden: bool) -> None:
        """Hide a column or show it again, also in later windows. The last one stays."""
        known = self._settings.hidden_columns(self._name)
        self._settings.hide_columns(self._name, known | {key} if hidden else known - {key})
        self._fit()

    def menu(self) -> QMenu:
        """What can be done with the rows."""
        menu = QMenu(self)
        add = self._adder(menu)
        add(tr("Copy"), self.copy, QKeySequence.StandardKey.Copy)
        add(tr("Filter…"), self.ask_filter, QKeySequence.StandardKey.Find)
        sort = menu.addMenu(tr("Sort by"))
        rising, falling = Qt.SortOrder.AscendingOrder, Qt.SortOrder.DescendingOrder
        for x in self._visible():
            column = self.rows.columns[x]
            key, now = column.key, self.rows.sorting
            other = falling if now == (key, rising) else rising
            one = self._adder(sort)(self._title(column), lambda k=key, o=other: self.sort(k, o))
            one.setCheckable(True)
            one.setChecked(now[0] == key)
        menu.addMenu(self.column_menu(menu))
        return menu

    def column_menu(self, parent: QWidget | None = None) -> QMenu:
        """Which columns there are; those that are shown are checked. It is the ``parent``'s, by
        default the table's.
        """
        menu = QMenu(tr("Columns"), parent or self)
        visible = self._visible()
        for x, column in enumerate(self.rows.columns):
            one = QAction(self._title(column), menu)
            one.setCheckable(True)
            one.setChecked(x in visible)
            one.setEnabled(visible != [x])
            one.toggled.connect(lambda on, key=column.key: self.hide_column(key, hidden=not on))
            menu.addAction(one)
        return menu

    def _adder(self, menu: QMenu) -> Callable[..., QAction]:
        def add(text: str, run: Callable[[], None], keys: object = None) -> QAction:
            one = QAction(text, menu)
            one.triggered.connect(lambda _=False: run())
            if isinstance(keys, QKeySequence.StandardKey):
                one.setShortcut(QKeySequence(keys))
                one.setShortcutContext(Qt.ShortcutContext.WidgetShortcut)
            menu.addAction(one)
            return one

        return add

    def _title(self, column: Column) -> str:
        return on_button(column.head or tr("number"))

    def _open_menu(self, at: QPoint) -> None:
        menu = self.menu()
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        menu.popup(self.view.viewport().mapToGlobal(at))

    def _open_column_menu(self, at: QPoint) -> None:
        menu = self.column_menu()
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        menu.popup(self.view.horizontalHeader().mapToGlobal(at))

    @contextmanager
    def _by_us(self) -> Iterator[None]:
        """What changes in here was not changed by the user."""
        self._ours += 1
        try:
            yield
        finally:
            self._ours -= 1

    def _selected(self) -> None:
        if not self._ours:
            kept = set(self._picked).difference(self.rows.order.tolist()) if self.view.adds else ()
            self._moved, self._picked = True, [*self.selected(), *kept]
            self.chosen.emit()

    def _scrolled(self) -> None:
        self._moved = True

    def _pick(self, index: Index) -> None:
        self.picked.emit(int(self.rows.order[index.row()]))

    def _filter(self, text: str) -> None:
        with self._by_us():
            self.rows.show_only(text)
            self._fit()
            self._select()

    def _resized(self) -> None:
        self._fit()
        self._look()

    def _look(self) -> None:
        """Bring what is flagged into view, also once there is room for it."""
        if not self._moved and self._flagged:
            self.scroll_to(min(self._flagged))

    def _select(self) -> None:
        wanted, last = QItemSelection(), len(self.rows.columns) - 1
        for first, end in runs(np.flatnonzero(np.isin(self.rows.order, list(self._picked)))):
            wanted.select(self.rows.index(first, 0), self.rows.index(end, last))
        self.view.selectionModel().select(wanted, _FLAG.ClearAndSelect)

    def _visible(self) -> list[int]:
        """The columns that are shown: if all were to be hidden, the first."""
        hidden = self._settings.hidden_columns(self._name)
        found = [x for x, one in enumerate(self.rows.columns) if one.key not in hidden]
        return found or [0]

    def _fit(self) -> None:
        fit_columns(self.view, self.rows.columns, self._visible())

    def _show_sorting(self) -> None:
        key, order = self.rows.sorting
        header = self.view.horizontalHeader()
        header.blockSignals(True)  # it is sorted already
        header.setSortIndicator(self.rows.place_of(key), order)
        header.blockSignals(False)

    def _show_field(self) -> None:
        if self.rows.total >= _MIN_FILTERED or self.field.text():
            self.field.show()
        elif not self.field.hasFocus():
            self.field.hide()
