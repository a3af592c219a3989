"""The window uses no path of an audit file before it is checked."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from driving import do, error_text, open_paths, wait
from known import STICKER
from pytestqt.qtbot import QtBot

from bdshift.audit import Audit
from bdshift.files import KeptPath
from bdshift.store import save_audit
from bdshift_gui.main_window import MainWindow
from bdshift_gui.tasks.measuring import measure_tac

EVIL = "//evil-host/share/x"


def test_an_audit_leads_to_no_other_machine(
    window: MainWindow,
    qtbot: QtBot,
    measured_audit: Audit,
    victim: Path,
    signs: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    touched: list[str] = []

    def watched(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(path: Any = ".", *args: Any, **keywords: Any) -> Any:
            if not isinstance(path, int):
                touched.append(os.fsdecode(path))
            return real(path, *args, **keywords)

        return call

    forged = replace(
        measured_audit,
        model=replace(measured_audit.model, path=EVIL),
        images=replace(measured_audit.images, path=EVIL),
    )
    save_audit(forged, tmp_path / "a.h5")
    for name in ("stat", "lstat", "open", "scandir", "listdir", "readlink"):
        monkeypatch.setattr(os, name, watched(getattr(os, name)))
    open_paths(qtbot, window, tmp_path / "a.h5")
    assert window.session.state.model_path == KeptPath(EVIL)
    do(window, "scan")
    wait(qtbot, window)
    assert "on another machine" in error_text(window)
    measure_tac(window.context, STICKER)
    wait(qtbot, window)
    assert "on another machine" in error_text(window)
    open_paths(qtbot, window, signs)  # for which the audit's model would be read again
    assert window.session.state.images is not None
    assert window.session.state.model is None
    open_paths(qtbot, window, tmp_path / "a.h5", victim)  # for which its images would be listed
    assert window.session.state.model is not None
    assert window.session.state.images is None
    assert not any("evil-host" in path for path in touched)
