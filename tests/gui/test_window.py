"""What holds for the window as a whole: languages, colors, names, startup, references."""

from __future__ import annotations

import subprocess
import sys
from operator import attrgetter
from pathlib import Path

import pytest
from driving import find, workspace
from PySide6.QtCore import QObject, Qt, Signal
from PySide6.QtWidgets import QAbstractButton
from pytestqt.qtbot import QtBot
from templates import words_in_code

from bdshift.extras import pip_install
from bdshift.words import catalog, translate
from bdshift_gui.action import MENUS, all_actions
from bdshift_gui.main_window import MainWindow
from bdshift_gui.numbers import duration
from bdshift_gui.session import State
from bdshift_gui.theme import DARK, LIGHT, Theme
from bdshift_gui.view import all_views
from bdshift_gui.views.classes import ClassView
from bdshift_gui.views.finding import FindingView
from bdshift_gui.views.inspector import InspectorView
from bdshift_gui.views.neuron_table import NeuronTableView
from bdshift_gui.views.scatter import ScatterView


def test_every_action_is_complete() -> None:
    """It has texts in both languages, a place in one menu, and a unique shortcut."""
    every = all_actions()
    shortcuts = [one.shortcut for one in every if one.shortcut]
    assert len(set(shortcuts)) == len(shortcuts)
    places = [(one.menu, one.place) for one in every]
    assert len(set(places)) == len(places), "the order of a menu is left to chance"
    own_names = {"English", "日本語"}
    for one in every:
        assert one.menu in (*MENUS, None)
        assert translate(one.tip, "ja") != one.tip
        assert one.text in own_names or translate(one.text, "ja") != one.text


def test_every_view_is_complete() -> None:
    """It declares what it reads and where it goes."""
    for kind in all_views():
        assert kind.reads
        for name in kind.reads:
            attrgetter(name)(State())
        assert (kind.area == "below") == bool(kind.title_of_panel)
        title = kind.title_of_panel
        assert not title or translate(title, "ja") != title


def test_languages_are_switched_live(opened: MainWindow) -> None:
    workspace(opened).docks["table"].show()
    opened.actions_["ja"].trigger()
    assert find(opened, FindingView).title.text() == "バックドアの疑いが強い"
    assert opened.actions_["scan"].text() == "スキャン"
    assert find(opened, InspectorView).title.text().startswith("ニューロン ")
    scatter = find(opened, ScatterView)
    assert scatter._axes[1] == "「speed_80」へのシフト"
    assert scatter.plot.getAxis("left").labelText in (scatter._axes[1], "シフト")
    assert (
        find(opened, NeuronTableView).rows.headerData(0, Qt.Orientation.Horizontal) == "ニューロン"
    )
    opened.actions_["en"].trigger()
    assert find(opened, FindingView).title.text() == "Probably backdoored"


def test_every_letter_of_japanese_is_in_the_bundled_font(window: MainWindow) -> None:
    metrics = window.fontMetrics()
    text = "".join([*catalog("ja").values(), *words_in_code().values()]).replace("\n", "")
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
        (theme.selected, theme.card), (theme.accent, theme.accent_soft),
    ):  # fmt: skip
        light, dark = sorted((_luminance(ink), _luminance(paper)), reverse=True)
        assert (light + 0.05) / (dark + 0.05) >= 4.5, (ink, paper)


def test_colors_are_switched(opened: MainWindow) -> None:
    opened.actions_["dark"].trigger()
    assert find(opened, ScatterView).view.backgroundBrush().color().name() == DARK.card
    assert opened.actions_["dark"].isChecked()
    opened.actions_["light"].trigger()
    assert find(opened, ScatterView).view.backgroundBrush().color().name() == LIGHT.card


def test_everything_has_a_name(opened: MainWindow) -> None:
    for one in all_actions():
        action = opened.actions_[one.key]
        assert action.text()
        assert action.toolTip()
    for button in opened.findChildren(QAbstractButton):
        if button.isVisible() and not button.objectName().startswith("qt_"):
            assert button.text() or button.accessibleName(), button
    workspace(opened).docks["table"].show()
    table = find(opened, NeuronTableView).view
    for view in (find(opened, ClassView).view, find(opened, ScatterView).view, table):
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


def test_times_are_in_the_windows_language(window: MainWindow) -> None:
    assert (duration(12.2), duration(600)) == ("13 s", "10 min")
    window.actions_["ja"].trigger()
    assert (duration(12.2), duration(600)) == ("13 秒", "10 分")


class _Sender(QObject):
    sent = Signal(object)


def test_this_python_and_pyside_keep_their_references(qtbot: QtBot) -> None:
    """PySide6 6.12.0 loses one reference to None per call on Python 3.11 and older."""
    sender = _Sender()
    before = sys.getrefcount(None)
    for _ in range(1000):
        sender.sent.emit(None)
        sender.setObjectName("x")
    assert sys.getrefcount(None) >= before - 100


def test_without_qt_it_says_what_is_missing() -> None:
    code = (
        "import sys; sys.modules['PySide6'] = None; "
        "import bdshift_gui; sys.exit(bdshift_gui.main())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 2
    command = pip_install("PySide6-Essentials", "pyqtgraph")
    assert done.stderr.strip() == f"bdshift-gui needs PySide6 and pyqtgraph: {command}"
