"""Colors, type and spacing of the window, light and dark."""

from __future__ import annotations

from dataclasses import dataclass

from PySide6.QtCore import Qt
from PySide6.QtGui import QColor, QFont, QGuiApplication, QPalette

from bdshift.assets import asset
from bdshift_gui.session import Scheme

TITLE, BODY, SMALL = 20, 13, 11
"""The three sizes of text, in pixels: what a page is about; everything; and, in plots, axes."""


@dataclass(frozen=True)
class Theme:
    """One color scheme. Red is reserved for what is poisoned, ``selected`` for what the user has
    selected; text on ``window`` and ``card`` has a contrast of at least 4.5 : 1.
    """

    name: str
    window: str
    card: str
    border: str
    text: str
    muted: str
    accent: str
    on_accent: str
    accent_soft: str
    poisoned: str
    poisoned_soft: str
    poisoned_border: str
    bar: str
    grid: str
    hover: str
    warning: str
    warning_soft: str
    selected: str
    soft: int
    """Opacity of points among many, of 255."""


LIGHT = Theme(
    name="light", window="#f3f5f7", card="#ffffff", border="#e0e4e9", text="#1b2430",
    muted="#5d6879", accent="#0067a3", on_accent="#ffffff", accent_soft="#e6f0f7",
    poisoned="#c03d08", poisoned_soft="#fdf0e7", poisoned_border="#e8a583", bar="#9cb2c7",
    grid="#edf0f3", hover="#eef1f4", warning="#8a5a00", warning_soft="#fff6e0", selected="#7a2fb8",
    soft=120,
)  # fmt: skip

DARK = Theme(
    name="dark", window="#16181c", card="#1f2228", border="#30353d", text="#e7eaee",
    muted="#9aa4b2", accent="#5ab7ea", on_accent="#0c1116", accent_soft="#1d2f3d",
    poisoned="#ff8b52", poisoned_soft="#38241a", poisoned_border="#8a4a2b", bar="#4d667f",
    grid="#2a2e35", hover="#2a2e35", warning="#e8b84a", warning_soft="#332a14", selected="#cf9bff",
    soft=190,
)  # fmt: skip


def current(scheme: Scheme) -> Theme:
    """The theme for a setting; "system" follows the desktop, or is light if that does not say."""
    if scheme == "system":
        wanted = QGuiApplication.styleHints().colorScheme()
        return DARK if wanted == Qt.ColorScheme.Dark else LIGHT
    return DARK if scheme == "dark" else LIGHT


def palette(theme: Theme) -> QPalette:
    """Qt's palette, for everything that the style sheet leaves to the style."""
    roles = QPalette.ColorRole
    found = QPalette()
    for role, color in (
        (roles.Window, theme.window), (roles.Base, theme.card), (roles.AlternateBase, theme.window),
        (roles.Button, theme.card), (roles.ToolTipBase, theme.card), (roles.Text, theme.text),
        (roles.WindowText, theme.text), (roles.ButtonText, theme.text),
        (roles.ToolTipText, theme.text), (roles.PlaceholderText, theme.muted),
        (roles.Highlight, theme.accent), (roles.HighlightedText, theme.on_accent),
        (roles.Link, theme.accent), (roles.Mid, theme.border), (roles.Accent, theme.accent),
    ):  # fmt: skip
        found.setColor(role, QColor(color))
    for role in (roles.Text, roles.WindowText, roles.ButtonText):
        found.setColor(QPalette.ColorGroup.Disabled, role, QColor(theme.muted))
    return found


def text_font(size: int) -> QFont:
    """The window's font in one of the three sizes."""
    found = QFont(QGuiApplication.font())
    found.setPixelSize(size)
    return found


