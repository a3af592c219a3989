"""The window: puts the views in their places and connects them. Wiring only."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QByteArray, QSize, Qt, Slot
from PySide6.QtGui import QCloseEvent, QDragEnterEvent, QDragLeaveEvent, QDropEvent, QUndoStack
from PySide6.QtWidgets import (
    QApplication,
    QLabel,
    QMainWindow,
    QMenu,
    QSizePolicy,
    QStackedWidget,
    QToolBar,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from bdshift_gui import i18n, theme
from bdshift_gui.actions import ENTRIES, MENUS, Actions
from bdshift_gui.auditor import Auditor
from bdshift_gui.cleaner import Cleaner
from bdshift_gui.commands import Commands
from bdshift_gui.i18n import tr
from bdshift_gui.jobs.controller import JobController
from bdshift_gui.jobs.events import Event, Failed, Noted, Progressed, Stepped, Stopped
from bdshift_gui.selection import SelectionModel
from bdshift_gui.session import Session, State
from bdshift_gui.settings import LAYOUT_VERSION, Settings
from bdshift_gui.views.welcome import WelcomeView
from bdshift_gui.widgets.error_bar import ErrorBar
from bdshift_gui.widgets.job_bar import JobBar
from bdshift_gui.widgets.machine import MachineStatus
from bdshift_gui.widgets.number_slider import NumberSlider

if TYPE_CHECKING:
    from bdshift_gui.workspace import Workspace

_TOOLBAR = ("open_model", "open_images", "scan", "trigger", "purify", "save")
_NEEDS_AUDIT = (
    "save",
    "trigger",
    "select_half",
    "select_none",
    "next",
    "previous",
    "next_class",
    "previous_class",
    "purify",
    "report",
    "export_neurons",
)
_NEEDS_RUN = ("show_run", "compare_run", "export_run", "export_table")


class MainWindow(QMainWindow):
    """One audit at a time."""

    def __init__(self, settings: Settings, demo_folder: Path) -> None:
        super().__init__()
        self.settings = settings
        self._job_name = ""
        self._notes: list[str] = []
        self._translators = i18n.Translators()
        self.undo = QUndoStack(self)
        self.session = Session(self)
        self.selection = SelectionModel(self.undo, self)
        self.jobs = JobController(self)
        self.auditor = Auditor(self.session, self.selection, self.jobs)
        self.cleaner = Cleaner(self.session, self.jobs)
        self.actions_ = Actions(self)
        self.commands = Commands(self, demo_folder)
        self.setAcceptDrops(True)
        self.resize(1280, 800)
        self.setWindowTitle("bdshift[*]")
        self.work: Workspace | None = None
        self._make_welcome()
        self._make_toolbar()
        self._make_menus()
        self._make_status()
        self._connect()
        geometry, _ = settings.window()
        if not geometry.isEmpty():
            self.restoreGeometry(geometry)
        self.restyle()
        self.retranslate()

    # Building

    def _make_welcome(self) -> None:
        self.welcome, self.error = WelcomeView(), ErrorBar()
        self.pages = QStackedWidget()
        self.pages.addWidget(self.welcome)
        middle = QWidget()
        column = QVBoxLayout(middle)
        column.setContentsMargins(8, 12, 8, 12)
        column.addWidget(self.error)
        column.addWidget(self.pages, 1)
        self._column = column
        self.setCentralWidget(middle)

    def furnish(self) -> None:
        """Bring in everything that shows an audit. It takes half a second, mostly to import, so the
        first thing to see does not wait for it.
        """
        if self.work is not None:
            return
        from bdshift_gui.workspace import Workspace

        work = self.work = Workspace(self)
        work.log.setPlainText("\n".join(self._notes))
        self.pages.addWidget(work.plots)
        self.pages.addWidget(work.compare_page)
        self._column.insertWidget(1, work.strip)
        for dock in work.docks.values():
            self.menus["View"].addAction(dock.toggleViewAction())
        self._default_docks = self.saveState(LAYOUT_VERSION)
        _, docks = self.settings.window()
        if not docks.isEmpty():
            self.restoreState(docks, LAYOUT_VERSION)
        work.verdict.rule_chosen.connect(self.auditor.set_rule)
        work.classes.class_chosen.connect(self.selection.select_class)
        work.scatter.asked.connect(self.commands.select)
        for view in (work.runs, work.compare, work.strip):
            view.asked.connect(self.commands.do)
        work.compare.sides_chosen.connect(self.commands.compare_sides)
        work.strip.sides_chosen.connect(self.commands.compare_sides)
        work.table.asked.connect(self.commands.select_rows)
        work.agreement.asked.connect(self.selection.select_neurons)
        work.inspector.stepped.connect(self.commands.step)
        work.inspector.look_asked.connect(self.commands.look)
        work.images_card.ranking_asked.connect(self.commands.ranking)
        work.images_card.labels_asked.connect(self.commands.correct_labels)
        work.model_card.architecture_asked.connect(self.commands.correct_model)
        work.model_card.details_asked.connect(self.commands.model_details)
        work.paint(theme.current(self.settings.scheme))
        work.retranslate()
        self._render()

    def _make_toolbar(self) -> None:
        bar = QToolBar(self)
        bar.setObjectName("main")
        bar.setMovable(False)
        bar.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextOnly)
        for key in _TOOLBAR:
            bar.addAction(self.actions_[key])
        bar.widgetForAction(self.actions_["scan"]).setObjectName("primary")
        space = QWidget()
        space.setObjectName("plain")
        space.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
        bar.addWidget(space)
        self.alpha = NumberSlider("α", 0.01, 2.0, 0.1, logarithmic=True)
        self.beta = NumberSlider("β", 1.0, 4.0, 2.0)
        bar.addWidget(self.alpha)
        bar.addWidget(self.beta)
        bar.addAction(self.actions_["palette"])
        bar.setContextMenuPolicy(Qt.ContextMenuPolicy.PreventContextMenu)
        self.addToolBar(bar)

    def _make_menus(self) -> None:
        self.menus: dict[str, QMenu] = {name: self.menuBar().addMenu(name) for name in MENUS}
        for entry in ENTRIES:
            self.menus[entry.menu].addAction(self.actions_[entry.key])
        self.recent = QMenu(self)
        self.menus["File"].insertMenu(self.actions_["scan"], self.recent)
        self.recent.aboutToShow.connect(self._fill_recent)

    def _make_status(self) -> None:
        self.job_bar = JobBar()
        self.message = QLabel()
        self.machine = MachineStatus()
        self.language = QToolButton()
        self.language.setObjectName("choice")
        self.language.clicked.connect(self._other_language)
        self.statusBar().setContentsMargins(12, 0, 12, 0)
        self.statusBar().setSizeGripEnabled(False)
        self.statusBar().addWidget(self.job_bar)
        self.statusBar().addWidget(self.message)
        self.statusBar().addPermanentWidget(self.machine)
        self.statusBar().addPermanentWidget(self.language)

    def _connect(self) -> None:
        self.actions_.asked.connect(self.commands.do)
        self.session.changed.connect(self._render)
        self.selection.changed.connect(self._render)
        for key, can in (("undo", self.undo.canUndoChanged), ("redo", self.undo.canRedoChanged)):
            self.actions_[key].setEnabled(False)
            can.connect(self.actions_[key].setEnabled)
        self.jobs.started.connect(self._job_started)
        self.jobs.happened.connect(self._job_event)
        self.jobs.ended.connect(self._job_ended)
        self.job_bar.canceled.connect(self.jobs.cancel)
        self.welcome.wanted.connect(self.commands.do)
        self.welcome.recent_chosen.connect(self.commands.open)
        self.auditor.opened.connect(self._remember)
        self.auditor.opened.connect(self.cleaner.settled)
        self.alpha.moved.connect(self.auditor.set_alpha)
        self.beta.moved.connect(self.auditor.set_beta)
        self.error.smaller.connect(self.commands.scan_smaller)
        self.error.on_cpu.connect(self.commands.scan_on_cpu)
        self.error.name_architecture.connect(self.commands.name_architecture)
        self.error.which_asked.connect(self.commands.choose_model)

    # What is shown

    @Slot()
    def _render(self, *_: object) -> None:
        if self.work is None and self.session.state != State():
            self.furnish()  # which renders
            return
        state, now, busy = self.session.state, self.selection.now, self.jobs.busy
        page = 0 if state.audit is None or self.work is None else 2 if state.comparing else 1
        self.pages.setCurrentIndex(page)
        if self.work is not None:
            self.work.show_state(state, now)
            self.work.allow_corrections(not busy)
        modified = state.original is not None and state.original is not self.auditor.kept
        self.setWindowModified(modified)
        if state.audit is None:
            self.welcome.show_state(state, self.settings.recent, self._job_name)
        self.alpha.show_value(state.alpha)
        self.beta.show_value(state.beta)
        # β has a say only where the paper's rule decides: a touch must not change the verdict
        self.beta.setEnabled(state.verdict is None or state.verdict.rule == "paper")
        self.alpha.setEnabled(state.audit is None or state.audit.embedding is not None)
        for key in _NEEDS_AUDIT:
            self.actions_[key].setEnabled(state.audit is not None and not busy)
        for key in _NEEDS_RUN:
            self.actions_[key].setEnabled(bool(state.runs) and not busy)
        self.actions_["show_original"].setEnabled(bool(state.shown) and not busy)
        self.actions_["close_compare"].setEnabled(state.comparing is not None)
        for key in ("open_model", "open_images", "open_image_file", "open_audit", "demo", "lab"):
            self.actions_[key].setEnabled(not busy)
        self.actions_["scan"].setEnabled(self.commands.can_scan and not busy)
        self.actions_["cancel"].setEnabled(busy)
        if not busy:
            self.message.setText(self._summary())
        self.machine.show_device(state.audit.device if state.audit is not None else "")

    def _summary(self) -> str:
        audit, shifts = self.session.state.audit, self.session.state.shifts
        if audit is None or shifts is None:
            return ""
        return tr(
            "{images} images embedded in {embed} s, {count} shifts solved in {solve} s "
            "(KKT residual {kkt})",
            images=sum(audit.images.counts), embed=f"{audit.seconds_embed:.3g}",
            count=len(shifts.l2), solve=f"{shifts.seconds:.2g}", kkt=f"{shifts.kkt_max:.0e}",
        )  # fmt: skip

    def restyle(self) -> None:
        """Take the colors of the setting."""
        found = theme.current(self.settings.scheme)
        app = QApplication.instance()
        assert isinstance(app, QApplication)
        app.setPalette(theme.palette(found))
        app.setStyleSheet(theme.style_sheet(found))
        if self.work is not None:
            self.work.paint(found)
        for key in ("light", "dark", "system"):
            self.actions_[key].setChecked(key == self.settings.scheme)

    def retranslate(self) -> None:
        """Take the texts of the setting's language."""
        self._translators.use(i18n.preferred(self.settings))
        self.actions_.retranslate()
        for name, menu in self.menus.items():
            menu.setTitle(tr(name))
        self.recent.setTitle(tr("Open recent"))
        if self.work is not None:
            self.work.retranslate()
        self.alpha.describe(tr("Loss threshold α of Eq. 4: a smaller one asks for a longer shift."))
        self.beta.describe(
            tr("Outlier threshold β of the paper's rule; choose |z| > β in the verdict to move it.")
        )
        for key in ("en", "ja"):
            self.actions_[key].setChecked(key == i18n.language())
        other = "ja" if i18n.language() == "en" else "en"
        self.language.setText(self.actions_[other].text())
        self.language.setToolTip(self.actions_[other].toolTip())
        self.error.hide()
        self._render()

    @Slot()
    def _other_language(self) -> None:
        self.commands.do("ja" if i18n.language() == "en" else "en")

    def reset_docks(self) -> None:
        """The layout as it was made, and no other remembered."""
        self.settings.forget_docks()
        if self.work is not None:
            self.restoreState(self._default_docks, LAYOUT_VERSION)
            self.work.forget()
        self._render()

    # Jobs

    def _note(self, text: str) -> None:
        """A line for the log, which may not be there yet."""
        self._notes.append(text)
        if self.work is not None:
            self.work.log.appendPlainText(text)

    @Slot(str)
    def _job_started(self, name: str) -> None:
        self._job_name = name
        self.message.clear()
        self.job_bar.begin(name)
        self._note(name)
        self._render()

    @Slot(object)
    def _job_event(self, event: Event) -> None:
        if isinstance(event, Progressed):
            self.job_bar.progress(event)
        elif isinstance(event, Noted):
            self._note(f"  {event.text}")
        elif isinstance(event, Stepped):
            self._note(f"  {event.figures.text}")
            self.cleaner.step(event.figures)

    @Slot(object)
    def _job_ended(self, event: Event) -> None:
        self._job_name = ""
        self.job_bar.end()
        self.cleaner.step(None)
        if isinstance(event, Failed):
            self._note(event.details)
            self.error.show_failure(event)
        elif isinstance(event, Stopped):
            self._note(tr("Canceled; nothing was lost."))
        self._render()
        if isinstance(event, Stopped):
            self.message.setText(tr("Canceled; nothing was lost."))

    @Slot(object)
    def _remember(self, path: Path) -> None:
        self.settings.remember(path)
        self._render()

    def _fill_recent(self) -> None:
        self.recent.clear()
        for path in self.settings.recent:
            action = self.recent.addAction(path.name)
            action.setToolTip(str(path))
            action.setEnabled(path.is_file())
            action.triggered.connect(lambda _=False, path=path: self.commands.open(path))

    # Qt

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        if any(url.isLocalFile() for url in event.mimeData().urls()) and not self.jobs.busy:
            event.acceptProposedAction()
            self.welcome.hold(True)

    def dragLeaveEvent(self, event: QDragLeaveEvent) -> None:
        self.welcome.hold(False)

    def dropEvent(self, event: QDropEvent) -> None:
        self.welcome.hold(False)
        paths = [Path(url.toLocalFile()) for url in event.mimeData().urls() if url.isLocalFile()]
        event.acceptProposedAction()
        self.commands.open_all(paths)

    def closeEvent(self, event: QCloseEvent) -> None:
        if self.isWindowModified() and not self.commands.may_close():
            event.ignore()
            return
        if not self.jobs.close():
            event.ignore()
            self.message.setText(tr("Still stopping; close again in a moment."))
            return
        docks = QByteArray()
        if self.work is not None:
            self.work.put_away()  # none: the next window has them where they were
            docks = self.saveState(LAYOUT_VERSION)
        self.settings.save_window(self.saveGeometry(), docks)
        event.accept()

    def sizeHint(self) -> QSize:
        return QSize(1280, 800)
