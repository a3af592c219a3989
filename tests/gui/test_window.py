"""What holds for the window as a whole: languages, colors, names, start, references."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest
from PySide6.QtCore import QObject, Qt, Signal
from PySide6.QtWidgets import QAbstractButton
from pytestqt.qtbot import QtBot

import bdshift_gui
from bdshift_gui import i18n
from bdshift_gui.actions import ENTRIES, MENUS
from bdshift_gui.main_window import MainWindow
from bdshift_gui.theme import DARK, LIGHT, Theme

SOURCES = sorted(Path(bdshift_gui.__path__[0]).rglob("*.py"))


def _sentences() -> set[str]:
    """Every literal that is given to ``tr``, and the texts of the action table."""
    found = {text for entry in ENTRIES for text in (entry.text, entry.tip)} | set(MENUS)
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "tr" and node.args:
                first = node.args[0]
                if isinstance(first, ast.Constant):
                    found.add(first.value)
                assert not isinstance(first, ast.JoinedStr), f"{path}: tr(f'…') is never found"
    return found


def test_japanese_is_complete() -> None:
    japanese = i18n.catalog("ja")
    assert _sentences() - japanese.keys() == set()
    for english, text in japanese.items():
        fields = [{word.split("}")[0] for word in t.split("{")[1:]} for t in (english, text)]
        assert fields[0] == fields[1], english


def test_languages_are_switched_live(opened: MainWindow) -> None:
    opened.actions_["ja"].trigger()
    assert opened.work.verdict.title.text() == "バックドアの疑いが強い"
    assert opened.actions_["scan"].text() == "スキャン"
    assert opened.work.inspector.title.text().startswith("ニューロン ")
    assert opened.work.scatter.plot.getAxis("left").labelText == "「speed_80」へのシフト"
    assert opened.work.table.model().headerData(0, Qt.Orientation.Horizontal) == "ニューロン"
    opened.actions_["en"].trigger()
    assert opened.work.verdict.title.text() == "Probably backdoored"


def test_every_letter_of_japanese_is_in_the_bundled_font(window: MainWindow) -> None:
    metrics = window.fontMetrics()
    text = "".join(i18n.catalog("ja").values()).replace("\n", "")
    assert {char for char in text if not metrics.inFontUcs4(ord(char))} == set()


def _luminance(color: str) -> float:
    parts = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])
def test_text_can_be_read(theme: Theme) -> None:
    for ink, paper in (
        (theme.text, theme.card), (theme.text, theme.window), (theme.muted, theme.card),
        (theme.muted, theme.window), (theme.accent, theme.card), (theme.poisoned, theme.card),
        (theme.poisoned, theme.poisoned_soft), (theme.on_accent, theme.accent),
        (theme.muted, theme.poisoned_soft), (theme.muted, theme.accent_soft),
    ):  # fmt: skip
        light, dark = sorted((_luminance(ink), _luminance(paper)), reverse=True)
        assert (light + 0.05) / (dark + 0.05) >= 4.5, (ink, paper)


def test_colors_are_switched(opened: MainWindow) -> None:
    opened.actions_["dark"].trigger()
    assert opened.work.scatter.view.backgroundBrush().color().name() == DARK.card
    assert opened.actions_["dark"].isChecked()
    opened.actions_["light"].trigger()
    assert opened.work.scatter.view.backgroundBrush().color().name() == LIGHT.card


def test_everything_has_a_name(opened: MainWindow) -> None:
    for entry in ENTRIES:
        action = opened.actions_[entry.key]
        assert action.text()
        assert action.toolTip()
    for button in opened.findChildren(QAbstractButton):
        if button.isVisible() and not button.objectName().startswith("qt_"):
            assert button.text() or button.accessibleName(), button
    for view in (opened.work.classes.view, opened.work.scatter.view, opened.work.table):
        assert view.accessibleName()


def test_the_window_is_there_before_torch() -> None:
    code = (
        "import sys; import bdshift_gui.app; "
        "print([m for m in ('torch', 'h5py', 'scipy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_layout_and_recent_files_are_kept(window: MainWindow, audit_file: Path) -> None:
    window.settings.remember(audit_file)
    window.settings.remember(audit_file.with_name("other.h5"))
    window.settings.remember(audit_file)
    assert [path.name for path in window.settings.recent] == ["victim.h5", "other.h5"]
    window.actions_["reset_layout"].trigger()


class _Sender(QObject):
    sent = Signal(object)


def test_this_python_and_pyside_keep_their_references(qtbot: QtBot) -> None:
    """PySide6 6.12.0 loses one reference to None a call on Python 3.11 and older."""
    sender = _Sender()
    before = sys.getrefcount(None)
    for _ in range(1000):
        sender.sent.emit(None)
        sender.setObjectName("x")
    assert sys.getrefcount(None) >= before - 100


def test_the_catalog_is_plain_json() -> None:
    from bdshift.assets import asset

    assert isinstance(json.loads(asset("i18n/ja.json").read_text("utf-8")), dict)


def test_without_qt_it_says_what_is_missing() -> None:
    code = (
        "import sys; sys.modules['PySide6'] = None; "
        "import bdshift_gui; sys.exit(bdshift_gui.main())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.strip() == (
        'bdshift-gui needs PySide6 and pyqtgraph: pip install "bdshift[gui]"'
    )
