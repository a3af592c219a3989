"""The main states look the way they did when they were last reviewed.

Screenshots are compared at an eighth of their size, so that a letter may move but nothing may go
missing, change its color or cover something else. ``BDSHIFT_GOLDEN=write`` saves what is shown now:
look at it before you commit it.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from driving import do, workspace
from numpy.typing import NDArray
from PySide6.QtCore import Qt
from PySide6.QtGui import QImage
from PySide6.QtWidgets import QWidget
from pytestqt.qtbot import QtBot

from bdshift.detect.rules.paper import Paper
from bdshift_gui.main_window import MainWindow
from bdshift_gui.tasks.showing import set_rule

_WRITING = os.environ.get("BDSHIFT_GOLDEN") == "write"
_FOLDER = Path(__file__).parent / "golden"
_SMALLER = 8
_FOOT = 5  # rows of the small image: the status bar, which shows seconds and bytes
_MEAN, _BLOCKS = 2.5, 0.02  # of 255: mean difference; share of pixels that differ by more than 40


def small(widget: QWidget) -> QImage:
    size = widget.size() / _SMALLER
    smooth = Qt.TransformationMode.SmoothTransformation
    image = widget.grab().toImage().scaled(size, Qt.AspectRatioMode.IgnoreAspectRatio, smooth)
    return image.convertToFormat(QImage.Format.Format_RGB888)


def pixels(image: QImage) -> NDArray[np.int16]:
    rows = np.frombuffer(image.constBits(), np.uint8).reshape(image.height(), -1)
    return rows[:, : 3 * image.width()].astype(np.int16)[:-_FOOT]


def compare(window: MainWindow, name: str, tmp_path: Path) -> None:
    now, path = small(window), _FOLDER / f"{name}.png"
    if _WRITING:
        _FOLDER.mkdir(exist_ok=True)
        assert now.save(str(path))
    golden = QImage(str(path)).convertToFormat(QImage.Format.Format_RGB888)
    assert golden.size() == now.size()
    away = np.abs(pixels(now) - pixels(golden))
    kept = tmp_path / f"{name}.png"
    window.grab().save(str(kept))
    assert away.mean() < _MEAN, f"look at {kept}"
    assert (away > 40).mean() < _BLOCKS, f"look at {kept}"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_welcome(window: MainWindow, qtbot: QtBot, tmp_path: Path, scheme: str) -> None:
    do(window, scheme)
    qtbot.wait(100)
    compare(window, f"welcome-{scheme}", tmp_path)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_backdoored(opened: MainWindow, qtbot: QtBot, tmp_path: Path, scheme: str) -> None:
    do(opened, scheme)
    qtbot.wait(200)
    compare(opened, f"backdoored-{scheme}", tmp_path)


@pytest.mark.skipif(_WRITING, reason="the pictures are being made")
def test_a_lost_panel_is_noticed(opened: MainWindow, qtbot: QtBot, tmp_path: Path) -> None:
    workspace(opened).docks["inspector"].hide()
    qtbot.wait(200)
    with pytest.raises(AssertionError, match="look at"):
        compare(opened, "backdoored-light", tmp_path)


@pytest.mark.skipif(_WRITING, reason="the pictures are being made")
def test_a_lost_color_is_noticed(opened: MainWindow, qtbot: QtBot, tmp_path: Path) -> None:
    set_rule(opened.context, Paper(beta=4.0))
    qtbot.wait(200)
    with pytest.raises(AssertionError, match="look at"):
        compare(opened, "backdoored-light", tmp_path)
