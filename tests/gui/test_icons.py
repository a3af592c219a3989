"""Line icons: drawn once, in the theme's color, sharp on any screen, known to their action only."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from xml.etree import ElementTree

import pytest
from driving import do
from PySide6.QtCore import QSize, Qt
from PySide6.QtGui import QColor, QIcon, QImage
from PySide6.QtWidgets import QToolButton

import bdshift_gui
from bdshift.assets import asset
from bdshift_gui.action import all_actions
from bdshift_gui.icons import SIDE
from bdshift_gui.main_window import MainWindow
from bdshift_gui.theme import DARK, LIGHT, Theme

DRAWN = {one.icon for one in all_actions() if one.icon}
OF_TOOLBAR = "more"  # what does not fit
FOLDER = asset("icons/scan.svg").parent
INK = "{http://www.w3.org/2000/svg}"


def colors(found: QIcon, mode: QIcon.Mode) -> set[str]:
    """The colors of what is fully drawn."""
    image = found.pixmap(QSize(SIDE, SIDE), 2.0, mode).toImage()
    image = image.convertToFormat(QImage.Format.Format_ARGB32)
    pixels = (image.pixelColor(x, y) for x in range(image.width()) for y in range(image.height()))
    return {one.name() for one in pixels if one.alpha() == 255}


def shown(window: MainWindow, key: str) -> QToolButton:
    button = window.toolbar.widgetForAction(window.actions_[key])
    assert isinstance(button, QToolButton)
    return button


def test_every_drawing_is_an_icon_of_one_action_which_alone_knows_its_name() -> None:
    assert {path.stem for path in FOLDER.glob("*.svg")} == {*DRAWN, OF_TOOLBAR}
    used = Counter(one.icon for one in all_actions() if one.icon)
    assert set(used.values()) == {1}, "two actions that look alike mislead"
    folder = Path(bdshift_gui.__file__).parent
    for path in folder.rglob("*.py"):
        text = path.read_text("utf-8")
        assert 'icon="' not in text or path.parent.name == "actions", path
        assert "icons/" not in text or path.name in ("action.py", "icons.py"), path


@pytest.mark.parametrize("name", sorted(DRAWN))
def test_they_are_of_one_hand(name: str) -> None:
    root = ElementTree.fromstring((FOLDER / f"{name}.svg").read_text("utf-8"))
    assert root.attrib["viewBox"] == f"0 0 {SIDE} {SIDE}"
    assert (root.attrib["stroke"], root.attrib["stroke-width"]) == ("currentColor", "1.5")
    assert root.attrib["fill"] == "none"
    for shape in root.iter():
        assert shape.tag.removeprefix(INK) in ("svg", "path", "rect", "circle")
        assert shape.attrib.get("fill", "none") in ("none", "currentColor")


def test_everything_in_the_toolbar_has_one_beside_its_words(window: MainWindow) -> None:
    beside = Qt.ToolButtonStyle.ToolButtonTextBesideIcon
    for one in all_actions():
        if one.toolbar is not None:
            button = shown(window, one.key)
            assert not button.icon().isNull()
            assert button.toolButtonStyle() == beside
            assert button.text()


@pytest.mark.parametrize(("scheme", "theme"), [("light", LIGHT), ("dark", DARK)])
def test_they_follow_the_theme(window: MainWindow, scheme: str, theme: Theme) -> None:
    do(window, "ja")
    do(window, scheme)
    do(window, "en")  # what changes an action brings back its icon
    normal, disabled = QIcon.Mode.Normal, QIcon.Mode.Disabled
    for key in ("open_model", "scan"):
        assert colors(shown(window, key).icon(), normal) == {QColor(theme.text).name()}
        assert colors(shown(window, key).icon(), disabled) == {QColor(theme.muted).name()}
    entry = window.actions_["undo"].icon()
    assert colors(entry, normal) == {QColor(theme.text).name()}
    assert colors(entry, QIcon.Mode.Active) == {QColor(theme.on_accent).name()}


@pytest.mark.parametrize("scale", [1.0, 1.25, 1.5, 2.0, 3.0])
def test_no_screen_blurs_them(window: MainWindow, scale: float) -> None:
    found = window.actions_["scan"].icon().pixmap(QSize(SIDE, SIDE), scale)
    side = round(SIDE * scale)
    assert found.width() == found.height() == side, "it is drawn for this screen, not stretched"


@pytest.mark.parametrize("language", ["en", "ja"])
def test_the_usual_window_has_room_for_them(opened: MainWindow, language: str) -> None:
    do(opened, language)
    opened.resize(1280, 800)
    bar = opened.toolbar
    needed = sum(
        bar.widgetForAction(one).sizeHint().width() for one in bar.actions() if one.isVisible()
    )
    assert needed + 4 * len(bar.actions()) + 24 <= 1280