def style_sheet(theme: Theme) -> str:
    """The window's style sheet. Sizes are in pixels on a 4-pixel grid."""
    return f"""
* {{ font-size: {BODY}px; }}
QMainWindow, QDialog {{ background: {theme.window}; }}
QWidget#plain, QScrollArea#plain {{ background: transparent; border: none; }}
QToolTip {{ color: {theme.text}; background: {theme.card}; border: 1px solid {theme.border};
  padding: 4px; }}
QToolBar {{ background: {theme.card}; border: none; border-bottom: 1px solid {theme.border};
  spacing: 4px; padding: 4px 12px 6px 12px; }}
QToolBar QToolButton, QPushButton {{ background: {theme.card}; color: {theme.text};
  border: 1px solid {theme.border}; border-radius: 6px; padding: 5px 12px; }}
QToolBar QToolButton {{ padding: 5px 1px 5px 8px; }}
QToolBar QToolButton:hover, QPushButton:hover {{ background: {theme.hover}; }}
QToolBar QToolButton:focus, QPushButton:focus {{ border-color: {theme.accent}; }}
QToolBar QToolButton:disabled, QPushButton:disabled {{ color: {theme.muted}; }}
QPushButton:checked {{ background: {theme.accent_soft}; border-color: {theme.accent}; }}
QPushButton#primary {{ background: {theme.accent};
  color: {theme.on_accent}; border-color: {theme.accent}; font-weight: 600; }}
QPushButton#primary:disabled {{
  background: {theme.hover}; color: {theme.muted}; border-color: {theme.border}; }}
QMenuBar {{ background: {theme.card}; padding: 0 6px; }}
QStatusBar {{ padding: 0 8px; background: {theme.card}; border-top: 1px solid {theme.border};
  color: {theme.muted}; }}
QStatusBar::item {{ border: none; }}
QFrame#card {{ background: {theme.card}; border: 1px solid {theme.border}; border-radius: 8px; }}
QFrame#chosen {{ background: {theme.card}; border: 1px solid {theme.accent};
  border-radius: 8px; }}
QFrame#shown {{ background: {theme.accent_soft}; border: 1px solid {theme.accent};
  border-radius: 6px; }}
QFrame#poisoned {{ background: {theme.poisoned_soft}; border: 1px solid {theme.poisoned_border};
  border-radius: 8px; }}
QFrame#doubtful {{ background: {theme.warning_soft}; border: 1px solid {theme.warning};
  border-radius: 8px; }}
QFrame#cut {{ background: {theme.accent_soft}; border: none; border-radius: 6px; }}
QFrame#error {{ background: {theme.warning_soft}; border: 1px solid {theme.warning};
  border-radius: 6px; }}
QFrame#drop, QFrame#dropOver {{ background: {theme.card}; border: 2px dashed {theme.bar};
  border-radius: 12px; }}
QFrame#dropOver {{ border-color: {theme.accent}; background: {theme.accent_soft}; }}
QLabel {{ background: transparent; color: {theme.text}; }}
QLabel#title {{ font-weight: 600; }}
QLabel#heading, QLabel#finding, QLabel#findingBackdoored, QLabel#findingInconclusive {{
  font-size: {TITLE}px; font-weight: 600; }}
QLabel#findingBackdoored {{ color: {theme.poisoned}; }}
QLabel#findingInconclusive {{ color: {theme.warning}; }}
QLabel#muted, QLabel#key {{ color: {theme.muted}; }}
QLabel#danger {{ color: {theme.warning}; }}
QLabel#bar {{ color: {theme.bar}; }}
QLabel#clean {{ color: {theme.accent}; }}
QLabel#selected {{ color: {theme.selected}; }}
QLabel#triggered {{ color: {theme.poisoned}; }}
QLabel#value {{ font-weight: 500; }}
QToolButton#choice {{ background: transparent; border: 1px solid transparent;
  color: {theme.muted}; padding: 1px 2px; border-radius: 5px; }}
QToolButton#choice:hover {{ color: {theme.text}; background: {theme.hover}; }}
QToolButton#choice:checked {{ color: {theme.accent}; font-weight: 600;
  background: {theme.accent_soft}; }}
QToolButton#choice:disabled {{ color: {theme.bar}; }}
QToolButton#choice:focus {{ border: 1px solid {theme.accent}; }}
QToolButton#link {{ background: transparent; border: none; color: {theme.accent};
  padding: 2px 4px; border-radius: 4px; }}
QToolButton#link:hover {{ background: {theme.hover}; }}
QToolButton#link:focus {{ border: 1px solid {theme.accent}; }}
QFrame#card:focus, QFrame#chosen:focus {{ border-color: {theme.accent}; }}
QTabBar {{ qproperty-drawBase: 0; }}
QTabBar::tab {{ background: transparent; color: {theme.muted}; border: none;
  padding: 6px 12px; border-bottom: 2px solid transparent; }}
QTabBar::tab:hover {{ color: {theme.text}; }}
QTabBar::tab:selected {{ color: {theme.accent}; font-weight: 600;
  border-bottom-color: {theme.accent}; }}
QToolBar QToolButton#qt_toolbar_ext_button {{ padding: 0; border: none; }}
QDockWidget {{ color: {theme.muted}; }}
QDockWidget::title {{ background: transparent; padding: 4px 8px; }}
QMainWindow::separator {{ background: {theme.window}; width: 8px; height: 8px; }}
QScrollBar:vertical {{ background: transparent; width: 8px; margin: 0; }}
QScrollBar::handle:vertical {{ background: {theme.border}; border-radius: 4px; min-height: 24px; }}
QScrollBar:horizontal {{ background: transparent; height: 8px; margin: 0; }}
QScrollBar::handle:horizontal {{ background: {theme.border}; border-radius: 4px; min-width: 24px; }}
QScrollBar::add-line, QScrollBar::sub-line, QScrollBar::add-page, QScrollBar::sub-page {{
  background: none; border: none; width: 0; height: 0; }}
QSplitter::handle {{ background: transparent; }}
QTableView {{ background: {theme.card}; border: none; gridline-color: {theme.grid};
  selection-background-color: {theme.accent_soft}; selection-color: {theme.text};
  alternate-background-color: {theme.card}; }}
QHeaderView::section {{ background: {theme.card}; color: {theme.muted}; border: none;
  border-bottom: 1px solid {theme.border}; padding: 4px 16px 4px 4px; }}
QProgressBar {{ border: none; border-radius: 3px; background: {theme.grid}; max-height: 6px; }}
QProgressBar::chunk {{ background: {theme.accent}; border-radius: 3px; }}
QPlainTextEdit, QLineEdit, QListWidget {{ background: {theme.card}; color: {theme.text};
  border: 1px solid {theme.border}; border-radius: 6px; padding: 4px; }}
QLineEdit:focus, QListWidget:focus, QPlainTextEdit:focus {{ border-color: {theme.accent}; }}
QListView#images {{ border: none; padding: 0; background: transparent; }}
QCheckBox::indicator {{ width: 14px; height: 14px; border: 1px solid {theme.muted};
  border-radius: 3px; background: {theme.card}; }}
QCheckBox::indicator:checked {{ background: {theme.accent}; border-color: {theme.accent};
  image: url("{asset(f"ticks/{theme.name}.svg").as_posix()}"); }}
QDialogButtonBox {{ dialogbuttonbox-buttons-have-icons: 0; }}
QCheckBox::indicator:focus {{ border-color: {theme.accent}; }}
QSlider::groove:horizontal {{ height: 4px; background: {theme.bar}; border-radius: 2px; }}
QSlider::handle:horizontal {{ width: 14px; margin: -5px 0; border-radius: 7px;
  background: {theme.muted}; }}
QSlider::handle:horizontal:focus, QSlider::handle:horizontal:hover {{ background: {theme.accent}; }}
"""
