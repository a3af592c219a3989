"""The panels around the plots come and go with what they show."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from driving import do, find, open_paths, wait, workspace
from PySide6.QtCore import QPointF, Qt
from PySide6.QtGui import QFontMetrics
from PySide6.QtWidgets import QApplication, QDockWidget, QLabel, QScrollArea
from pytestqt.qtbot import QtBot

from bdshift.audit.unfinished import PurificationRequest
from bdshift.words import LANGUAGES
from bdshift_gui import view
from bdshift_gui.context import Context
from bdshift_gui.main_window import MainWindow
from bdshift_gui.session import State
from bdshift_gui.tasks.purifying import purify
from bdshift_gui.theme import SMALL, text_font
from bdshift_gui.view import View
from bdshift_gui.views.classes import ClassView
from bdshift_gui.views.compare import CompareView
from bdshift_gui.views.purifications import PurificationsView
from bdshift_gui.views.purifications_card import PurificationsCard
from bdshift_gui.views.scatter import ScatterView
from bdshift_gui.widgets.card import KeyValueRows


def test_a_panel_that_was_closed_stays_closed(opened: MainWindow) -> None:
    docks = workspace(opened).docks
    docks["audit"].close()
    opened.context.selection.select_class(2)
    assert not docks["audit"].isVisible()
    opened.actions_["reset_layout"].trigger()
    assert docks["audit"].isVisible()


@pytest.mark.parametrize("language", LANGUAGES)
def test_side_panels_cut_nothing_off(opened: MainWindow, qtbot: QtBot, language: str) -> None:
    do(opened, language)
    qtbot.wait(50)
    for area in opened.findChildren(QScrollArea):
        dock = area.parent()
        if area.isVisible() and isinstance(dock, QDockWidget):
            inner = area.widget()
            assert inner is not None
            assert inner.width() <= area.width(), dock.objectName()


@pytest.mark.parametrize("width", [2400, 840])
def test_names_under_bars_fit_after_the_window_is_resized(
    opened: MainWindow, qtbot: QtBot, width: int
) -> None:
    """They were shortened for the width at which the audit was opened, and then overlapped."""
    view = find(opened, ClassView)
    axis = view.plot.getAxis("bottom")
    opened.resize(3240 - width, 700)
    qtbot.wait(50)
    before = axis._tickLevels
    opened.resize(1100, 700)  # the panels move here
    qtbot.wait(50)
    opened.resize(width, 700)
    qtbot.wait(50)
    ((x0, _), (x1, _), *_), *_ = axis._tickLevels
    room = view.plot.vb.mapViewToScene(QPointF(x1, 0)).x()
    room -= view.plot.vb.mapViewToScene(QPointF(x0, 0)).x()
    metrics = QFontMetrics(text_font(SMALL))
    names = [name for _, name in axis._tickLevels[0]]
    for name in names:
        assert all(metrics.horizontalAdvance(one) < room for one in name.splitlines())
    assert axis._tickLevels != before
    assert any("…" in name for name in names) is (width == 840)


def test_panels_of_an_audit_come_and_go_with_it(
    opened: MainWindow, qtbot: QtBot, victim: Path, audit_file: Path
) -> None:
    docks = workspace(opened).docks
    docks["table"].show()
    docks["log"].show()
    open_paths(qtbot, opened, victim)
    assert opened.session.state.audit is None
    assert docks["table"].isHidden(), "it would be empty"
    assert not docks["log"].isHidden()
    open_paths(qtbot, opened, audit_file)
    assert not docks["table"].isHidden()
    assert docks["pairs"].isHidden(), "it was not open before"
    open_paths(qtbot, opened, victim)
    opened.close()
    assert not docks["table"].isHidden(), "the next window has it where it was"


def test_a_page_is_created_when_it_is_first_shown(purified: MainWindow) -> None:
    work = workspace(purified)
    assert not work.pages, "an audit opens without them"
    do(purified, "compare")
    assert list(work.pages) == [CompareView.key]
    assert purified.pages.currentWidget() is work.pages[CompareView.key]
    assert find(purified, CompareView).isVisible()
    do(purified, "close_page")
    assert purified.pages.currentWidget() is work.plots


def test_a_purification_opens_its_page_once(opened: MainWindow, qtbot: QtBot) -> None:
    work = workspace(opened)
    cut = PurificationRequest("cut:neurons=3", 9, "", 0.2)
    purify(opened.context, (cut, cut))
    assert opened.pages.currentWidget() is work.pages[PurificationsView.key]
    do(opened, "close_page")
    assert opened.pages.currentWidget() is work.plots
    card = find(opened, PurificationsCard)
    assert card.isVisible()
    assert card._running.text() == "A purification is running."
    wait(qtbot, opened)
    assert len(opened.session.state.purifications) == 2
    assert opened.pages.currentWidget() is work.plots, "the user closed it while the first ran"
    card.show_it.click()
    assert opened.pages.currentWidget() is work.pages[PurificationsView.key]
    do(opened, "show_purified")
    assert opened.pages.currentWidget() is work.plots


def test_a_long_name_gives_way_to_the_figures(qtbot: QtBot) -> None:
    rows = KeyValueRows(long_keys=True)
    qtbot.addWidget(rows)
    rows.show_rows([("12 · gradient-ascent, then relabeling", "ASR 100.0 → 0.0%", "")])
    rows.resize(220, 30)
    rows.show()
    QApplication.processEvents()
    [(name, figures)] = rows._shown
    assert figures.text() == "ASR 100.0 → 0.0%"
    assert name.text().startswith("12 · g")
    assert name.text().endswith("…")


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_smallest_screen_has_room_before_there_is_an_audit(
    window: MainWindow, qtbot: QtBot, victim: Path, language: str
) -> None:
    do(window, language)
    window.resize(900, 600)
    open_paths(qtbot, window, victim)
    QApplication.processEvents()
    assert workspace(window).docks["audit"].isVisible()
    assert (window.width(), window.height()) == (900, 600)


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_smallest_screen_has_room_for_all(opened: MainWindow, language: str) -> None:
    """The bar with progress and Cancel, too; the inspector shares the side of the cards."""
    do(opened, language)
    for size in ((1100, 700), (900, 600)):  # at the first, the panels move
        opened.resize(*size)
        QApplication.processEvents()
    assert (opened.width(), opened.height()) == (900, 600)
    docks = workspace(opened).docks
    assert docks["audit"] in opened.tabifiedDockWidgets(docks["inspector"])
    assert find(opened, ClassView).height() >= 140
    assert find(opened, ScatterView).height() >= 140
    for page in ("gallery", "purifications"):
        opened.session.update(page=None)
        do(opened, f"show_{page}")
        QApplication.processEvents()
        assert (opened.width(), opened.height()) == (900, 600)
    opened.resize(1400, 800)
    QApplication.processEvents()
    assert docks["audit"] not in opened.tabifiedDockWidgets(docks["inspector"])


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_plot_is_cut_in_a_small_window(opened: MainWindow, language: str) -> None:
    """However many lines its title has."""
    do(opened, language)
    for size in ((1100, 700), (900, 600)):  # at the first, the panels move
        opened.resize(*size)
        QApplication.processEvents()
    assert opened.width() == 900
    for card in (find(opened, ClassView), find(opened, ScatterView)):
        title = card.title
        assert title.height() >= title.heightForWidth(title.width())
        assert card.view.geometry().bottom() <= card.contentsRect().bottom() - 4
        assert card.view.height() >= card.view.minimumHeight()


@pytest.mark.parametrize("language", LANGUAGES)
def test_nothing_is_beyond_the_edge_of_a_comparison(
    purified: MainWindow, qtbot: QtBot, language: str
) -> None:
    do(purified, language)
    for size in ((1100, 700), (900, 600)):  # at the first, the panels move
        purified.resize(*size)
        QApplication.processEvents()
    do(purified, "compare")
    page = find(purified, CompareView)
    [scroll] = [one for one in purified.findChildren(QScrollArea) if one.widget() is page]
    qtbot.waitUntil(lambda: page.bars.y() > page._all.y())  # below the table, which cut it
    assert page.width() <= scroll.viewport().width()
    for part in (page.bars, page._all, *page.neurons, page.images, page.close_button, *page.sides):
        assert part.geometry().right() <= page.width()
    purified.resize(1600, 900)
    qtbot.waitUntil(lambda: page.bars.y() == page._all.y())
    assert page.bars.x() > page._all.x()


def test_side_panels_can_be_made_wider(opened: MainWindow) -> None:
    opened.resize(1600, 900)
    QApplication.processEvents()
    docks = workspace(opened).docks
    before = docks["audit"].width()
    opened.resizeDocks([docks["audit"]], [before + 120], Qt.Orientation.Horizontal)
    QApplication.processEvents()
    assert docks["audit"].width() >= before + 100


def test_the_layout_of_other_panels_is_not_restored(window: MainWindow) -> None:
    work = workspace(window)
    before = work.layout_version
    assert 0 < before < 2**31
    work.docks["another"] = work.docks["log"]
    assert work.layout_version != before
    del work.docks["another"]
    assert work.layout_version == before


class _Strip(QLabel, View):
    area = "strip"
    reads = ("audit",)

    def __init__(self, context: Context) -> None:
        super().__init__(self.key)

    def show_state(self, state: State) -> None:
        """There is nothing to show."""


class _FirstStrip(_Strip):
    key, place = "first", 1


class _LastStrip(_Strip):
    key, place = "last", 100


class _Plot(_Strip):
    key, area, place = "third", "plots", 100


@pytest.fixture
def more_views() -> Iterator[None]:
    """Requested before ``window``, so that the window is created with them."""
    kinds = _LastStrip, _FirstStrip, _Plot
    for kind in kinds:
        view.view(kind)
    yield
    for kind in kinds:
        view.forget(kind.key)


def test_views_are_in_the_order_and_size_they_ask_for(
    more_views: None, opened: MainWindow, qtbot: QtBot
) -> None:
    strips = workspace(opened).strips
    assert [one.text() for one in strips if isinstance(one, QLabel)] == [
        "first", "last"
    ]  # fmt: skip
    rows = [opened._column.indexOf(one) for one in strips]
    assert rows == sorted(rows)
    plots = workspace(opened).plots
    assert plots.count() == 3
    top, middle, bottom = plots.sizes()
    assert middle / top == pytest.approx(440 / 250, rel=0.1)
    assert top == pytest.approx(bottom, rel=0.1)


def test_the_classes_use_the_room_of_a_small_window(opened: MainWindow) -> None:
    opened.resize(900, 600)
    QApplication.processEvents()
    view = find(opened, ClassView)
    assert view._scale is not None
    assert view.plot.vb.viewRange()[0][1] > 12.5, "the label of the line is there"
    assert view.plot.getAxis("left").labelText
    view._scale = replace(view._scale, line=math.nan)
    view._fit()
    names = [name for _, name in view.plot.getAxis("bottom")._tickLevels[0]]
    assert view.plot.vb.viewRange()[0][1] < len(names) + 0.5, "nothing is beside the bars"
    assert "caution" in names
    assert sum("…" in name for name in names) <= 1


def test_the_beginning_of_an_architecture_is_always_shown(qtbot: QtBot) -> None:
    rows = KeyValueRows()
    qtbot.addWidget(rows)
    rows.show_rows([("Architecture", "ResNet-18, CIFAR stem", "")])
    rows.resize(190, 30)
    rows.show()
    (_, value), *_ = rows._shown
    assert re.fullmatch(r"ResNet-18,.*…", value.text())


@pytest.mark.parametrize("size", [(1280, 800), (900, 600)])
def test_a_comparison_has_a_title_whole_rows_and_plots_to_look_at(
    purified: MainWindow, size: tuple[int, int]
) -> None:
    purified.resize(*size)
    do(purified, "compare")
    QApplication.processEvents()
    view = find(purified, CompareView)
    assert view.heading.text() == "Two models compared"
    assert view.heading.isVisible()
    rows = view.table.view
    assert len(view.table.rows.order) == 3
    last = rows.visualRect(view.table.rows.index(2, 0))
    assert rows.viewport().rect().contains(last)
    assert min(plot.view.height() for plot in view.neurons) >= 160
