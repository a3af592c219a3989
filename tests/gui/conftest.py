"""A window with the demo's audit, without a display."""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import shiboken6
from driving import dialog, do, open_paths
from known import STICKER, TARGET
from PySide6.QtCore import QEvent, QThread, QTimer
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from bdshift.audit import Audit, Material
from bdshift.audit.purifying import purify_model
from bdshift.purification.methods.cut import Cut
from bdshift.purification.methods.shift_tuning import ShiftTuning
from bdshift.store import save_audit
from bdshift.triggers import parse_trigger
from bdshift_gui import i18n
from bdshift_gui.dialogs.trigger import TriggerDialog
from bdshift_gui.fonts import load_fonts
from bdshift_gui.main_window import MainWindow
from bdshift_gui.settings import Settings


@pytest.fixture(scope="session")
def audit_file(measured_audit: Audit, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The victim's audit with TAC under its sticker."""
    path = tmp_path_factory.mktemp("audit") / "victim.h5"
    save_audit(measured_audit, path)
    return path


@pytest.fixture(scope="session")
def purified_file(
    measured_audit: Audit, victim_material: Material, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The same with two purifications: one that helps, one that does not."""
    trigger = parse_trigger(STICKER)
    purifications = tuple(
        purify_model(measured_audit, victim_material, method, TARGET, trigger=trigger)
        for method in (ShiftTuning(epochs=3, batch=16), Cut(neurons="3"))
    )
    path = tmp_path_factory.mktemp("purified") / "purified.h5"
    save_audit(replace(measured_audit, purifications=purifications), path)
    return path


@pytest.fixture(autouse=True)
def no_leaks(qapp: QApplication) -> Iterator[None]:
    """Everything a test opens is gone afterward: windows, with all that they own, and threads."""
    gc.collect()
    gc.freeze()  # what is there already need not be looked at afterward
    windows, threads = set(qapp.topLevelWidgets()), set(threading.enumerate())
    yield
    qapp.sendPostedEvents(None, QEvent.Type.DeferredDelete)
    gc.collect()
    left = [one for one in qapp.topLevelWidgets() if one not in windows]
    assert not left, f"left on the screen: {left}"
    late = [one for one in set(threading.enumerate()) - threads if not one.daemon]
    assert not late, f"threads that still run: {late}"


@pytest.fixture
def window(
    no_leaks: None,
    qtbot: QtBot,
    qapp: QApplication,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[MainWindow]:
    """A fresh window in English and light colors, in which no search follows a scan; its
    threads must end with it.
    """
    qapp.setStyle("Fusion")
    load_fonts()
    settings = Settings(fresh=True)
    settings.language, settings.scheme, settings.compares = "en", "light", False
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    found = MainWindow(settings, tmp_path / "demo")
    monkeypatch.setattr(found.context.ask, "save_first", lambda _: "discard")  # no user to ask
    monkeypatch.setattr(found.context.ask, "discard", lambda _: True)
    qtbot.addWidget(found)
    with qtbot.waitExposed(found):
        found.show()
    found.furnish()
    yield found
    assert found.close()
    threads = found.findChildren(QThread)
    assert len(threads) == 2
    assert not any(one.isRunning() for one in threads)
    timers = found.findChildren(QTimer)
    found.deleteLater()
    qapp.sendPostedEvents(None, QEvent.Type.DeferredDelete)
    assert not any(shiboken6.isValid(one) for one in (found, *threads, *timers))
    i18n.Translators().use("en")


@pytest.fixture
def opened(window: MainWindow, qtbot: QtBot, audit_file: Path) -> MainWindow:
    """The window with the audit open."""
    open_paths(qtbot, window, audit_file)
    assert window.session.state.audit is not None
    return window


@pytest.fixture
def purified(window: MainWindow, qtbot: QtBot, purified_file: Path) -> MainWindow:
    """The window with an audit that has two purifications."""
    open_paths(qtbot, window, purified_file)
    assert len(window.session.state.purifications) == 2
    return window


@pytest.fixture
def asked(opened: MainWindow, qtbot: QtBot) -> Iterator[TriggerDialog]:
    """The dialog, on the trigger that was measured."""
    do(opened, "trigger")
    found = dialog(qtbot, opened, TriggerDialog)
    yield found
    if shiboken6.isValid(found):
        found.reject()
