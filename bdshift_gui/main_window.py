"""The main window: creates all parts and connects them. Wiring only."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QByteArray, QSize, QTimer, Slot
from PySide6.QtGui import (
    QCloseEvent,
    QDragEnterEvent,
    QDragLeaveEvent,
    QDropEvent,
    QGuiApplication,
    QResizeEvent,
)
from PySide6.QtWidgets import (
    QApplication,
    QDialog,
    QMainWindow,
    QMenu,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from bdshift.text import one_line
from bdshift.words import Sentence
from bdshift_gui import i18n, theme
from bdshift_gui.action import MENUS, Action
from bdshift_gui.actions.appearance import LANGUAGE_ACTIONS
from bdshift_gui.actions.open_files import OPEN_AUDIT, open_dropped
from bdshift_gui.actions.window import CANCEL
from bdshift_gui.ask import Ask
from bdshift_gui.autosave import Autosave
from bdshift_gui.context import Context
from bdshift_gui.fleet_listening import FleetListener
from bdshift_gui.i18n import say, tr
from bdshift_gui.jobs.controller import JobController
from bdshift_gui.jobs.quick import QuickPool
from bdshift_gui.listening import Listener
from bdshift_gui.menus import Actions, fill_menus
from bdshift_gui.plain import PlainLabel, on_button, set_tip
from bdshift_gui.selection import SelectionChanger
from bdshift_gui.session import Session, State
from bdshift_gui.settings import Settings
from bdshift_gui.tasks.purifying import settle
from bdshift_gui.tasks.recent import look_for_recent
from bdshift_gui.tasks.showing import follow
from bdshift_gui.toolbar import MainToolbar
from bdshift_gui.unsaved import may_close
from bdshift_gui.welcome import WelcomeView, shows_job
from bdshift_gui.widgets.error_bar import ErrorBar
from bdshift_gui.widgets.job_bar import JobBar
from bdshift_gui.widgets.machine import MachineStatus
from bdshift_gui.widgets.shown_page import Pages
from bdshift_gui.widgets.written import WrittenFile

if TYPE_CHECKING:
    from bdshift_gui.workspace import Workspace

_SIZE = QSize(1280, 800)


class MainWindow(QMainWindow):
    """Shows one audit at a time."""

    def __init__(self, settings: Settings, demo_folder: Path) -> None:
        super().__init__()
        self.settings = settings
        self._translators = i18n.Translators()
        self.session, self.jobs, self.quick = Session(self), JobController(self), QuickPool(self)
        self.fleet_jobs = JobController(self)
        self.context = Context(
            self.session, SelectionChanger(self.session), self.jobs, self.fleet_jobs, self.quick,
            settings, Ask(self), self, demo_folder,
        )  # fmt: skip
        self.session.update(
            scheme=settings.scheme, language=i18n.preferred(settings), compares=settings.compares
        )
        self.actions_ = Actions(self.context, self)
        self.setAcceptDrops(True)
        self.resize(_SIZE)
        self.setWindowTitle("bdshift[*]")
        self.work: Workspace | None = None
        self._make_middle()
        self.toolbar = MainToolbar(self.context, self.actions_)
        self.addToolBar(self.toolbar)
        self._make_menus()
        self._make_status()
        self._connect()
        geometry, _ = settings.window()
        if not geometry.isEmpty():
            self.restoreGeometry(geometry)
        self.restyle()
        QGuiApplication.styleHints().colorSchemeChanged.connect(self._follow_desktop)
        self.retranslate()
        look_for_recent(self.context)

    # Building

    def _make_middle(self) -> None:
        self.welcome, self.error = WelcomeView(self.context), ErrorBar(self.context)
        self.pages = Pages()
        self.pages.addWidget(self.welcome)
        middle = QWidget()
        self._column = QVBoxLayout(middle)
        self._column.setContentsMargins(8, 12, 8, 12)
        self._column.addWidget(self.error)
        self._column.addWidget(self.pages, 1)
        self.setCentralWidget(middle)

    def furnish(self) -> None:
        """Create everything that shows an audit. This takes half a second, mostly for imports, so
        the welcome page does not wait for it.
        """
        if self.work is not None:
            return
        from bdshift_gui.workspace import Workspace

        work = self.work = Workspace(self, self.context, self.pages)
        for row, strip in enumerate(work.strips, 1):
            self._column.insertWidget(row, strip)
        for dock in work.docks.values():
            self.menus["view"].addAction(dock.toggleViewAction())
        self._default_docks = self.saveState(work.layout_version)
        _, docks = self.settings.window()
        if not docks.isEmpty():
            self.restoreState(docks, work.layout_version)
        work.adapt(self.width())
        found = theme.current(self.settings.scheme)
        self.actions_.paint(found)
        work.paint(found)
        work.retranslate()
        self._render()

    def _make_menus(self) -> None:
        self.menus = fill_menus(self.menuBar(), self.actions_)
        self.recent = QMenu(self)
        below = self.menus["file"].actions()
        after = below.index(self.actions_[OPEN_AUDIT.key]) + 1
        self.menus["file"].insertMenu(below[after], self.recent)
        self.recent.aboutToShow.connect(self._fill_recent)

    def _make_status(self) -> None:
        self.job_bar = JobBar()
        self.message = PlainLabel()
        self.written = WrittenFile(self.context)
        self.machine = MachineStatus()
        self.language = QToolButton()
        self.language.setObjectName("choice")
        self.language.clicked.connect(self._other_language)
        bar = self.statusBar()
        bar.setContentsMargins(12, 0, 12, 0)
        bar.setSizeGripEnabled(False)
        bar.addWidget(self.job_bar, 1)
        bar.addWidget(self.message)
        bar.addWidget(self.written)
        bar.addPermanentWidget(self.machine)
        bar.addPermanentWidget(self.language)

    def _connect(self) -> None:
        self.session.changed.connect(self._changed)
        self._listener = Listener(self.context, self.job_bar)
        self._fleet_listener = FleetListener(self.context)
        self.autosave = Autosave(self.context, self.settings.data_folder / "unsaved")
        self.job_bar.canceled.connect(lambda: CANCEL.trigger(self.context))

    # Rendering

    @Slot(object, object)
    def _changed(self, new: State, old: State) -> None:
        follow(self.context, new, old)
        if self.session.state is new:  # else follow() changed it again, and that was rendered
            self._render()

    def _render(self) -> None:
        state = self.session.state
        if self.work is None and (state.audit or state.model or state.images or state.page):
            self.furnish()  # this renders
            return
        page: QWidget = self.welcome
        if self.work is not None:
            without = self.welcome if state.audit is None else self.work.plots
            page = self.work.page(state) or without
        focused = self.focusWidget()
        if page is not self.welcome and focused is not None and self.welcome.isAncestorOf(focused):
            page.setFocus()  # else it goes to what happens to be next
        self.pages.setCurrentWidget(page)  # before the panels come, which need room beside it
        if self.work is not None:
            self.work.render(state)
        self.setWindowTitle(_title(state))
        self.setWindowModified(state.modified)
        if page is self.welcome:
            self.welcome.show_state(state)
        self.error.show_state(state)
        self.toolbar.show_state(state)
        self.actions_.show_state(state)
        self.job_bar.show_state(state)
        if page is self.welcome and shows_job(state):
            self.job_bar.hide()  # one is enough
        self.message.setText("" if state.job or state.busy else _said_last(state))
        self.written.show_state(state)
        self.machine.show_device(state.audit.device if state.audit is not None else "")

    @Slot()
    def _follow_desktop(self) -> None:
        if self.settings.scheme == "system":
            self.restyle()

    def restyle(self) -> None:
        """Apply the color scheme of the settings."""
        found = theme.current(self.settings.scheme)
        app = QApplication.instance()
        assert isinstance(app, QApplication)
        app.setFont(theme.text_font(theme.BODY))  # else plots and menus have the desktop's
        app.setPalette(theme.palette(found))
        app.setStyleSheet(theme.style_sheet(found))
        self.toolbar.paint(found)
        if self.work is not None:
            self.actions_.paint(found)  # menus are closed at the first paint
            self.work.paint(found)

    def retranslate(self) -> None:
        """Show all texts in the language of the settings."""
        self._translators.use(i18n.preferred(self.settings))
        self.actions_.retranslate()
        for key, menu in self.menus.items():
            menu.setTitle(tr(MENUS[key]))
        self.recent.setTitle(tr("Open recent"))
        if self.work is not None:
            self.work.retranslate()
        self.toolbar.retranslate()
        other = self.actions_[self._other.key]
        self.language.setText(other.text())
        set_tip(self.language, other.toolTip())
        self._render()

    @property
    def _other(self) -> Action:
        return LANGUAGE_ACTIONS["ja" if i18n.language() == "en" else "en"]

    @Slot()
    def _other_language(self) -> None:
        self._other.trigger(self.context)

    def reset_docks(self) -> None:
        """Restore the default layout and forget the saved one."""
        self.settings.forget_docks()
        if self.work is not None:
            self.restoreState(self._default_docks, self.work.layout_version)
            self.work.adapt(self.width())
            self.work.forget()
        self._render()

    def _fill_recent(self) -> None:
        self.recent.clear()
        for one in self.session.state.recent:
            action = self.recent.addAction(on_button(one.path.name))
            set_tip(action, str(one.path))
            action.setEnabled(one.exists)
            action.triggered.connect(
                lambda _=False, path=one.path: open_dropped(self.context, [path])
            )

    # Qt's methods

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        local = any(url.isLocalFile() for url in event.mimeData().urls())
        if local and not self.session.state.busy:
            event.acceptProposedAction()
            self.welcome.hold(True)

    def dragLeaveEvent(self, event: QDragLeaveEvent) -> None:
        self.welcome.hold(False)

    def dropEvent(self, event: QDropEvent) -> None:
        self.welcome.hold(False)
        paths = [Path(url.toLocalFile()) for url in event.mimeData().urls() if url.isLocalFile()]
        event.acceptProposedAction()
        # Later: a question would keep the program that it was dragged from waiting.
        QTimer.singleShot(0, self, lambda: open_dropped(self.context, paths))

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        if self.work is not None:
            self.work.adapt(event.size().width())

    def closeEvent(self, event: QCloseEvent) -> None:
        if not may_close(self.context):
            event.ignore()
            return
        self.context.cancel()
        while self.session.state.can_cancel:  # also what it would keep
            self.context.cancel()
        self.fleet_jobs.cancel()
        if not (self.fleet_jobs.is_over and self.jobs.is_over):
            event.ignore()
            waiting = Sentence("A job is still stopping; close again in a moment.")
            self.session.update(message=waiting)
            return
        self.fleet_jobs.close()
        self.jobs.close()
        settle(self.context)
        for dialog in self.findChildren(QDialog):  # Qt crashes if one goes with a cell open in it
            dialog.close()
        self.quick.close()
        self.autosave.close()
        docks = QByteArray()
        if self.work is not None:
            self.work.put_away()  # no names: show hidden panels again before saving
            docks = self.saveState(self.work.layout_version)
        self.settings.save_window(self.saveGeometry(), docks)
        event.accept()

    def sizeHint(self) -> QSize:
        return _SIZE


def _title(state: State) -> str:
    """The file that the audit is in, or else the model; with Qt's mark for what is not saved."""
    path = state.document or state.model_path
    if path is None:
        return "bdshift[*]"
    return f"{one_line(path.name).replace('[*]', '[*][*]')}[*] – bdshift"


def _said_last(state: State) -> str:
    """The last message, or else what the audit took."""
    audit = state.audit
    if state.message is not None:
        return say(state.message)
    if audit is None:
        return ""
    return tr(
        "{images:|image|images} embedded in {embed} s, {count:|shift|shifts} solved in {solve} s "
        "(KKT residual {kkt})",
        images=sum(audit.images.counts), embed=f"{audit.seconds_embed:.3g}",
        count=len(audit.shifts.l2), solve=f"{audit.shifts.seconds:.2g}",
        kkt=f"{audit.shifts.kkt_max:.0e}",
    )  # fmt: skip
