"""The window: puts the views in their places and connects them. Wiring only."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QByteArray, QSize, Qt, Slot
from PySide6.QtGui import QCloseEvent, QDragEnterEvent, QDragLeaveEvent, QDropEvent, QUndoStack
from PySide6.QtWidgets import (
    QApplication,
    QFileDialog,
    QLabel,
    QMainWindow,
    QMenu,
    QMessageBox,
    QSizePolicy,
    QStackedWidget,
    QToolBar,
    QVBoxLayout,
    QWidget,
)

from bdshift_gui import i18n, theme
from bdshift_gui.actions import ENTRIES, MENUS, Actions
from bdshift_gui.auditor import Auditor, half_of
from bdshift_gui.dialogs.save import ask_where
from bdshift_gui.i18n import tr
from bdshift_gui.jobs.controller import JobController
from bdshift_gui.jobs.events import Event, Failed, Noted, Progressed, Stopped
from bdshift_gui.selection import Mode, SelectionModel
from bdshift_gui.session import Session, State
from bdshift_gui.settings import LAYOUT_VERSION, Language, Settings
from bdshift_gui.views.welcome import WelcomeView
from bdshift_gui.widgets.error_bar import ErrorBar
from bdshift_gui.widgets.job_bar import JobBar
from bdshift_gui.widgets.number_slider import NumberSlider

if TYPE_CHECKING:
    from bdshift_gui.workspace import Workspace

_TOOLBAR = ("open_model", "open_images", "scan", "trigger", "save")
_NEEDS_AUDIT = (
    "save",
    "trigger",
    "select_half",
    "select_none",
    "next",
    "previous",
    "export_neurons",
)


class MainWindow(QMainWindow):
    """One audit at a time."""

    def __init__(self, settings: Settings, demo_folder: Path) -> None:
        super().__init__()
        self._settings, self._demo_folder = settings, demo_folder
        self._job_name = ""
        self._notes: list[str] = []
        self._translators = i18n.Translators()
        self._translators.use(i18n.preferred(settings))
        self.undo = QUndoStack(self)
        self.session = Session(self)
        self.selection = SelectionModel(self.undo, self)
        self.jobs = JobController(self)
        self.auditor = Auditor(self.session, self.selection, self.jobs)
        self.actions_ = Actions(self)
        self.setAcceptDrops(True)
        self.resize(1280, 800)
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
        column.setContentsMargins(4, 12, 4, 12)
        column.addWidget(self.error)
        column.addWidget(self.pages, 1)
        self.setCentralWidget(middle)

    def furnish(self) -> None:
        """Bring in everything that shows an audit. It takes half a second, mostly to import, so the
        first thing to see does not wait for it.
        """
        if self.work is not None:
            return
        from bdshift_gui.workspace import Workspace

        work = self.work = Workspace(self)
        self.pages.addWidget(work.plots)
        for dock in work.docks.values():
            self.menus["View"].addAction(dock.toggleViewAction())
        self._default_docks = self.saveState(LAYOUT_VERSION)
        _, docks = self._settings.window()
        if not docks.isEmpty():
            self.restoreState(docks, LAYOUT_VERSION)
        work.verdict.rule_chosen.connect(self.auditor.set_rule)
        work.classes.class_chosen.connect(self.selection.select_class)
        work.scatter.asked.connect(self._select)
        work.table.asked.connect(self._select_rows)
        work.agreement.asked.connect(self.selection.select_neurons)
        work.inspector.stepped.connect(self._step)
        work.inspector.look_asked.connect(self._look)
        work.images_card.ranking_asked.connect(self._show_ranking)
        work.paint(theme.current(self._settings.scheme))
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
        self.bar = bar
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
        self.place = QLabel()
        self.statusBar().setSizeGripEnabled(False)
        self.statusBar().addWidget(self.job_bar)
        self.statusBar().addWidget(self.message)
        self.statusBar().addPermanentWidget(self.place)

    def _connect(self) -> None:
        self.actions_.asked.connect(self.do)
        self.session.changed.connect(self._render)
        self.selection.changed.connect(self._render)
        self.jobs.started.connect(self._job_started)
        self.jobs.happened.connect(self._job_event)
        self.jobs.ended.connect(self._job_ended)
        self.job_bar.cancelled.connect(self.jobs.cancel)
        self.welcome.wanted.connect(self.do)
        self.welcome.recent_chosen.connect(self.open)
        self.auditor.opened.connect(self._remember)
        self.alpha.moved.connect(self.auditor.set_alpha)
        self.beta.moved.connect(self.auditor.set_beta)
        self.error.smaller.connect(self._smaller_batch)
        self.error.on_cpu.connect(self._on_cpu)

    # What is shown

    @Slot()
    def _render(self, *_: object) -> None:
        if self.session.state != State() and self.work is None:
            self.furnish()  # which renders
            return
        state, now, busy = self.session.state, self.selection.now, self.jobs.busy
        self.pages.setCurrentIndex(0 if state.audit is None or self.work is None else 1)
        if self.work is not None:
            self.work.show_state(state, now)
        if state.audit is None:
            self.welcome.show_state(state, self._settings.recent, self._job_name)
        self.alpha.show_value(state.alpha)
        self.beta.show_value(state.beta)
        self.alpha.setEnabled(state.audit is None or state.audit.embedding is not None)
        for key in _NEEDS_AUDIT:
            self.actions_[key].setEnabled(state.audit is not None and not busy)
        for key in ("open_model", "open_images", "open_audit", "demo"):
            self.actions_[key].setEnabled(not busy)
        can_scan = state.can_scan or state.audit is not None
        self.actions_["scan"].setEnabled(can_scan and not busy)
        self.actions_["cancel"].setEnabled(busy)
        self.actions_["undo"].setEnabled(self.undo.canUndo())
        self.actions_["redo"].setEnabled(self.undo.canRedo())
        if not busy:
            self.message.setText(self._summary())
        self.place.setText(state.audit.device.upper() if state.audit is not None else "")

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
        """Take the colours of the setting."""
        found = theme.current(self._settings.scheme)
        app = QApplication.instance()
        assert isinstance(app, QApplication)
        app.setPalette(theme.palette(found))
        app.setStyleSheet(theme.style_sheet(found))
        if self.work is not None:
            self.work.paint(found)
        for key in ("light", "dark", "system"):
            self.actions_[key].setChecked(key == self._settings.scheme)

    def retranslate(self) -> None:
        """Take the texts of the window's language."""
        self.setWindowTitle("bdshift")
        self.actions_.retranslate()
        for name, menu in self.menus.items():
            menu.setTitle(tr(name))
        self.recent.setTitle(tr("Open recent"))
        if self.work is not None:
            self.work.retranslate()
        self.alpha.describe(tr("Loss threshold α of Eq. 4: a smaller one asks for a longer shift."))
        self.beta.describe(
            tr("Outlier threshold β of the paper's rule |z| > β; moving it lets that rule decide.")
        )
        for key in ("en", "ja"):
            self.actions_[key].setChecked(key == i18n.language())
        self.error.hide()
        self._render()
        self.restyle()

    # What is asked

    @Slot(str)
    def do(self, key: str) -> None:
        """Carry out an action of the table."""
        getattr(self, f"_do_{key}")()

    @Slot(object)
    def open(self, path: Path) -> None:
        """Open whatever is at ``path``, if nothing runs."""
        if not self.jobs.busy:
            self.error.hide()
            self.auditor.open_path(path)

    def _do_open_model(self) -> None:
        path, _ = QFileDialog.getOpenFileName(self, tr("Open model"))
        if path:
            self.auditor.open_model(Path(path))

    def _do_open_images(self) -> None:
        path = QFileDialog.getExistingDirectory(self, tr("Open images"))
        if path:
            self.auditor.open_images(Path(path))

    def _do_open_audit(self) -> None:
        path, _ = QFileDialog.getOpenFileName(self, tr("Open audit"), "", "HDF5 (*.h5)")
        if path:
            self.auditor.open_audit(Path(path))

    def _do_scan(self) -> None:
        self.error.hide()
        self.auditor.scan()

    def _do_demo(self) -> None:
        self.error.hide()
        self.auditor.demo(self._demo_folder)

    def _do_save(self) -> None:
        path = ask_where(self, tr("Save audit"), "audit.h5", (".h5",))
        if path is not None:
            self.auditor.save(path)

    def _do_quit(self) -> None:
        self.close()

    def _do_trigger(self) -> None:
        from bdshift_gui.dialogs.trigger import TriggerDialog

        dialog = TriggerDialog(self.session.state, self)
        dialog.chosen.connect(self.auditor.measure_tac)
        dialog.open()

    def _do_select_half(self) -> None:
        state, index = self.session.state, self.selection.now.class_index
        if state.shifts is not None and index is not None:
            self.selection.select_neurons(half_of(state.shifts.shift[index]))

    def _do_select_none(self) -> None:
        self.selection.select_neurons([])

    def _do_undo(self) -> None:
        self.undo.undo()
        self._render()

    def _do_redo(self) -> None:
        self.undo.redo()
        self._render()

    def _do_next(self) -> None:
        self._step(1)

    def _do_previous(self) -> None:
        self._step(-1)

    def _do_export_neurons(self) -> None:
        from bdshift_gui.dialogs.export import write_selection

        path = ask_where(self, tr("Export the selection"), "neurons.csv", (".csv", ".json"))
        if path is not None:
            write_selection(path, self.session.state, self.selection.now)

    def _do_palette(self) -> None:
        from bdshift_gui.dialogs.palette import Palette

        palette = Palette(self.actions_, self)
        palette.open()

    def _do_light(self) -> None:
        self._settings.scheme = "light"
        self.restyle()

    def _do_dark(self) -> None:
        self._settings.scheme = "dark"
        self.restyle()

    def _do_system(self) -> None:
        self._settings.scheme = "system"
        self.restyle()

    def _do_en(self) -> None:
        self._speak("en")

    def _do_ja(self) -> None:
        self._speak("ja")

    def _speak(self, language: Language) -> None:
        self._settings.language = language
        self._translators.use(language)
        self.retranslate()

    def _do_reset_layout(self) -> None:
        self._settings.forget_docks()
        if self.work is not None:
            self.restoreState(self._default_docks, LAYOUT_VERSION)
        self._render()

    def _do_cancel(self) -> None:
        self.jobs.cancel()

    def _do_shortcuts(self) -> None:
        from bdshift_gui.dialogs.pages import shortcuts_page

        shortcuts_page(self.actions_, self).open()

    def _do_about(self) -> None:
        from bdshift import __version__

        QMessageBox.about(self, "bdshift", f"bdshift {__version__}\n" + tr("MIT licence"))

    def _show_ranking(self) -> None:
        audit = self.session.state.audit
        if audit is not None:
            from bdshift_gui.dialogs.pages import RankingPage

            page = RankingPage(audit, self)
            page.chosen.connect(self._scan_with)
            page.open()

    @Slot(str)
    def _scan_with(self, normalisation: str) -> None:
        self.auditor.settings["normalise"] = normalisation
        self._do_scan()

    @Slot(object, str, object)
    def _select(self, neurons: frozenset[int], mode: Mode, primary: int | None) -> None:
        self.selection.select_neurons(neurons, mode, primary)

    @Slot(object, object)
    def _select_rows(self, neurons: frozenset[int], primary: int | None) -> None:
        self.selection.select_neurons(neurons, "replace", primary)

    def _step(self, by: int) -> None:
        chosen, now = sorted(self.selection.now.neurons), self.selection.now.primary
        if now is not None:
            self.selection.show_neuron(chosen[(chosen.index(now) + by) % len(chosen)])

    @Slot(int, int)
    def _look(self, neuron: int, count: int) -> None:
        if not self.jobs.busy:
            self.error.hide()
            self.auditor.look(neuron, count)

    def _smaller_batch(self) -> None:
        self.auditor.settings["batch"] = max(1, self.auditor.settings.get("batch", 64) // 2)
        self._do_scan()

    def _on_cpu(self) -> None:
        self.auditor.settings["device"] = "cpu"
        self._do_scan()

    # Jobs

    def _note(self, text: str) -> None:
        """A line for the log, which may not be there yet."""
        self._notes.append(text)
        if self.work is not None:
            self.work.show_log(self._notes)

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

    @Slot(object)
    def _job_ended(self, event: Event) -> None:
        self._job_name = ""
        self.job_bar.end()
        if isinstance(event, Failed):
            self._note(event.details)
            self.error.show_failure(event)
        elif isinstance(event, Stopped):
            self._note(tr("Cancelled; nothing was lost."))
        self._render()
        if isinstance(event, Stopped):
            self.message.setText(tr("Cancelled; nothing was lost."))

    @Slot(object)
    def _remember(self, path: Path) -> None:
        self._settings.remember(path)

    def _fill_recent(self) -> None:
        self.recent.clear()
        for path in self._settings.recent:
            action = self.recent.addAction(path.name)
            action.setToolTip(str(path))
            action.setEnabled(path.is_file())
            action.triggered.connect(lambda _=False, path=path: self.open(path))

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
        self.open_all(paths)

    def open_all(self, paths: list[Path]) -> None:
        """Open one after the other, as each job ends."""
        if not paths:
            return
        self.open(paths[0])
        if len(paths) > 1:
            self.jobs.ended.connect(
                lambda _: self.open_all(paths[1:]), Qt.ConnectionType.SingleShotConnection
            )

    def closeEvent(self, event: QCloseEvent) -> None:
        if not self.jobs.close():
            event.ignore()
            self.message.setText(tr("Still stopping; close again in a moment."))
            return
        docks = self.saveState(LAYOUT_VERSION) if self.work is not None else QByteArray()
        self._settings.save_window(self.saveGeometry(), docks)
        event.accept()

    def sizeHint(self) -> QSize:
        return QSize(1280, 800)
