"""The report before it is written: what is shown, and what is written on it."""

from __future__ import annotations

from pathlib import Path

import pytest
from driving import dialog, do, wait_well
from pdf_files import pdf_pages
from PySide6.QtGui import QColor, QKeySequence, QTextCursor
from PySide6.QtTest import QTest
from pytestqt.qtbot import QtBot

from bdshift.audit.cover import MAX_NOTES, Cover
from bdshift.store import load_audit
from bdshift_gui.dialogs.report import ReportDialog
from bdshift_gui.main_window import MainWindow
from bdshift_gui.session import State
from bdshift_gui.tasks.showing import set_alpha
from bdshift_gui.unsaved import may_replace


def opened_on(qtbot: QtBot, window: MainWindow) -> ReportDialog:
    """The dialog, with its pages."""
    do(window, "preview_report")
    found = dialog(qtbot, window, ReportDialog)
    qtbot.waitUntil(lambda: found.pages.count > 0, timeout=120_000)
    return found


def cover_of(state: State) -> Cover:
    assert state.original is not None
    return state.original.cover


def test_it_shows_the_pages(opened: MainWindow, qtbot: QtBot) -> None:
    shown = opened_on(qtbot, opened)
    count = shown.pages.count
    assert count > 1
    assert shown.said.text() == f"{count} pages"
    picture = shown.pages.grab().toImage()
    middle = picture.width() // 2
    colors = {picture.pixelColor(middle, y).name() for y in range(0, picture.height(), 3)}
    assert QColor("white").name() in colors, "paper"
    assert len(colors) > 10, "with something on it"
    before = shown.pages._stack._pages[0]
    shown.paper.setCurrentIndex(1 - shown.paper.currentIndex())
    qtbot.waitUntil(lambda: shown.pages._stack._pages[0].size() != before.size(), timeout=120_000)
    shown.accept()
    assert not opened.isWindowModified(), "to look changes nothing"


