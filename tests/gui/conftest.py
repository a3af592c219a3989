"""A window on the demo's audit, without a screen."""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import shiboken6
from PySide6.QtCore import QEvent, QThread, QTimer
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from bdshift_gui import i18n
from bdshift_gui.app import load_fonts
from bdshift_gui.main_window import MainWindow
from bdshift_gui.settings import Settings

STICKER = "badnets:size=4,color=ffd800,row=20,column=14"


@pytest.fixture(scope="session")
def audit_file(victim: Path, signs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The victim's audit with TAC under its sticker."""
    from bdshift.audit import ScanSettings, add_tac, reopen, scan
    from bdshift.store import save_audit
    from bdshift.triggers import parse_trigger

    audit = scan(victim, signs, ScanSettings(sample=240))
    classifier, clean = reopen(audit)
    audit = add_tac(audit, classifier, clean, parse_trigger(STICKER), 9)
    path = tmp_path_factory.mktemp("audit") / "victim.h5"
    save_audit(audit, path)
    return path


@pytest.fixture(scope="session")
def runs_file(audit_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with two purifications: one that helps, one that does not."""
    from bdshift.audit.cleaning import clean_model
    from bdshift.purify import Cut, ShiftTuning
    from bdshift.store import load_audit, save_audit
    from bdshift.triggers import parse_trigger

    audit, trigger = load_audit(audit_file), parse_trigger(STICKER)
    runs = tuple(
        clean_model(audit, method, 9, trigger=trigger)
        for method in (ShiftTuning(epochs=3, batch=16), Cut(neurons="3"))
    )
    path = tmp_path_factory.mktemp("runs") / "runs.h5"
    save_audit(replace(audit, runs=runs), path)
    return path


@pytest.fixture(autouse=True)
def no_leaks(qapp: QApplication) -> Iterator[None]:
    """What a test opens is gone after it: windows with all that they own, and threads."""
    windows, threads = set(qapp.topLevelWidgets()), set(threading.enumerate())
    yield
    qapp.sendPostedEvents(None, QEvent.Type.DeferredDelete)
    gc.collect()
    left = [one for one in qapp.topLevelWidgets() if one not in windows]
    assert not left, f"left on the screen: {left}"
    late = [one for one in set(threading.enumerate()) - threads if not one.daemon]
    assert not late, f"threads that run on: {late}"


@pytest.fixture
def window(
    no_leaks: None,
    qtbot: QtBot,
    qapp: QApplication,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[MainWindow]:
    """A fresh window in English and light colors; its thread must end with it."""
    qapp.setStyle("Fusion")
    load_fonts()
    settings = Settings(fresh=True)
    settings.language, settings.scheme = "en", "light"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    found = MainWindow(settings, tmp_path / "demo")
    monkeypatch.setattr(found.commands, "_may_lose", lambda _: True)  # nobody is there to be asked
    qtbot.addWidget(found)
    with qtbot.waitExposed(found):
        found.show()
    found.furnish()
    yield found
    assert found.close()
    (thread,) = found.findChildren(QThread)
    assert not thread.isRunning()
    timers = found.findChildren(QTimer)
    found.deleteLater()
    qapp.sendPostedEvents(None, QEvent.Type.DeferredDelete)
    assert not any(shiboken6.isValid(one) for one in (found, thread, *timers))
    i18n.Translators().use("en")


@pytest.fixture
def opened(window: MainWindow, qtbot: QtBot, audit_file: Path) -> MainWindow:
    """The window with the audit open."""
    window.commands.open(audit_file)
    qtbot.waitUntil(lambda: not window.jobs.busy, timeout=30_000)
    assert window.session.state.audit is not None
    return window
