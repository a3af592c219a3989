"""The toolbar: common actions, and the two numbers that can be changed live."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QSize, Qt, Slot
from PySide6.QtGui import QIcon
from PySide6.QtWidgets import QSizePolicy, QToolBar, QToolButton, QWidget

from bdshift_gui.action import Action
from bdshift_gui.actions.window import PALETTE
from bdshift_gui.context import Context
from bdshift_gui.i18n import tr
from bdshift_gui.icons import SIDE, icon
from bdshift_gui.menus import Actions, toolbar_actions
from bdshift_gui.session import State
from bdshift_gui.tasks.showing import set_alpha, set_rule
from bdshift_gui.theme import Theme
from bdshift_gui.widgets.number_slider import NumberSlider

if TYPE_CHECKING:
    from bdshift.detect.rule import Rule
    from bdshift.setting import Option

_GAP = 3  # pixels more between an icon and its words
_ALPHA = 0.01, 2.0
_REACH = 4.0  # a rule's slider ranges from a quarter of the default to four times the default


class MainToolbar(QToolBar):
    """Has sliders for α and for the threshold of the rule in use."""

    def __init__(self, context: Context, actions: Actions) -> None:
        super().__init__()
        self._context = context
        self.setObjectName("main")
        self.setMovable(False)
        self.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self.setIconSize(QSize(SIDE + _GAP, SIDE))
        self.setContextMenuPolicy(Qt.ContextMenuPolicy.PreventContextMenu)
        self.alpha = NumberSlider("α", *_ALPHA, 0.1, logarithmic=True)
        self.threshold = NumberSlider("", *_ALPHA, 0.1, logarithmic=True)
        self._setting: Option | None = None
        self._buttons: dict[Action, QToolButton] = {}
        self._icons: dict[Action, QIcon] = {}
        for one in toolbar_actions(actions):
            if one is PALETTE:  # at the far end
                self.addWidget(_space())
                self.addWidget(self.alpha)
                self._threshold_shown = self.addWidget(self.threshold)
            self.addAction(actions[one.key])
            button = self.widgetForAction(actions[one.key])
            assert isinstance(button, QToolButton)
            self._buttons[one] = button
            actions[one.key].changed.connect(self._repaint)  # it brings the menu's icon
        self.alpha.moved.connect(lambda value: set_alpha(context, value))
        self.threshold.moved.connect(self._moved)

    def paint(self, theme: Theme) -> None:
        """Draw the icons in the theme's colors."""
        for one in self._buttons:
            self._icons[one] = icon(one.icon, theme.text, theme.text, theme.muted, room=_GAP)
        more = self.findChild(QToolButton, "qt_toolbar_ext_button")
        if more is not None:  # Qt's own is black on any background
            more.setIcon(icon("more", theme.text, theme.text, theme.muted))
        self._repaint()

    @Slot()
    def _repaint(self) -> None:
        for one, found in self._icons.items():
            self._buttons[one].setIcon(found)

    def show_state(self, state: State) -> None:
        """Show the numbers of ``state``."""
        self.alpha.show_value(state.alpha)
        self.alpha.setEnabled(state.alpha_is_live)
        rule = state.rule
        if state.audit is not None and state.audit.verdict is not None:
            rule = None  # none decides
        self._threshold_shown.setVisible(rule is not None)
        if rule is not None:
            self._show_threshold(rule)

    def _show_threshold(self, rule: Rule) -> None:
        from bdshift.setting import options_of

        numbers = [one for one in options_of(type(rule)) if one.kind is float and not one.required]
        setting = next(iter(numbers), None)
        self._threshold_shown.setVisible(setting is not None)
        if setting is None:
            return
        if setting is not self._setting:
            self._setting = setting
            low, high = span(setting)
            self.threshold.set_range(low, high, setting.default, logarithmic=low > 0)
        self.threshold.describe(tr(setting.about.label), tr(setting.about.help))
        self.threshold.show_value(float(getattr(rule, setting.name)))

    def _moved(self, value: float) -> None:
        rule = self._context.state.rule
        if rule is not None and self._setting is not None:
            changed: dict[str, Any] = {self._setting.name: value}
            set_rule(self._context, replace(rule, **changed))

    def retranslate(self) -> None:
        """Show all texts in the window's language."""
        about = tr("Loss threshold α of Eq. 4: a smaller α needs a longer shift.")
        self.alpha.describe("α", about)
        self._setting = None


def span(setting: Option) -> tuple[float, float]:
    """The range of a setting's slider: around its default, within what the setting allows."""
    about, default = setting.about, setting.default
    low, high = default / _REACH, default * _REACH
    if default <= 0:
        reach = _REACH * (abs(default) or about.step)
        low, high = default - reach, default + reach
    if about.low is not None:
        low = max(low, about.low + 10**-about.decimals * about.above)
    return low, high if about.high is None else min(high, about.high)


def _space() -> QWidget:
    space = QWidget()
    space.setObjectName("plain")
    space.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
    return space
