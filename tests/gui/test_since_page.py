"""The window's page of what changed between two audits."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from driving import audit_of, dialog, do, error_text, wait, wait_well
from pytestqt.qtbot import QtBot

from bdshift.audit.since import Since
from bdshift.reports.since_report import since_sections
from bdshift.store import load_audit, save_audit
from bdshift_gui.dialogs.since import SincePage
from bdshift_gui.main_window import MainWindow
from bdshift_gui.widgets.card import Text


def shown(page: SincePage) -> list[str]:
    return [one.text() for one in page.findChildren(Text) if not one.isHidden()]


def tight(text: str) -> str:
    """Without what the window changes in long words, so that they can be broken."""
    return "".join(text.replace(",", "").split())


def cell(page: SincePage, row: int, column: int) -> str:
    return page.table.text(row, column)


def compared(qtbot: QtBot, window: MainWindow) -> SincePage:
    do(window, "compare_audits")
    wait_well(qtbot, window)
    return dialog(qtbot, window, SincePage)


@pytest.mark.slow
def test_it_shows_what_the_command_says(
    purified: MainWindow, qtbot: QtBot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    audit = purified.session.state.original
    assert audit is not None
    path = tmp_path / "old.h5"
    save_audit(replace(audit, purifications=(), tac=(), date="2024-01-02T03:04Z"), path)
    monkeypatch.setattr(purified.context.ask, "file", lambda *_: path)
    page = compared(qtbot, purified)
    texts = shown(page)
    for section in since_sections(Since(load_audit(path), audit)):
        assert section.title in texts
        for one in section.sentences:
            assert tight(str(one)) in [tight(text) for text in texts]
    assert page.table.rows.rowCount() == 12
    assert cell(page, 0, 0) == "speed_80"
    assert cell(page, 0, 6) == "in both"
    assert not purified.isWindowModified()
    page.accept()


def test_the_earlier_one_comes_first(
    opened: MainWindow, qtbot: QtBot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "later.h5"
    save_audit(replace(audit_of(opened), tac=(), date="2999-01-02T03:04Z"), path)
    monkeypatch.setattr(opened.context.ask, "file", lambda *_: path)
    page = compared(qtbot, opened)
    whole = "\n".join(shown(page))
    assert "and again 2999-01-02 03:04 UTC" in whole
    assert "only in the first audit, with an ASR of" in whole
    page.accept()


def test_what_is_no_audit_is_said(
    opened: MainWindow, qtbot: QtBot, victim: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opened.context.ask, "file", lambda *_: victim)
    do(opened, "compare_audits")
    wait(qtbot, opened)
    assert "is not an audit file" in error_text(opened)
    monkeypatch.setattr(opened.context.ask, "file", lambda *_: None)
    do(opened, "compare_audits")
    assert opened.session.state.job is None
