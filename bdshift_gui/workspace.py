"""Everything that shows an audit: the views, each in its area."""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from functools import partial

from PySide6.QtCore import QObject, Qt
from PySide6.QtWidgets import (
    QDockWidget,
    QMainWindow,
    QScrollArea,
    QSplitter,
    QStackedWidget,
    QTabWidget,
    QVBoxLayout,
    QWidget,
)

from bdshift.words import words
from bdshift_gui.context import Context
from bdshift_gui.i18n import tr
from bdshift_gui.session import State
from bdshift_gui.theme import Theme
from bdshift_gui.view import Area, ChangeWatch, View, all_views, as_widget, make

_CARDS, _INSPECTOR = "audit", "inspector"  # side panels
_SIDE_TITLES = {
    _CARDS: words("Audit", ja="監査"),
    _INSPECTOR: words("Inspector", ja="インスペクター"),
}
_WIDTHS = {_CARDS: 280, _INSPECTOR: 304}  # pixels, at least and to begin with
_AROUND = 60  # pixels beside the plots and the panels
_ROOM_FOR_BOTH = 1180  # width of a window, in pixels, from which the side panels are on both sides


class Workspace(QObject):
    """``strips`` are for the middle of ``window``, above ``stack``. That gets ``plots``, and each
    of ``pages`` once it is needed; the docks are placed around it.
    """

    def __init__(self, window: QMainWindow, context: Context, stack: QStackedWidget) -> None:
        super().__init__(window)
        self._window, self._context, self._stack = window, context, stack
        self._watch = ChangeWatch()
        self._there: dict[str, bool] = {}
        self._told_away: frozenset[str] = frozenset()
        self._away: set[str] = set()
        self._up: set[str] = set()
        self._sides = list(_WIDTHS.values())  # widths of the side panels while they are apart
        self._seen: set[str] = set()
        self._state: State | None = None
        self._theme: Theme | None = None
        self._page_kinds = {kind.key: kind for kind in all_views() if kind.area == "page"}
        self.views: dict[str, View] = {
            kind.key: make(kind, context) for kind in all_views() if kind.area != "page"
        }
        self.strips = [as_widget(one) for one in self._in("strip")]
        self.pages: dict[str, QScrollArea] = {}
        self.plots = QSplitter(Qt.Orientation.Vertical)
        self.plots.setHandleWidth(12)
        for one in self._in("plots"):
            self.plots.addWidget(as_widget(one))
        self.plots.setSizes([one.stretch for one in self._in("plots")])
        self.plots.setChildrenCollapsible(False)
        stack.addWidget(self.plots)
        self._lower = [one.key for one in self._in("below")]
        self._of_audit = [one.key for one in self._in("below") if one.of_audit]
        self.docks = self._make_docks()

    def _in(self, area: Area) -> list[View]:
        return [one for one in self.views.values() if one.area == area]

    def __getitem__(self, key: str) -> View:
        if key in self._page_kinds:
            self._page(key)
        return self.views[key]

    def _page(self, key: str) -> QWidget:
        """A page; it is created when it is first needed, for most audits never."""
        if key not in self.pages:
            one = self.views[key] = make(self._page_kinds[key], self._context)
            self.pages[key] = _scrolled(as_widget(one), sideways=True)
            self._stack.addWidget(self.pages[key])
            if self._theme is not None:
                one.paint(self._theme)
            self._show(one)
        return self.pages[key]

    def _make_docks(self) -> dict[str, QDockWidget]:
        areas, corners = Qt.DockWidgetArea, Qt.Corner
        cards = _column((12, 12, 8, 12), (as_widget(one) for one in self._in("cards")))
        cards.addStretch(1)
        side = _column((4, 12, 12, 12), (as_widget(one) for one in self._in("inspector")))
        docks = {
            _CARDS: self._dock(_CARDS, _scrolled(_holder(cards)), areas.LeftDockWidgetArea),
            _INSPECTOR: self._dock(_INSPECTOR, _scrolled(_holder(side)), areas.RightDockWidgetArea),
        }
        before: QDockWidget | None = None
        for one in self._in("below"):
            dock = self._dock(one.key, as_widget(one), areas.BottomDockWidgetArea)
            dock.visibilityChanged.connect(partial(self._seen_now, one.key))
            if before is not None:
                self._window.tabifyDockWidget(before, dock)
            dock.hide()
            docks[one.key] = before = dock
        self._window.setCorner(corners.BottomLeftCorner, areas.LeftDockWidgetArea)
        self._window.setCorner(corners.BottomRightCorner, areas.RightDockWidgetArea)
        self._window.setTabPosition(areas.LeftDockWidgetArea, QTabWidget.TabPosition.North)
        sides = [docks[_CARDS], docks[_INSPECTOR]]
        self._window.resizeDocks(sides, list(_WIDTHS.values()), Qt.Orientation.Horizontal)
        return docks

    def _dock(self, name: str, content: QWidget, area: Qt.DockWidgetArea) -> QDockWidget:
        dock = QDockWidget(self._window)
        dock.setObjectName(name)
        dock.setWidget(content)
        if name in _WIDTHS:
            dock.setTitleBarWidget(QWidget())  # the cards have their own titles
            content.setMinimumWidth(_WIDTHS[name])
        self._window.addDockWidget(area, dock)
        return dock

    def adapt(self, width: int) -> None:
        """In a narrow window the inspector shares the left side with the cards, as a tab, so that
        the plots keep their room.
        """
        needed = self.plots.minimumSizeHint().width() + sum(_WIDTHS.values()) + _AROUND
        narrow = width <= max(_ROOM_FOR_BOTH, needed)
        cards, inspector = self.docks[_CARDS], self.docks[_INSPECTOR]
        if narrow is (cards in self._window.tabifiedDockWidgets(inspector)):
            return
        hidden = inspector.isHidden()
        if narrow:
            self._sides = [max(one.width(), 1) for one in (cards, inspector)]
            self._window.tabifyDockWidget(cards, inspector)
            cards.raise_()
        else:
            self._window.addDockWidget(Qt.DockWidgetArea.RightDockWidgetArea, inspector)
            docks = [cards, inspector]
            self._window.resizeDocks(docks, self._sides, Qt.Orientation.Horizontal)
        inspector.setHidden(hidden)

    @property
    def layout_version(self) -> int:
        """Another one for other docks: an old layout is then dropped, not half restored."""
        return zlib.crc32(",".join(sorted(self.docks)).encode()) & 0x7FFF_FFFF

    def page(self, state: State) -> QWidget | None:
        """The page that replaces the plots, if any."""
        wanted = (key for key, kind in self._page_kinds.items() if kind.wants_page(state))
        key = next(wanted, None)
        return None if key is None else self._page(key)

    def render(self, state: State) -> None:
        """Render what has changed in a snapshot. A panel appears and disappears with what it shows;
        in between, the user opens and closes it.
        """
        replaced = self.page(state) is not None
        self._show_dock(_CARDS, bool(state.audit or state.model or state.images))
        self._show_dock(_INSPECTOR, state.audit is not None and not replaced)
        if replaced:
            self.put_away(*self._lower)  # to make room
        elif state.audit is None:
            self.put_away(*self._of_audit)  # they would be empty
        else:
            self.put_away()
        self._bring_up(state)
        self._state = state
        for one in self.views.values():
            self._show(one)

    def _show(self, one: View) -> None:
        """Render a view, if anything that it shows has changed and somebody can see it."""
        waits = one.waits and one.key not in self._seen
        if self._state is not None and not waits and self._watch.is_new(one, self._state):
            one.show_state(self._state)

    def _seen_now(self, key: str, seen: bool) -> None:
        """Called by Qt when a panel is opened or closed, or another tab comes before it."""
        if not seen:
            self._seen.discard(key)
            return
        self._seen.add(key)
        self._show(self.views[key])

    def _bring_up(self, state: State) -> None:
        up = {one.key for one in self._in("below") if one.comes_up(state)}
        for key in up - self._up:
            self.docks[key].show()
            self.docks[key].raise_()
        self._up = up

    def put_away(self, *names: str) -> None:
        """Hide the lower panels ``names``, and show again those that were hidden before and are not
        among them. What the user opens or closes in the meantime stays that way.
        """
        for name in frozenset(names) - self._told_away:
            if not self.docks[name].isHidden():
                self._away.add(name)
                self.docks[name].hide()
        for name in self._away.difference(names):
            self._away.discard(name)
            self.docks[name].show()
        self._told_away = frozenset(names)

    def _show_dock(self, name: str, there: bool) -> None:
        if self._there.get(name) is not there:
            self._there[name] = there
            self.docks[name].setVisible(there)

    def forget(self) -> None:
        """Render all of the next snapshot, docks included, even if nothing has changed."""
        self._watch.forget()
        self._there.clear()
        self._told_away = frozenset()
        self._away.clear()

    def paint(self, theme: Theme) -> None:
        """Apply the theme's colors."""
        self._theme = theme
        for one in self.views.values():
            one.paint(theme)

    def retranslate(self) -> None:
        """Show all texts in the window's language."""
        self._watch.forget()
        for key, dock in self.docks.items():
            one = self.views.get(key) if key in self._lower else None
            dock.setWindowTitle(tr(_SIDE_TITLES[key] if one is None else one.title_of_panel))


def _column(margins: tuple[int, int, int, int], parts: Iterable[QWidget]) -> QVBoxLayout:
    column = QVBoxLayout()
    column.setContentsMargins(*margins)
    column.setSpacing(8)
    for part in parts:
        column.addWidget(part)
    return column


def _holder(column: QVBoxLayout) -> QWidget:
    holder = QWidget()
    holder.setObjectName("plain")
    holder.setLayout(column)
    return holder


def _scrolled(content: QWidget, *, sideways: bool = False) -> QScrollArea:
    area = QScrollArea()
    area.setObjectName("plain")
    area.setWidget(content)
    area.setWidgetResizable(True)
    if not sideways:
        area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
    area.viewport().setAutoFillBackground(False)
    return area
