"""Drives the trigger dialog: drags, paints, and looks at what its image shows."""

from __future__ import annotations

from driving import wait
from PySide6.QtCore import QPoint, Qt
from PySide6.QtTest import QTest
from pytestqt.qtbot import QtBot

from bdshift.triggers.drawing import Drawing, drawing_of
from bdshift_gui.dialogs.trigger import TriggerDialog
from bdshift_gui.main_window import MainWindow
from bdshift_gui.widgets.image_square import ImageSquare
from bdshift_gui.widgets.trigger_canvas import TriggerCanvas

LEFT = Qt.MouseButton.LeftButton
YELLOW = (255, 216, 0)


def drag(canvas: TriggerCanvas, *points: tuple[float, float]) -> None:
    """Press at the first point (y, x) of the image, move along, and release at the last."""
    at = [canvas.on_screen(*point) for point in points]
    QTest.mousePress(canvas, LEFT, pos=at[0])
    for point in at[1:]:
        QTest.mouseMove(canvas, point)
    QTest.mouseRelease(canvas, LEFT, pos=at[-1])


def choose(asked: TriggerDialog, kind: str) -> None:
    asked.kind.setCurrentIndex(asked.kind.findData(kind))


def values(asked: TriggerDialog) -> tuple[object, ...]:
    found = asked.settings.values()
    return tuple(found[name] for name in ("size", "row", "column"))


def painted(asked: TriggerDialog) -> Drawing:
    return drawing_of(asked.settings.values()["pixels"], 32)


def pixel(square: ImageSquare, y: int, x: int) -> tuple[int, int, int]:
    """What is shown of a pixel of the image."""
    place, side = square.square, square.square.width() / 32
    at = QPoint(place.x() + int((x + 0.5) * side), place.y() + int((y + 0.5) * side))
    color = square.grab().toImage().pixelColor(at)
    return color.red(), color.green(), color.blue()


def paint(asked: TriggerDialog, opened: MainWindow, qtbot: QtBot) -> None:
    """Start to paint, with a brush of one pixel."""
    choose(asked, "painted")
    wait(qtbot, opened)
    assert asked.error.text() == "Nothing is painted yet."
    assert not asked.measure.isEnabled()
    asked.stage.tools.diameter.setValue(1)
