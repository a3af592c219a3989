"""A combo box that says so where its text is too long for it, and then has all of it as a tip."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QPoint, QRect, QSize, Qt
from PySide6.QtGui import QHelpEvent, QPaintEvent
from PySide6.QtWidgets import QComboBox, QStyle, QStyleOptionComboBox, QStylePainter

from bdshift_gui.plain import set_tip

_LEAST_LETTERS, _ARROW = 9, 32  # the second in pixels, with margins
_AROUND = 4  # pixels that a style leaves free beside the text


class ChoiceBox(QComboBox):
    """Elides its text on the right."""

    @property
    def shown_text(self) -> str:
        """What is written in it."""
        option = QStyleOptionComboBox()
        self.initStyleOption(option)
        return self._elided(option)

    def _elided(self, option: QStyleOptionComboBox) -> str:
        text = self.currentText() if self.currentIndex() >= 0 else self.placeholderText()
        return self.fontMetrics().elidedText(text, Qt.TextElideMode.ElideRight, self._room(option))

    def _room(self, option: QStyleOptionComboBox) -> int:
        """Pixels of the text."""
        field = self.style().subControlRect(
            QStyle.ComplexControl.CC_ComboBox, option, QStyle.SubControl.SC_ComboBoxEditField, self
        )
        return max(0, field.width() - _AROUND)

    def sizeHint(self) -> QSize:
        """Room for the longest text, which Qt's own lacks under a style sheet."""
        found = super().sizeHint()
        if self.sizeAdjustPolicy() != self.SizeAdjustPolicy.AdjustToContents:
            return found
        texts = [self.itemText(at) for at in range(self.count())]
        longest = max(map(self.fontMetrics().horizontalAdvance, texts), default=0)
        option = QStyleOptionComboBox()
        self.initStyleOption(option)
        option.rect = QRect(QPoint(0, 0), found)
        return found + QSize(max(0, longest - self._room(option)), 0)

    def minimumSizeHint(self) -> QSize:
        """Room for a few letters, whatever is chosen."""
        found = super().minimumSizeHint()
        least = self.fontMetrics().averageCharWidth() * _LEAST_LETTERS + _ARROW
        return QSize(min(found.width(), least), found.height())

    def paintEvent(self, event: QPaintEvent) -> None:
        painter, option = QStylePainter(self), QStyleOptionComboBox()
        self.initStyleOption(option)
        painter.drawComplexControl(QStyle.ComplexControl.CC_ComboBox, option)
        option.currentText = self._elided(option)
        painter.drawControl(QStyle.ControlElement.CE_ComboBoxLabel, option)

    def event(self, event: QEvent) -> bool:
        if isinstance(event, QHelpEvent) and event.type() == QEvent.Type.ToolTip:
            whole = self.currentText()
            if not self.toolTip() and self.shown_text != whole and self.currentIndex() >= 0:
                set_tip(self, whole)
                shown = super().event(event)
                set_tip(self, "")  # another text may fit
                return shown
        return super().event(event)