def test_what_is_typed_is_kept_in_the_audit(
    opened: MainWindow, qtbot: QtBot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_alpha(opened.context, 0.2)
    wait_well(qtbot, opened)
    shown = opened_on(qtbot, opened)
    first = shown.pages._stack._pages
    shown.author.setText("A. Uthor")
    shown.notes.setPlainText("one\ntwo")
    before = opened.session.state.original
    qtbot.waitUntil(lambda: shown.pages._stack._pages is not first, timeout=120_000)
    assert opened.session.state.original is before, "the views behind it have nothing to draw"
    shown.accept()
    assert cover_of(opened.session.state) == Cover("A. Uthor", "one\ntwo")
    assert opened.isWindowModified()
    state = opened.session.state
    assert state.alpha == 0.2
    assert state.audit is not None
    assert state.audit.cover == cover_of(state)
    assert state.audit.shifts.alpha == 0.2
    shown = opened_on(qtbot, opened)
    shown.notes.setPlainText("three")
    shown.reject()  # at once: what was typed is not lost
    assert cover_of(opened.session.state) == Cover("A. Uthor", "three")
    asked: list[str] = []

    def first_save(question: str) -> str:
        asked.append(question)
        return "stay"

    monkeypatch.setattr(opened.context.ask, "save_first", first_save)
    assert not may_replace(opened.context, lambda: None)
    assert asked == ["What was written on the report is not saved. Save the audit first?"]
    path = tmp_path / "saved.h5"
    monkeypatch.setattr(opened.context.ask, "where", lambda *_: path)
    do(opened, "save_as")
    wait_well(qtbot, opened)
    assert load_audit(path).cover == Cover("A. Uthor", "three")
    assert not opened.isWindowModified()
    assert may_replace(opened.context, lambda: None)
    again = opened_on(qtbot, opened)
    assert (again.author.text(), again.notes.toPlainText()) == ("A. Uthor", "three")
    again.accept()


def test_notes_have_an_end(opened: MainWindow, qtbot: QtBot) -> None:
    shown = opened_on(qtbot, opened)
    shown.author.setText("x" * 1000)
    shown.notes.setPlainText("y" * (MAX_NOTES + 10))
    assert len(shown.notes.toPlainText()) == MAX_NOTES
    assert "20,000 characters" in shown._error.text()
    shown.accept()
    assert cover_of(opened.session.state) == Cover("x" * 200, "y" * MAX_NOTES)


def test_only_what_is_added_is_cut(opened: MainWindow, qtbot: QtBot) -> None:
    shown = opened_on(qtbot, opened)
    text = "y" * (MAX_NOTES - 5) + "end"
    shown.notes.setPlainText(text)
    cursor = shown.notes.textCursor()
    cursor.setPosition(3)
    shown.notes.setTextCursor(cursor)
    shown.notes.insertPlainText("a😀bc")
    assert shown.notes.toPlainText() == f"yyya😀{text[3:]}"
    assert shown.notes.textCursor().position() == 6, "behind it; one of them takes two places"
    assert "20,000 characters" in shown._error.text()
    shown.accept()


@pytest.mark.parametrize("typed", ["a😀bc", "\n\n\n", "zyzyzy"])
def test_a_cut_can_be_undone(opened: MainWindow, qtbot: QtBot, typed: str) -> None:
    shown, undo = opened_on(qtbot, opened), QKeySequence(QKeySequence.StandardKey.Undo)
    notes, text = shown.notes, ("y" * 79 + "\n") * 249 + "y" * 78
    notes.setPlainText(text)
    cursor = notes.textCursor()
    cursor.setPosition(5)
    notes.setTextCursor(cursor)
    notes.insertPlainText(typed)
    assert notes.toPlainText() == text[:5] + typed[:2] + text[5:]
    assert "20,000 characters" in shown._error.text()
    for _ in range(7):  # there is no room for any of these
        QTest.keyClicks(notes, "z")
    assert notes.toPlainText() == text[:5] + typed[:2] + text[5:]
    QTest.keySequence(notes, undo)
    assert notes.toPlainText() == text, "one step leads back, however much was refused"
    assert notes.textCursor().position() == 5
    assert not shown._error.isVisible()
    QTest.keyClicks(notes, "ab")
    QTest.keyClicks(notes, "cd")
    assert notes.toPlainText() == text[:5] + "ab" + text[5:]
    QTest.keySequence(notes, undo)
    assert notes.toPlainText() == text
    shown.accept()


def test_a_cut_that_replaces_can_be_undone(opened: MainWindow, qtbot: QtBot) -> None:
    shown = opened_on(qtbot, opened)
    text = "start" + "y" * 75 + ("y" * 79 + "\n") * 249
    shown.notes.setPlainText(text)
    cursor = shown.notes.textCursor()
    cursor.setPosition(0)
    cursor.setPosition(5, QTextCursor.MoveMode.KeepAnchor)
    shown.notes.setTextCursor(cursor)
    shown.notes.insertPlainText("another")
    assert shown.notes.toPlainText() == "anoth" + text[5:]
    shown.notes.undo()
    assert shown.notes.toPlainText() == text
    shown.notes.redo()
    assert shown.notes.toPlainText() == "anoth" + text[5:]
    shown.accept()


def test_what_is_typed_is_not_lost_with_the_window(
    opened: MainWindow, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = opened_on(qtbot, opened)
    opened.session.update(kept=opened.session.state.original)
    shown.notes.setPlainText("typed just now")
    asked: list[str] = []

    def first_save(question: str) -> str:
        asked.append(question)
        return "stay"

    monkeypatch.setattr(opened.context.ask, "save_first", first_save)
    assert not opened.close()
    assert asked
    assert cover_of(opened.session.state) == Cover("", "typed just now")
    monkeypatch.setattr(opened.context.ask, "save_first", lambda _: "discard")
    shown.accept()


@pytest.mark.parametrize("suffix", [".pdf", ".html"])
def test_it_writes_the_report(
    opened: MainWindow, qtbot: QtBot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str
) -> None:
    out = tmp_path / f"r{suffix}"
    asked: list[tuple[str, object]] = []

    def where(_: str, name: str, suffixes: object) -> Path:
        asked.append((Path(name).name, suffixes))
        return out

    monkeypatch.setattr(opened.context.ask, "where", where)
    shown = opened_on(qtbot, opened)
    shown.notes.setPlainText("typed just now")
    shown.paper.setCurrentIndex(1)
    (shown.pdf if suffix == ".pdf" else shown.page).click()
    wait_well(qtbot, opened)
    assert asked == [(f"victim.report{suffix}", (suffix,))]
    assert opened.session.state.written == out
    if suffix == ".html":
        assert "typed just now" in out.read_text("utf-8")
        return
    pages = pdf_pages(out.read_bytes())
    assert "typedjustnow" in pages[0].words
    assert pages[0].width == pytest.approx(612, abs=1), "Letter, as chosen"


def test_the_shortcut_writes_either(
    opened: MainWindow, qtbot: QtBot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, head in (("r.pdf", b"%PDF"), ("r.html", b"<!do")):
        monkeypatch.setattr(opened.context.ask, "where", lambda *_, name=name: tmp_path / name)
        do(opened, "report")
        wait_well(qtbot, opened)
        assert (tmp_path / name).read_bytes().startswith(head)


def test_notes_of_a_purified_model_are_those_of_its_audit(
    purified: MainWindow, qtbot: QtBot
) -> None:
    do(purified, "show_purified")
    wait_well(qtbot, purified)
    rescan = purified.session.state.audit
    shown = opened_on(qtbot, purified)
    shown.author.setText("A")
    shown.accept()
    state = purified.session.state
    assert cover_of(state) == Cover("A")
    assert state.audit is rescan
    assert len(state.purifications) == 2
